"""Settings that name who is informed: of each revocation, and of alarms."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from oauth_refresh.conf.values import HTTPS_URL, optional_callable

_SHORTEST_SECRET = 22  # 128 bits in base64url
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Where revocations are posted, and the secret that signs them. The path of the URL may be a secret as well."""

    url: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def host(self) -> str:
        return str(urlsplit(self.url).hostname)


def receivers(value: Any) -> tuple[Receiver, ...]:
    """Accept a list of ``{"url": …, "secret": …}``. No message of an error holds a value, which may be a secret."""
    if not isinstance(value, list | tuple) or not all(
        isinstance(members, Mapping) and members.keys() == {"url", "secret"} for members in value
    ):
        raise ValueError('write a list of {"url": ..., "secret": ...}')
    if not all(_is_url(members["url"]) for members in value):
        raise ValueError("write each url as an https URL without fragment, such as https://gateway.internal/purge")
    if not all(_is_secret(members["secret"]) for members in value):
        raise ValueError(f"write each secret as a string of at least {_SHORTEST_SECRET} printable ASCII characters")
    if len({members["url"] for members in value}) < len(value):
        raise ValueError("write each url once")
    return tuple(Receiver(url=members["url"], secret=members["secret"]) for members in value)


def _is_url(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(HTTPS_URL.fullmatch(value)) and urlsplit(value).port != 0
    except ValueError:  # a port over 65,535, or no IPv6 address in the brackets
        return False


def _is_secret(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= _SHORTEST_SECRET and value.isascii() and value.isprintable()


def alarm_recipients(value: Any) -> tuple[str, ...] | Callable[..., Any]:
    """Accept a list of mail addresses, or a callable, or the dotted path of one."""
    if isinstance(value, list | tuple) and all(isinstance(one, str) and _ADDRESS.fullmatch(one) for one in value):
        return tuple(value)
    if not (isinstance(value, str) or callable(value)):
        raise ValueError("write a list of mail addresses, a callable, or its dotted path")
    return cast("Callable[..., Any]", optional_callable(value))
