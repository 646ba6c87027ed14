"""System checks of an API on another machine."""

from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution

from oauth_refresh.resource_server.remote.configured import NAME, setting_problems


def check_resource_server(**kwargs: Any) -> list[CheckMessage]:
    """Find settings that cannot be used, and an authorization server to which the secret would travel in the clear."""
    if found := setting_problems():
        return [Error(f"{problem}.", id="oauth_resource_server.E001") for problem in found]
    issuer: str = getattr(django_settings, NAME)["ISSUER"]
    if django_settings.DEBUG or issuer.startswith("https:"):
        return []
    return [
        Caution(
            f"{NAME}['ISSUER'] is not an https URL.",
            hint="Tokens and the secret of this API would be readable on their way.",
            id="oauth_resource_server.W001",
        )
    ]
