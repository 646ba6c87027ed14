"""Fetch what stands at an https address that others control: key sets, and metadata documents of clients.

So that the address cannot be used against us: https only, bounded in time and size, no redirect, and no address inside
our own network (server-side request forgery).
"""

import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from oauth_refresh.conf import app_settings

FETCH_ERRORS = (OSError, ValueError, RecursionError, HTTPException, TimeoutError)
"""What ``fetch`` raises, and what reading the JSON in its answer raises."""

_TIMEOUT_SECONDS = 3.0
_MAXIMUM_BYTES = 65_536  # a hundred RSA keys of 4,096 bits; the sender decides how much is sent
_MAXIMUM_RECEIVED = _MAXIMUM_BYTES + 32_768  # with the headers, and the marks between chunks

# Global unicast addresses. Others may embed an IPv4 address, and so lead into our own network (RFC 6052).
_GLOBAL_UNICAST = ip_network("2000::/3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer with status 200. The names of its ``headers`` are found in any case."""

    body: bytes
    headers: Message


def fetch(uri: str) -> Fetched:
    """Return what stands at an https ``uri``, within three seconds. Raises one of FETCH_ERRORS.

    The look-up of a name has no time limit, so its thread may be left running.
    """
    parts = urlsplit(uri)
    if parts.scheme != "https" or parts.hostname is None:
        raise ValueError("not https")
    connection = _PinnedHTTPSConnection(parts.hostname, parts.port or 443, timeout=_TIMEOUT_SECONDS)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="oauth_refresh_fetch")
    try:
        return pool.submit(_get, connection, target, time.monotonic() + _TIMEOUT_SECONDS).result(
            timeout=_TIMEOUT_SECONDS
        )
    finally:
        connection.shut_down()
        pool.shutdown(wait=False)


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


def _get(connection: _PinnedHTTPSConnection, target: str, deadline: float) -> Fetched:
    try:
        connection.request("GET", target)
        with connection.getresponse() as response:
            if response.status != HTTPStatus.OK:  # a redirect is refused like any other status
                raise ValueError("not 200")
            return Fetched(body=_read(response.read1, deadline), headers=response.headers)
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
