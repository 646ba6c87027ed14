"""Fetch public keys from an address that others control (RFC 7517 §5).

So that the address cannot be used against us: https only, bounded in time and size, no redirect, and no address inside
our own network (server-side request forgery).
"""

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, cast
from urllib.parse import urlsplit

from django.core.cache import cache

from oauth_refresh import jose
from oauth_refresh.conf import app_settings
from oauth_refresh.crypto import digest

_TIMEOUT_SECONDS = 3.0
_MAXIMUM_BYTES = 65_536  # a hundred RSA keys of 4,096 bits; the sender decides how much is sent
_MAXIMUM_RECEIVED = _MAXIMUM_BYTES + 32_768  # with the headers, and the marks between chunks
_SECONDS_BETWEEN_FETCHES = 60
_NO_KEYS: Mapping[str, Any] = {"keys": []}

# Global unicast addresses. Others may embed an IPv4 address, and so lead into our own network (RFC 6052).
_GLOBAL_UNICAST = ip_network("2000::/3")


class KeysUnavailable(Exception):
    """The keys could not be fetched, or are not a key set."""


def current_keys(token: jose.SignedJWT, *, jwks: Mapping[str, Any] | None, jwks_uri: str) -> Mapping[str, Any]:
    """Return the key set that should hold the key of ``token``: the registered one, or the one at ``jwks_uri``.

    A fetched set is cached. When it is old, or does not hold the key that a token names, one caller fetches it again,
    at most once a minute, while the others use the cached one. Raises KeysUnavailable if there is none.
    """
    if not jwks_uri:
        return jwks or _NO_KEYS
    name = f"oauth_refresh:jwks:{digest(jwks_uri)}"
    fetched, fresh_until = cache.get(name, (None, 0.0))
    if fetched is not None and time.time() < fresh_until and jose.has_key_for(token, fetched):
        return cast("Mapping[str, Any]", fetched)
    lifetime = app_settings.jwks_cache_lifetime.total_seconds()
    if cache.add(f"{name}:pause", True, min(_SECONDS_BETWEEN_FETCHES, lifetime)):
        fetched = fetch_jwks(jwks_uri)
        cache.set(name, (fetched, time.time() + lifetime), lifetime + _SECONDS_BETWEEN_FETCHES)
    if fetched is None:
        raise KeysUnavailable("the last attempt to fetch the keys failed a moment ago")
    return cast("Mapping[str, Any]", fetched)


def fetch_jwks(uri: str) -> Mapping[str, Any]:
    """Return the JWK set at an https URI, within three seconds. Raises KeysUnavailable."""
    try:
        return {"keys": jose.public_keys(jose.read_json(_download(uri)))}
    except jose.UnusableKey as error:
        raise KeysUnavailable("what was fetched is not a JWK set of a sensible size") from error
    except (OSError, ValueError, RecursionError, HTTPException, TimeoutError) as error:
        raise KeysUnavailable(f"the keys could not be fetched: {type(error).__name__}") from error


class _BoundedReader(RawIOBase):
    """Reads an answer as the server sends it. Raises OSError over the size limit.

    ``http.client`` limits a line, but not how many interim answers, chunks or trailers there are: a server that sends
    them without end would keep this process busy for all of the time limit.
    """

    def __init__(self, stream: BufferedReader) -> None:
        self._stream, self._left = stream, _MAXIMUM_RECEIVED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read1(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise OSError("too much")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = BufferedReader(_BoundedReader(self.fp))


class _PinnedHTTPSConnection(HTTPSConnection):
    """Connect to the address that was checked: the name may resolve to another one a moment later (DNS rebinding)."""

    response_class = _BoundedResponse

    def connect(self) -> None:
        address = _public_address(self.host, self.port)
        plain = socket.create_connection((address, self.port), timeout=self.timeout)
        try:
            self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)
        except OSError:
            plain.close()
            raise

    def shut_down(self) -> None:
        """End a read that the other thread may still be in."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


def _download(uri: str) -> bytes:
    """Return the body at ``uri`` in time. A look-up of a name has no time limit, so its thread may be left running."""
    parts = urlsplit(uri)
    if parts.scheme != "https" or parts.hostname is None:
        raise ValueError("not https")
    connection = _PinnedHTTPSConnection(parts.hostname, parts.port or 443, timeout=_TIMEOUT_SECONDS)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="oauth_refresh_jwks")
    try:
        return pool.submit(_get, connection, target, time.monotonic() + _TIMEOUT_SECONDS).result(
            timeout=_TIMEOUT_SECONDS
        )
    finally:
        connection.shut_down()
        pool.shutdown(wait=False)


def _get(connection: _PinnedHTTPSConnection, target: str, deadline: float) -> bytes:
    try:
        connection.request("GET", target)
        with connection.getresponse() as response:
            if response.status != HTTPStatus.OK:  # a redirect is refused like any other status
                raise ValueError("not 200")
            return _read(response.read1, deadline)
    finally:
        connection.close()


def _read(read: Callable[[int], bytes], deadline: float) -> bytes:
    """Return the whole body. Raises ValueError over the size limit or after the deadline."""
    body = b""
    while chunk := read(_MAXIMUM_BYTES):
        body += chunk
        if len(body) > _MAXIMUM_BYTES or time.monotonic() > deadline:
            raise ValueError("too much, or too slow")
    return body


def _public_address(host: str, port: int) -> str:
    """Return an address of ``host``. Raises OSError if any is not public, unless the project allows that."""
    addresses = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not app_settings.jwks_allow_private_addresses and not all(map(_is_public, addresses)):
        raise OSError("not a public address")
    return addresses[0]


def _is_public(text: str) -> bool:
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    embeds_ipv4 = address.sixtofour is not None or address.teredo is not None
    return address.is_global and address in _GLOBAL_UNICAST and not embeds_ipv4
