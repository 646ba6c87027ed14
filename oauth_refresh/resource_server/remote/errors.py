"""Why the authorization server could not say whether a token is active."""


class Unavailable(Exception):
    """It cannot be known now whether a token is active: answer with 503, so that the client sends it again.

    The text is for the log. It holds nothing that was sent or received.
    """


class CredentialsRefused(Unavailable):
    """The authorization server does not accept the credentials of this API, or it is not a resource server."""


class CursorRefused(Unavailable):
    """The feed does not know the cursor, such as after its key was changed: start again without one."""
