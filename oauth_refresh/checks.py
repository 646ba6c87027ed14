"""System checks: settings that are wrong or contradict each other, and what is unsafe in production."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Tags
from django.core.checks import Warning as Caution
from django.db import connections, router
from django.db.models import Model

from oauth_refresh.conf import AppSettings, Setting, app_settings, user_settings
from oauth_refresh.models import AccessToken, Application, Grant, GrantEvent, GrantType, RefreshToken
from oauth_refresh.services.transactions import write_alias
from oauth_refresh.signals import DEACTIVATION_UID, refresh_token_exchanged

_INSECURE_KEY_PREFIX = "django-insecure-"


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Find keys that do not exist and values that cannot be used."""
    if not isinstance(getattr(django_settings, "OAUTH_REFRESH", {}), Mapping):
        return [Error("OAUTH_REFRESH is no dict.", hint="Write OAUTH_REFRESH = {...}.", id="oauth_refresh.E001")]
    declared = {setting.key: setting for setting in AppSettings.declared()}
    unknown = [
        Error(
            f"OAUTH_REFRESH[{key!r}] is no setting.",
            hint=f"Choose from: {', '.join(sorted(declared))}.",
            id="oauth_refresh.E001",
        )
        for key in user_settings()
        if key not in declared
    ]
    unusable = [
        Error(f"OAUTH_REFRESH[{setting.key!r}] cannot be used: {problem}.", id="oauth_refresh.E002")
        for setting in declared.values()
        if (problem := _problem(setting)) is not None
    ]
    # What cannot be read cannot be compared either.
    return [*unknown, *(unusable or _contradictions())]


def _problem(setting: Setting[Any]) -> str | None:
    try:
        setting.__get__(app_settings, AppSettings)
    except ValueError as error:
        return str(error)
    return None


def _contradictions() -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    longest = app_settings.grant_lifetime
    lifetimes = {
        "ACCESS_TOKEN_LIFETIME": app_settings.access_token_lifetime,
        "REFRESH_TOKEN_LIFETIME": app_settings.refresh_token_lifetime,
        **({} if longest is None else {"GRANT_LIFETIME": longest}),
    }
    messages += [
        Error(
            f"OAUTH_REFRESH[{shorter!r}] is longer than OAUTH_REFRESH[{longer!r}].",
            hint="A token cannot outlive what it depends on; shorten the first or lengthen the second.",
            id="oauth_refresh.E003",
        )
        for shorter, longer in pairwise(lifetimes)
        if lifetimes[shorter] > lifetimes[longer]
    ]
    if app_settings.retry_window:
        messages.append(
            Error(
                "OAUTH_REFRESH['RETRY_WINDOW'] is above 0, but this version has no retry window yet.",
                hint="Leave it at 0: a refresh token is single use.",
                id="oauth_refresh.E004",
            )
        )
    unknown_scopes = [name for name in app_settings.default_scopes if name not in app_settings.scopes]
    if unknown_scopes:
        messages.append(
            Error(
                f"OAUTH_REFRESH['DEFAULT_SCOPES'] names scopes that SCOPES does not: {' '.join(unknown_scopes)}.",
                hint="Add them to SCOPES with the text a user reads, or leave them out.",
                id="oauth_refresh.E005",
            )
        )
    return messages


def check_receiver(**kwargs: Any) -> list[CheckMessage]:
    """Find out whether the receiver that spends old refresh tokens is connected; without it every refresh is 503."""
    if any(lookup_key[0] == DEACTIVATION_UID for lookup_key, *_ in refresh_token_exchanged.receivers):
        return []
    return [
        Error(
            "oauth_refresh.receivers.deactivate_old_refresh_tokens is not connected, so every refresh will be refused.",
            hint="Do not disconnect it from refresh_token_exchanged; to refuse a refresh, raise RefreshVetoed.",
            id="oauth_refresh.E006",
        )
    ]


def check_one_database(**kwargs: Any) -> list[CheckMessage]:
    """Find models of the app, or users, that are routed to different databases."""
    models: list[type[Model]] = [Grant, Application, RefreshToken, AccessToken, GrantEvent, get_user_model()]
    elsewhere = [model._meta.label for model in models if router.db_for_write(model) != write_alias()]
    if not elsewhere:
        return []
    return [
        Error(
            f"These models are not written to the database of oauth_refresh.Grant: {', '.join(elsewhere)}.",
            hint="Route all models of oauth_refresh and the user model to one database: a refresh is one transaction.",
            id="oauth_refresh.E007",
        )
    ]


def check_isolation(**kwargs: Any) -> list[CheckMessage]:
    """Find an isolation level other than READ COMMITTED, which the conditional updates are made for."""
    connection = connections[write_alias()]
    level = connection.settings_dict.get("OPTIONS", {}).get("isolation_level")
    if level is None or str(getattr(level, "name", level)).replace("_", " ").lower() in {"read committed", "2"}:
        return []
    return [
        Caution(
            f"The database {connection.alias!r} runs at isolation level {level!r}.",
            hint="Remove isolation_level from OPTIONS; Django's default, READ COMMITTED, shows a loser who won.",
            id="oauth_refresh.W001",
        )
    ]


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
            "REQUIRE_HTTPS is off, so secrets and tokens may travel in the clear.",
            "Leave it out, and see SECURE_PROXY_SSL_HEADER if a proxy ends TLS.",
            "oauth_refresh.W003",
        ),
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
            not app_settings.revoke_on_reuse,
            "REVOKE_ON_REUSE is off, so a thief who was noticed keeps the session.",
            "Leave it on.",
            "oauth_refresh.W006",
        ),
    ]
    return [Caution(message, hint=hint, id=id_) for found, message, hint, id_ in findings if found]


ALL = (
    (check_settings, Tags.security, False),
    (check_receiver, Tags.signals, False),
    (check_one_database, Tags.models, False),
    (check_isolation, Tags.models, False),
    (check_deployment, Tags.security, True),
)
