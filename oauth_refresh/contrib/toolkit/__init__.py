"""Move applications and sessions here from django-oauth-toolkit, so that its clients keep what they hold."""


def adopt(raw: str) -> None:
    """Move the session of a token of django-oauth-toolkit that a client presents: an importer of ``FOREIGN_TOKENS``.

    The session is moved in one transaction, and its rows there are deleted. A text that is unknown there, or whose
    session cannot be moved, changes nothing.
    """
    # Imported late, for this package is imported with INSTALLED_APPS, before there are models.
    from oauth_refresh.contrib.toolkit.sessions import move_session_of  # noqa: PLC0415

    move_session_of(raw)
