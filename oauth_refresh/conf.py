"""The project's ``OAUTH_REFRESH`` dict, read late and typed: one attribute per key."""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from datetime import timedelta
from typing import Any, Generic, TypeVar, cast

from django.conf import settings as django_settings
from django.utils.functional import Promise
from django.utils.module_loading import import_string

T = TypeVar("T")

SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 §3.3
_RATE = r"[1-9][0-9]{0,5}/(s|sec|m|min|h|hour|d|day)"
LONGEST_DURATION = timedelta(days=36_525)
_COMPARABLE = (bool, dict, frozenset, int, list, set, str, timedelta, tuple, type(None))


class Setting(Generic[T]):
    """One key of the dict: its default, and how a value is checked and converted.

    ``convert`` returns the value as the rest of the code sees it, or raises ValueError with what to write instead.
    """

    def __init__(self, default: T, convert: Callable[[Any], T], help_text: str) -> None:
        self.default = default
        self.convert = convert
        self.help_text = help_text
        # What was configured when it was last converted; the setting itself stands for a key that is left out.
        self._configured, self._converted = cast("Any", self), default

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = name.upper()

    def __get__(self, instance: object, owner: type) -> T:
        settings = getattr(django_settings, "OAUTH_REFRESH", None)
        configured = settings.get(self.key, self) if isinstance(settings, Mapping) else self
        if configured is self:
            return self.default
        if type(configured) is not type(self._configured) or configured != self._configured:
            converted = self.convert(configured)
            if callable(converted) or not isinstance(configured, _COMPARABLE):  # it may change without our knowing
                return converted
            self._converted, self._configured = converted, copy(configured)  # a list may be changed in place
        return self._converted


def user_settings() -> Mapping[str, Any]:
    """Return the project's own dict, as written; nothing if it is not a dict, which a check complains of."""
    configured = getattr(django_settings, "OAUTH_REFRESH", {})
    return configured if isinstance(configured, Mapping) else {}


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write True or False")
    return value


def optional_boolean(value: Any) -> bool | None:
    return None if value is None else boolean(value)


