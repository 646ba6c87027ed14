"""One key of ``OAUTH_REFRESH``, and how values of each kind are checked and converted."""

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar, cast

from django.conf import settings as django_settings
from django.utils.functional import Promise
from django.utils.module_loading import import_string

T = TypeVar("T")

SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 §3.3
# An https URI; http is for a project that does not require https (a check). Its characters may stand in a header, a
# list separated by spaces, and an address: those of RFC 3986 §2 without the fragment.
HTTPS_URL = re.compile(
    r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?:[/?][A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)?"
)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_SCHEME = re.compile(r"[a-z][a-z0-9+-]*")
# What a browser or the system runs or opens itself: as a redirect URI, "javascript:" would run a script on this site.
_BROWSER_SCHEME = re.compile(
    r"about|blob|chrome|data|file|filesystem|ftp|https?|intent|jar|javascript|mailto|urn|vbscript|view-source|wss?"
)
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
            if callable(converted) or not isinstance(configured, _COMPARABLE):  # its changes cannot be seen
                return converted
            self._converted, self._configured = converted, deepcopy(configured)  # it may be changed in place
        return self._converted


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What tokens may be issued for (RFC 8707): its name for users, and its scopes; None: all of the project."""

    name: str | Promise
    scopes: tuple[str, ...] | None


def resources(value: Any) -> Mapping[str, Resource]:
    """Accept a dict of resource identifier to ``{"name": …, "scopes": […]}``, both of which may be left out."""
    if not isinstance(value, Mapping) or not all(isinstance(members, Mapping) for members in value.values()):
        raise ValueError('write a dict of resource identifier to {"name": ..., "scopes": [...]}')
    return {identifier: _resource(identifier, members) for identifier, members in value.items()}


def _resource(identifier: Any, members: Mapping[str, Any]) -> Resource:
    if not isinstance(identifier, str) or not HTTPS_URL.fullmatch(identifier):
        raise ValueError("write each resource as an https URI without fragment, such as https://api.example.com")
    if unknown := members.keys() - {"name", "scopes"}:
        raise ValueError(f"a resource has a name and scopes, no {', '.join(sorted(map(str, unknown)))}")
    name, scopes = members.get("name", identifier), members.get("scopes")
    if not isinstance(name, str | Promise):
        raise ValueError("write the name of each resource as a string")
    return Resource(name=name, scopes=None if scopes is None else names(scopes))


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


def callables(value: Any) -> tuple[Callable[..., Any], ...]:
    """Accept a list of dotted paths of callables."""
    if not isinstance(value, list | tuple) or not all(isinstance(path, str) for path in value):
        raise ValueError("write a list of dotted paths of callables")
    return tuple(cast("Callable[..., Any]", optional_callable(path)) for path in value)


def token_prefix(value: Any) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.replace("_", "").isalnum():
        raise ValueError("write ASCII letters, digits and underscores")
    return value


def optional_rate(value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and re.fullmatch(_RATE, value)):
        raise ValueError("write a number and a time, such as 20/min, or None")
    return value


def host_names(value: Any) -> tuple[str, ...] | None:
    """Accept a list of host names in ASCII, without port or wildcard, or None."""
    # A name with other letters is not converted: of the two ways to do so, one may lead to another host.
    if value is not None and not all(_HOST.fullmatch(name) for name in names(value)):
        raise ValueError("write a list of host names such as app.example.com, in ASCII and lower case, or None")
    return None if value is None else names(value)


def scheme_names(value: Any) -> tuple[str, ...]:
    """Accept a list of URI schemes of programs."""
    schemes = names(value)
    if not all(_SCHEME.fullmatch(name) for name in schemes):
        raise ValueError("write each scheme as in cursor://callback: cursor, in lower case and without a period")
    if refused := sorted(filter(_BROWSER_SCHEME.fullmatch, schemes)):
        raise ValueError(f"leave out {' '.join(refused)}: browsers and systems open such an address themselves")
    return schemes
