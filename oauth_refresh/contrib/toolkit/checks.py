"""System checks for the move from django-oauth-toolkit."""

from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as Caution

from oauth_refresh.conf import app_settings
from oauth_refresh.contrib.toolkit import old_rows


def check_default_scopes(**kwargs: Any) -> list[CheckMessage]:
    """Find that clients which name no scope got some there, which is the default, and get ``invalid_scope`` here."""
    if not old_rows.is_installed() or app_settings.default_scopes:
        return []
    given = old_rows.default_scopes()
    if not given:
        return []
    return [
        Caution(
            f"Clients that name no scope get {', '.join(sorted(given))} at django-oauth-toolkit, and an error here.",
            hint="Name these scopes, or fewer, in OAUTH_REFRESH['DEFAULT_SCOPES'].",
            id="oauth_refresh_toolkit.W001",
        )
    ]
