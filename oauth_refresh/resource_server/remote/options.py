"""What the arguments of ``RemoteTokens`` must be: the same rules for its callers and for the check of the settings."""

import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit


def problems(options: Mapping[str, Any]) -> dict[str, str]:
    """Return by name what is wrong with the options that cannot be used, and what to write instead."""
    found = {
        name: f"write {expected}" for name, (is_usable, expected) in _RULES.items() if not is_usable(options.get(name))
    }
    if not found and options["poll_interval"] >= options["max_lag"]:
        found["poll_interval"] = "write less than max_lag, else no kept answer ever counts"
    return found


def _is_issuer(value: Any) -> bool:
    if not isinstance(value, str) or value.strip() != value:
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query and not parts.fragment
    except ValueError:
        return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_SECONDS = "a number of seconds above 0"
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "issuer": (_is_issuer, "the issuer URL of the authorization server, such as https://auth.example.com"),
    "client_id": (_is_text, "the client ID of this API"),
    "client_secret": (_is_text, "the client secret of this API"),
    "resource": (lambda value: value is None or _is_text(value), "what the audience of tokens must contain, or None"),
    "max_age": (lambda value: _is_number(value) and value >= 0, "a number of seconds, 0 to keep nothing"),
    "poll_interval": (lambda value: _is_number(value) and value > 0, _SECONDS),
    "max_lag": (lambda value: _is_number(value) and value > 0, _SECONDS),
    "timeout": (lambda value: _is_number(value) and value > 0, _SECONDS),
}
