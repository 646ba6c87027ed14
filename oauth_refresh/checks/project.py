"""The project around the app: its receivers, databases and applications."""

from collections.abc import Collection
from typing import Any

from django.apps import apps
from django.conf import global_settings
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.db import connections, router
from django.db.models import Model
from django.urls import Resolver404, resolve

from oauth_refresh.conf import app_settings
from oauth_refresh.models import Application, GrantType
from oauth_refresh.services.db import db_alias
from oauth_refresh.signals import DEACTIVATION_UID, refresh_token_exchanged

_TOOLKIT = "oauth_refresh.contrib.toolkit"


def check_receiver(**kwargs: Any) -> list[CheckMessage]:
    """Check that the receiver that spends old refresh tokens is connected; without it every refresh is 503."""
    # By its dispatch_uid, since has_listeners() would also count receivers of the project.
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
    models: list[type[Model]] = [*apps.get_app_config("oauth_refresh").get_models(), get_user_model()]
    elsewhere = [model._meta.label for model in models if router.db_for_write(model) != db_alias()]
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
    connection = connections[db_alias()]
    level = connection.settings_dict.get("OPTIONS", {}).get("isolation_level")
    if level is None or str(getattr(level, "name", level)).replace("_", " ").lower() in {"read committed", "2"}:
        return []
    return [
        Caution(
            f"The database {connection.alias!r} runs at isolation level {level!r}.",
            hint="Remove isolation_level from OPTIONS: under Django's default, READ COMMITTED, each race has a winner.",
            id="oauth_refresh.W001",
        )
    ]


def check_issuer_is_set(*, databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Find applications that need an issuer where there is none; runs only where the database is looked at."""
    alias = db_alias()
    if app_settings.issuer is not None or alias not in (databases or ()):
        return []
    if Application._meta.db_table not in connections[alias].introspection.table_names():
        return []
    columns = ("client_id", "auth_method", "grant_types", "redirect_uris")
    rows = Application.objects.using(alias).filter(is_active=True).only(*columns)
    offers_codes = GrantType.AUTHORIZATION_CODE in app_settings.grant_types
    missing = [
        application.client_id
        for application in rows
        if application.uses_assertion
        or (offers_codes and application.redirect_uris and application.allows_grant_type(GrantType.AUTHORIZATION_CODE))
    ]
    if not missing:
        return []
    return [
        Error(
            f"OAUTH_REFRESH['ISSUER'] is not set, but these applications need it: {', '.join(missing)}.",
            hint="Set it to the https URL of this server; authorization_code and private_key_jwt depend on it.",
            id="oauth_refresh.E009",
        )
    ]


def check_imported_secrets(*, databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Find imported secrets that are too short for a digest; runs only where the database is looked at."""
    alias = db_alias()
    if (
        alias not in (databases or ())
        or Application._meta.db_table not in connections[alias].introspection.table_names()
    ):
        return []
    rows = Application.objects.using(alias).filter(is_active=True, imported_secret_is_short=True).order_by("client_id")
    short = list(rows.values_list("client_id", flat=True))
    if not short:
        return []
    return [
        Caution(
            f"The imported secrets of these applications are short: {', '.join(short)}.",
            hint="Replace them in the admin: they may be guessed, and each request takes as long as a login.",
            id="oauth_refresh.W029",
        )
    ]


def check_toolkit(**kwargs: Any) -> list[CheckMessage]:
    """Find the importer for django-oauth-toolkit without the apps that it reads: each unknown text would be 503."""
    # The module of the function, since a project may name it by a path of its own.
    is_used = any(getattr(importer, "__module__", "") == _TOOLKIT for importer in app_settings.foreign_tokens)
    missing = [name for name in ("oauth2_provider", _TOOLKIT) if not apps.is_installed(name)]
    if not is_used or not missing:
        return []
    return [
        Error(
            "OAUTH_REFRESH['FOREIGN_TOKENS'] names the importer for django-oauth-toolkit, but these apps are not "
            f"installed: {', '.join(missing)}.",
            hint="Add them to INSTALLED_APPS; or, once all sessions were moved, remove it from FOREIGN_TOKENS.",
            id="oauth_refresh.E024",
        )
    ]


def check_login_url(**kwargs: Any) -> list[CheckMessage]:
    """Find Django's default ``LOGIN_URL`` where there is no such page: users could not sign in to allow anything."""
    is_in_use = app_settings.issuer is not None and GrantType.AUTHORIZATION_CODE in app_settings.grant_types
    is_default = django_settings.LOGIN_URL == global_settings.LOGIN_URL
    if not is_in_use or not is_default or not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    try:
        resolve(global_settings.LOGIN_URL)
    except Resolver404:
        return [
            Caution(
                f"LOGIN_URL is Django's default, {global_settings.LOGIN_URL}, and the project has no such page.",
                hint="Set LOGIN_URL to the page where users sign in: the consent page and their own pages need it.",
                id="oauth_refresh.W014",
            )
        ]
    return []
