"""The project's settings: keys that do not exist, values that cannot be used, and values that contradict each other."""

import re
from collections.abc import Mapping
from itertools import pairwise, permutations
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error

from oauth_refresh.conf import AppSettings, app_settings, user_settings
from oauth_refresh.conf.values import Setting
from oauth_refresh.models import GrantType
from oauth_refresh.scopes import scope_texts

_ISSUER = (
    r"(?P<scheme>https?)://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~!$&'()*+,;=:@/-]*)?"
)


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Find keys that do not exist and values that cannot be used."""
    if not isinstance(getattr(django_settings, "OAUTH_REFRESH", {}), Mapping):
        return [Error("OAUTH_REFRESH is not a dict.", hint="Write OAUTH_REFRESH = {...}.", id="oauth_refresh.E001")]
    declared = {setting.key: setting for setting in AppSettings.declared()}
    unknown = [
        Error(
            f"OAUTH_REFRESH[{key!r}] is not a setting.",
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


def are_readable() -> bool:
    """Whether every setting can be used, so that other checks may read them."""
    return all(_problem(setting) is None for setting in AppSettings.declared())


def _problem(setting: Setting[Any]) -> str | None:
    try:
        setting.__get__(app_settings, AppSettings)
    except ValueError as error:
        return str(error)
    return None


def _contradictions() -> list[CheckMessage]:
    return [*_lifetimes_out_of_order(), *_unknown_words(), *_unusable_choices()]


def _lifetimes_out_of_order() -> list[CheckMessage]:
    longest = app_settings.grant_lifetime
    lifetimes = {
        "ACCESS_TOKEN_LIFETIME": app_settings.access_token_lifetime,
        "REFRESH_TOKEN_LIFETIME": app_settings.refresh_token_lifetime,
        **({} if longest is None else {"GRANT_LIFETIME": longest}),
    }
    return [
        Error(
            f"OAUTH_REFRESH[{shorter!r}] is longer than OAUTH_REFRESH[{longer!r}].",
            hint="A token cannot outlive what it depends on; shorten the first or lengthen the second.",
            id="oauth_refresh.E003",
        )
        for shorter, longer in pairwise(lifetimes)
        if lifetimes[shorter] > lifetimes[longer]
    ]


def _unknown_words() -> list[CheckMessage]:
    short_names = {name.rpartition(":")[2] for name in GrantType.values}
    grant_types = [
        *(name for name in app_settings.grant_types if name not in GrantType.values),
        *(name for name in app_settings.refresh_token_grant_types if name not in short_names),
    ]
    scopes = [name for name in app_settings.default_scopes if name not in scope_texts()]
    findings = (
        (
            scopes,
            f"OAUTH_REFRESH['DEFAULT_SCOPES'] names scopes that are not in SCOPES: {' '.join(scopes)}.",
            "Add them to SCOPES with the text a user reads, or leave them out.",
            "oauth_refresh.E005",
        ),
        (
            grant_types,
            f"OAUTH_REFRESH names grant types that do not exist: {' '.join(grant_types)}.",
            f"Choose from: {', '.join(GrantType.values)}; REFRESH_TOKEN_GRANT_TYPES writes jwt-bearer.",
            "oauth_refresh.E010",
        ),
    )
    return [Error(message, hint=hint, id=id_) for found, message, hint, id_ in findings if found]


def _unusable_choices() -> list[CheckMessage]:
    prefixes = (
        app_settings.access_token_prefix,
        app_settings.authorization_code_prefix,
        app_settings.refresh_token_prefix,
    )
    findings = (
        (
            app_settings.retry_window >= app_settings.access_token_lifetime,
            "OAUTH_REFRESH['RETRY_WINDOW'] is not shorter than OAUTH_REFRESH['ACCESS_TOKEN_LIFETIME'].",
            "Shorten it, to 30 seconds for instance: a retry must find the access token valid.",
            "oauth_refresh.E004",
        ),
        (
            any(one.startswith(other) for one, other in permutations(prefixes, 2)),
            "The prefixes of access tokens, refresh tokens and codes do not tell them apart.",
            "Let none of the three begin with another.",
            "oauth_refresh.E011",
        ),
    )
    return [Error(message, hint=hint, id=id_) for found, message, hint, id_ in findings if found]


def check_resources(**kwargs: Any) -> list[CheckMessage]:
    """Find resources whose tokens no client could get, or whose metadata no client could accept (RFC 9728)."""
    resources = app_settings.resources
    named = {name for resource in resources.values() for name in resource.scopes or ()}
    unknown = sorted(named - app_settings.scopes.keys())
    plain = [name for name in resources if name.startswith("http:") and app_settings.https_is_required]
    findings = (
        (
            unknown,
            f"OAUTH_REFRESH['RESOURCES'] names scopes that are not in SCOPES: {' '.join(unknown)}.",
            "Add them to SCOPES with the text a user reads, or leave them out.",
        ),
        (
            plain,
            f"OAUTH_REFRESH['RESOURCES'] names resources without https: {' '.join(plain)}.",
            "Write the https addresses of the APIs: access tokens must not be sent in the clear.",
        ),
        (
            resources and app_settings.issuer is None,
            "OAUTH_REFRESH['RESOURCES'] is set, but not OAUTH_REFRESH['ISSUER'].",
            "Set the issuer: the metadata of a resource names the server that issues its tokens.",
        ),
    )
    return [Error(message, hint=hint, id="oauth_refresh.E021") for found, message, hint in findings if found]


def check_receivers(**kwargs: Any) -> list[CheckMessage]:
    """Find receivers of revocations that are posted to in the clear."""
    if not app_settings.https_is_required:
        return []
    return [
        Error(
            f"OAUTH_REFRESH['REVOCATION_RECEIVERS'] has a url without https at the host {receiver.host}.",
            hint="Write its https address: what is posted names users and applications.",
            id="oauth_refresh.E023",
        )
        for receiver in app_settings.revocation_receivers
        if receiver.url.startswith("http:")
    ]


def check_issuer(**kwargs: Any) -> list[CheckMessage]:
    """Find an issuer that no client could accept (RFC 8414 §2, RFC 9207 §2)."""
    issuer = app_settings.issuer
    if issuer is None:
        return []
    form = re.fullmatch(_ISSUER, issuer)
    if form is not None and (form["scheme"] == "https" or not app_settings.https_is_required):
        return []
    return [
        Error(
            "OAUTH_REFRESH['ISSUER'] is not an issuer URL.",
            hint="Write an https URL with a host and without query or fragment, such as https://auth.example.com.",
            id="oauth_refresh.E008",
        )
    ]