def duration(value: Any) -> timedelta:
    """Accept a timedelta or a whole number of seconds, not negative."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = _seconds(value)
    if not isinstance(value, timedelta) or not timedelta(0) <= value <= LONGEST_DURATION:
        raise ValueError("write a timedelta or a number of seconds, not negative and at most a hundred years")
    return value


def _seconds(number: int) -> timedelta | None:
    try:
        return timedelta(seconds=number)
    except OverflowError:
        return None


def lifetime(value: Any) -> timedelta:
    converted = duration(value)
    if converted < timedelta(seconds=1):
        raise ValueError("write a timedelta or a number of seconds, at least one second")
    return converted


def optional_lifetime(value: Any) -> timedelta | None:
    return None if value is None else lifetime(value)


def count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("write a whole number, not negative")
    return value


def names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset):
        raise ValueError("write a list of strings")
    if not all(isinstance(name, str) and name and " " not in name for name in value):
        raise ValueError("write a list of strings, each without spaces")
    return tuple(value)


def scope_texts(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and SCOPE_TOKEN.fullmatch(name) for name in value
    ):
        raise ValueError(
            "write a dict of scope name, in ASCII without spaces and quotes, to the text that a user reads"
        )
    if not all(isinstance(text, str | Promise) for text in value.values()):
        raise ValueError("write each scope's text as a string")
    return value


def optional_text(value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and value):
        raise ValueError("write a string or None")
    return value


def optional_callable(value: Any) -> Callable[..., Any] | None:
    """Accept a callable, or the dotted path of one."""
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError as error:
            raise ValueError(f"write the dotted path of a callable ({error})") from error
    if value is not None and not callable(value):
        raise ValueError("write a callable, its dotted path, or None")
    return cast("Callable[..., Any] | None", value)


def token_prefix(value: Any) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.replace("_", "").isalnum():
        raise ValueError("write ASCII letters, digits and underscores")
    return value


def optional_rate(value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and re.fullmatch(_RATE, value)):
        raise ValueError("write a number and a time, such as 20/min, or None")
    return value


class AppSettings:
    """Every key that ``OAUTH_REFRESH`` may hold. Read attributes of the one instance, ``conf.app_settings``."""

    access_token_lifetime = Setting(timedelta(hours=1), lifetime, "How long an access token is valid.")
    refresh_token_lifetime = Setting(
        timedelta(days=14),
        lifetime,
        "How long a refresh token may stay unused (idle limit); each rotation restarts it.",
    )
    grant_lifetime = Setting[timedelta | None](
        timedelta(days=90),
        optional_lifetime,
        "How long a grant may last in all, however often it is refreshed; None: no limit.",
    )
    remember_consent = Setting(
        True,
        boolean,
        "Whether users with an active grant are not asked again for the same scopes, until the redirect URIs change.",
    )
    allow_localhost_ports = Setting(
        False, boolean, "Whether http://localhost matches on any port, as the addresses 127.0.0.1 and [::1] always do."
    )
    code_lifetime = Setting(
        timedelta(seconds=60), lifetime, "How long an authorization code may wait for its redemption."
    )
    rotate_refresh_tokens = Setting(
        True, boolean, "Whether a refresh spends the refresh token. Public applications always rotate."
    )
    revoke_on_reuse = Setting(
        True, boolean, "Whether a spent refresh token that is used again revokes the whole grant."
    )
    retry_window = Setting(
        timedelta(0),
        duration,
        "How long a spent refresh token is answered with the current pair, and the old access token accepted; 0: no.",
    )
    retry_limit = Setting(20, count, "How many spent refresh tokens are answered between two refreshes.")
    revoke_access_tokens_on_refresh = Setting(
        True, boolean, "Whether a rotation revokes the access token that came with the spent refresh token."
    )
    revoke_grant_with_access_token = Setting(
        True, boolean, "Whether revoking an access token revokes its whole grant, or that token alone."
    )
    revoke_on_password_change = Setting(True, boolean, "Whether a changed password revokes the user's grants.")
    grant_types = Setting[tuple[str, ...]](
        ("authorization_code", "client_credentials", "refresh_token"),
        names,
        "The grant types this server offers at all.",
    )
    refresh_token_grant_types = Setting[tuple[str, ...]](
        ("authorization_code", "password", "jwt-bearer"), names, "The grant types that yield a refresh token."
    )
    scopes = Setting[Mapping[str, str]]({}, scope_texts, "Scope name to the text that a user reads.")
    default_scopes = Setting[tuple[str, ...]]((), names, "Granted when none is named; empty: the application's list.")
    scope_policy = Setting[Callable[..., Any] | None](
        None,
        optional_callable,
        "Callable (user, application, scopes): the scopes that the user may grant now; asked again at each refresh.",
    )
    token_response_fields = Setting[Callable[..., Any] | None](
        None, optional_callable, "Callable (grant, grant_type): a dict of further members of the token response."
    )
    introspection_fields = Setting[Callable[..., Any] | None](
        None, optional_callable, "Callable (token): a dict of further members of the answer about an active token."
    )
    issuer = Setting[str | None](None, optional_text, "The issuer URL of this server.")
    clock_skew = Setting(timedelta(seconds=30), duration, "How far the clocks of other parties may differ from ours.")
    assertion_lifetime = Setting(timedelta(hours=1), lifetime, "How far ahead an assertion may expire.")
    accept_token_endpoint_as_audience = Setting(
        False,
        boolean,
        "Whether a client assertion may name the token endpoint as audience, as before draft-ietf-oauth-rfc7523bis.",
    )
    jwks_cache_lifetime = Setting(timedelta(minutes=10), lifetime, "How long a fetched key set is used.")
    jwks_allow_private_addresses = Setting(False, boolean, "Whether key sets may be fetched from private addresses.")
    require_https = Setting[bool | None](None, optional_boolean, "Whether plain http is refused; default: not DEBUG.")
    failure_rate = Setting[str | None](
        "20/min",
        optional_rate,
        "How many wrong secrets or passwords one address may send for one client or user; None: no limit.",
    )
    num_proxies = Setting(0, count, "How many trusted proxies append to X-Forwarded-For; 0: the header is not read.")
    record_client_info = Setting(True, boolean, "Whether address and user agent are stored with grants and refreshes.")
    authorization_code_prefix = Setting("oac_", token_prefix, "What every authorization code begins with.")
    access_token_prefix = Setting(
        "oat_", token_prefix, "What every access token begins with (secret scanners key on it)."
    )
    refresh_token_prefix = Setting("ort_", token_prefix, "What every refresh token begins with.")

    @property
    def https_is_required(self) -> bool:
        return not django_settings.DEBUG if self.require_https is None else self.require_https

    @staticmethod
    def declared() -> Iterator[Setting[Any]]:
        """Yield every setting there is."""
        return (member for member in vars(AppSettings).values() if isinstance(member, Setting))


app_settings = AppSettings()
