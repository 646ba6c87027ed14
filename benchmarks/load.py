"""A load generator: persistent connections, each of which sends a request when the last response has arrived.

It shares the processors with the server that it measures. So it uses one thread, one ``select`` and prepared bytes, and
no HTTP library. ``Run.generator_seconds`` is the processor time that it used.
"""

import json
import math
import selectors
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from urllib.parse import quote

_OK = b"200"


class Refused(Exception):
    """A response was not 200, so the measurement is invalid."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """The latencies of all requests of a run, and its duration, in seconds."""

    latencies: list[float]
    seconds: float
    generator_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, percent: int) -> float:
        """Return the latency that this percentage of the requests did not exceed."""
        return sorted(self.latencies)[max(0, -(-len(self.latencies) * percent // 100) - 1)]


class Requests:
    """The requests of one connection. ``next`` returns None when there are no more."""

    def next(self) -> bytes | None:
        raise NotImplementedError

    def responded(self, body: bytes) -> None:
        """Handle the response to the last request."""


class Repeated(Requests):
    """The same request every time."""

    def __init__(self, request: bytes) -> None:
        self.request = request

    def next(self) -> bytes:
        return self.request


class EachOnce(Requests):
    """The requests of an iterator. Several connections may share one."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.requests = requests

    def next(self) -> bytes | None:
        return next(self.requests, None)


class AtMost(Requests):
    """The first ``count`` requests of another source."""

    def __init__(self, source: Requests, count: int) -> None:
        self.source = source
        self.left = count

    def next(self) -> bytes | None:
        self.left -= 1
        return None if self.left < 0 else self.source.next()

    def responded(self, body: bytes) -> None:
        self.source.responded(body)


class Refreshes(Requests):
    """The requests of a client that refreshes: each sends the refresh token of the response before."""

    def __init__(self, refresh_token: str, *, path: str, authorization: str) -> None:
        self.refresh_token = refresh_token
        self.path = path
        self.authorization = authorization

    def next(self) -> bytes:
        form = f"grant_type=refresh_token&refresh_token={self.refresh_token}"
        return post(self.path, form, authorization=self.authorization)

    def responded(self, body: bytes) -> None:
        self.refresh_token = json.loads(body)["refresh_token"]


def basic(client_id: str, client_secret: str) -> str:
    """Return the value of an Authorization header (RFC 6749 §2.3.1)."""
    pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def post(path: str, form: str, *, authorization: str = "") -> bytes:
    headers = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n"
    return _request("POST", path, headers, authorization=authorization) + form.encode()


def get(path: str, *, authorization: str = "") -> bytes:
    return _request("GET", path, "", authorization=authorization)


def drive(ports: Iterable[int], sources: Iterable[Requests], *, seconds: float = math.inf) -> Run:
    """Send the requests of each source on a connection of its own, and wait for all responses.

    The connections are spread over the ports. The run ends after ``seconds``, or when there are no more requests.
    """
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        connections = [
            _Connection(port, source, latencies) for port, source in zip(cycle(ports), sources, strict=False)
        ]
        begun, processor = time.perf_counter(), time.process_time()
        until = begun + seconds
        for connection in connections:
            if connection.send():
                selector.register(connection.socket, selectors.EVENT_READ, connection.receive)
        while selector.get_map():
            for key, _events in selector.select():
                receive: Callable[[float], bool] = key.data
                if not receive(until):
                    selector.unregister(key.fileobj)
        run = Run(
            latencies=latencies,
            seconds=time.perf_counter() - begun,
            generator_seconds=time.process_time() - processor,
        )
        for connection in connections:
            connection.socket.close()
    return run


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The response to one request."""

    status: int
    body: bytes


def at_once(ports: Iterable[int], requests: list[bytes]) -> list[Answer]:
    """Send each request on a connection of its own, all before the first response is read, and return the answers.

    The connections are spread over the ports. Unlike ``drive``, it accepts any status.
    """
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            for port, _request in zip(cycle(ports), requests, strict=False)
        ]
        for connection, request in zip(sockets, requests, strict=True):
            connection.sendall(request)
        return [_answer(connection) for connection in sockets]


def _answer(connection: socket.socket) -> Answer:
    received = b""
    while (body := _whole_body(received)) is None:
        chunk = connection.recv(65536)
        if not chunk:
            raise Refused(f"The server closed the connection after {received!r}.")
        received += chunk
    return Answer(status=int(received[9:12]), body=body)


class _Connection:
    def __init__(self, port: int, source: Requests, latencies: list[float]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.source = source
        self.latencies = latencies
        self.received = b""
        self.sent_at = 0.0

    def send(self) -> bool:
        """Send the next request. Return whether there was one."""
        request = self.source.next()
        if request is None:
            return False
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)
        return True

    def receive(self, until: float) -> bool:
        """Read the bytes that have arrived. Return whether this connection expects more."""
        chunk = self.socket.recv(65536)
        self.received += chunk
        if not chunk:
            raise Refused(f"The server closed the connection after {self.received!r}.")
        body = _whole_body(self.received)
        if body is None:
            return True
        now = time.perf_counter()
        if self.received[9:12] != _OK:
            raise Refused(self.received.decode())
        self.latencies.append(now - self.sent_at)
        self.source.responded(body)
        self.received = b""
        return now < until and self.send()


def _whole_body(received: bytes) -> bytes | None:
    """Return the body if it is complete by its Content-Length, else None."""
    head, blank_line, body = received.partition(b"\r\n\r\n")
    if not blank_line:
        return None
    _before, _name, after = head.lower().partition(b"\r\ncontent-length:")
    return body if len(body) >= int(after.partition(b"\r\n")[0]) else None


def _request(method: str, path: str, headers: str, *, authorization: str) -> bytes:
    if authorization:
        headers += f"Authorization: {authorization}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: benchmark\r\n{headers}\r\n".encode()
