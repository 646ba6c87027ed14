"""What should not go to production; run by ``check --deploy``."""

from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as Caution

from oauth_refresh.conf import app_settings
from oauth_refresh.models import GrantType

_INSECURE_KEY_PREFIX = "django-insecure-"


def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """Find what should not go to production; runs with ``check --deploy``."""
    findings = [
        (
            not app_settings.rotate_refresh_tokens,
            "ROTATE_REFRESH_TOKENS is off, so a stolen refresh token goes unnoticed.",
            "Leave it on, and switch it off only for single confidential applications.",
            "oauth_refresh.W002",
        ),
        (
            not app_settings.https_is_required,
            "Plain http is accepted, so secrets and tokens may travel in the clear.",
            "Turn DEBUG off and leave REQUIRE_HTTPS out; see SECURE_PROXY_SSL_HEADER if a proxy ends TLS.",
            "oauth_refresh.W003",
        ),
        # Each of these is allowed, since a migration or a test may need it for a time.
        (
            GrantType.PASSWORD in app_settings.grant_types,
            "The password grant is in use, so applications see users' passwords (RFC 9700 §2.4).",
            "Remove 'password' from GRANT_TYPES once the migration that needs it is over.",
            "oauth_refresh.W004",
        ),
        (
            str(django_settings.SECRET_KEY).startswith(_INSECURE_KEY_PREFIX),
            "SECRET_KEY is one that Django made for development; password fingerprints depend on it.",
            "Set a long random SECRET_KEY of your own.",
            "oauth_refresh.W005",
        ),
        (
            not django_settings.USE_TZ,
            "USE_TZ is off, so in the night the clocks go back every token is valid for an hour longer.",
            "Set USE_TZ = True.",
            "oauth_refresh.W007",
        ),
        (
            not app_settings.revoke_on_reuse,
            "REVOKE_ON_REUSE is off, so a stolen refresh token stays usable although its reuse was noticed.",
            "Leave it on.",
            "oauth_refresh.W006",
        ),
    ]
    return [Caution(message, hint=hint, id=id_) for found, message, hint, id_ in findings if found]
