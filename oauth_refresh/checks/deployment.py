"""What should not go to production; run by ``check --deploy``."""

from datetime import timedelta
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as Caution

from oauth_refresh.conf import app_settings
from oauth_refresh.models import GrantType
from oauth_refresh.models.risks import LONG_ACCESS, LONG_GRANT, LONG_IDLE, LONG_RETRY

_INSECURE_KEY_PREFIX = "django-insecure-"
_LONG_CODE = timedelta(minutes=10)  # RFC 6749 §4.1.2
_LONG_ASSERTION = timedelta(days=1)
_LONG_SKEW = timedelta(minutes=5)
_LONG_KEYS = timedelta(days=1)  # a key that its owner withdrew is accepted meanwhile


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
        (
            not app_settings.revoke_on_password_change,
            "REVOKE_ON_PASSWORD_CHANGE is off, so stolen tokens stay valid when the user changes the password.",
            "Leave it on.",
            "oauth_refresh.W025",
        ),
        (
            app_settings.jwks_allow_private_addresses,
            "JWKS_ALLOW_PRIVATE_ADDRESSES is on, so a jwks_uri can make this server call internal services.",
            "Leave it off, and store the keys themselves where a key server is internal.",
            "oauth_refresh.W026",
        ),
        (
            app_settings.client_id_metadata_documents and app_settings.client_id_metadata_hosts is None,
            "CLIENT_ID_METADATA_DOCUMENTS is on for every host, so anyone can ask your users for access.",
            "Name the hosts in CLIENT_ID_METADATA_HOSTS, or silence this check if any application may ask.",
            "oauth_refresh.W028",
        ),
    ]
    return [Caution(message, hint=hint, id=id_) for found, message, hint, id_ in findings if found]


def check_lifetimes(**kwargs: Any) -> list[CheckMessage]:
    """Find lifetimes that let a stolen credential work for long; runs with ``check --deploy``."""
    lifetimes = (
        ("ACCESS_TOKEN_LIFETIME", app_settings.access_token_lifetime, LONG_ACCESS, "a day"),
        ("REFRESH_TOKEN_LIFETIME", app_settings.refresh_token_lifetime, LONG_IDLE, "90 days"),
        ("GRANT_LIFETIME", app_settings.grant_lifetime or timedelta.max, LONG_GRANT, "a year"),
        ("RETRY_WINDOW", app_settings.retry_window, LONG_RETRY, "5 minutes"),
        ("CODE_LIFETIME", app_settings.code_lifetime, _LONG_CODE, "10 minutes"),
        ("ASSERTION_LIFETIME", app_settings.assertion_lifetime, _LONG_ASSERTION, "a day"),
        ("CLOCK_SKEW", app_settings.clock_skew, _LONG_SKEW, "5 minutes"),
        ("JWKS_CACHE_LIFETIME", app_settings.jwks_cache_lifetime, _LONG_KEYS, "a day"),
    )
    return [
        Caution(
            f"OAUTH_REFRESH[{key!r}] allows more than {words}: a stolen token or a withdrawn key works that long.",
            hint="Shorten it, or leave it out: the default is safe.",
            id="oauth_refresh.W027",
        )
        for key, lifetime, longest, words in lifetimes
        if lifetime > longest
    ]
