"""What ``far_api.py`` does to a server while its tokens are revoked: it kills, freezes, slows and garbles it."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Any

from benchmarks.server import Server, free_port, served, served_at

KINDS = ("kill", "freeze", "slow", "garble")
WATCHED_SECONDS = 3.0
"""How long after ``max_lag`` the API is watched."""
_SLOW_SECONDS = 1.5


class Proxy:
    """Listens at the address of the issuer, and forwards, slows or garbles the answers of the server."""

    def __init__(self, port: int, target: int) -> None:
        self.mode = "pass"
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _address = self.listener.accept()
            threading.Thread(target=self._carry_all, args=(client,), daemon=True).start()

    def _carry_all(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        threading.Thread(target=self._carry, args=(client, server, False), daemon=True).start()
        self._carry(server, client, True)

    def _carry(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        try:
            while piece := source.recv(65536):
                if is_answer and self.mode == "slow":
                    time.sleep(_SLOW_SECONDS)
                if is_answer and self.mode == "garble":
                    head, blank, body = piece.partition(b"\r\n\r\n")
                    piece = head + blank + body[::-1]
                sink.sendall(piece)
        except OSError:
            pass
        finally:
            for one in (source, sink):
                one.close()


def honoured_too_late(
    setup: Any,
    kind: str,
    *,
    number: int,
    max_lag: float,
    make: Callable[..., Any],
    keep: Callable[[int], Any],
    revoke: Callable[..., float],
    under_load: Callable[..., Any],
) -> int:
    """Revoke tokens, fail, and count requests that were sent more than ``max_lag`` after and honoured; then recover.

    Requests are counted until the server has recovered, and once more after that: each token must then be refused.
    """
    with ExitStack() as stack:
        issuer_port, port = free_port(), free_port()
        behind = make(setup.database_url, issuer_port=issuer_port)
        behind.like(setup)
        proxy = Proxy(issuer_port, port)
        restartable = stack.enter_context(_restartable(port, behind.site))
        far = stack.enter_context(served(behind.far_site()))
        keepers = [keep(far_port) for far_port in far.ports]
        tokens = behind.tokens(number)
        ask = {token: f"Bearer {token}" for token in tokens}
        for token in tokens * 3:
            for keeper in keepers:
                keeper.send("GET", "/far/", authorization=ask[token])
        with under_load(far.ports, behind.tokens(8)):
            if kind in {"slow", "garble"}:
                proxy.mode = kind
            answered = {token: revoke(keep(port), behind, token) for token in tokens}
            _fail(kind, restartable)
            late = _count_late(keepers, ask, answered, max_lag=max_lag)
            _recover(kind, restartable, proxy)
        time.sleep(max_lag + 1)
        statuses = [keeper.send("GET", "/far/", authorization=ask[token]) for token in tokens for keeper in keepers]
        return late + statuses.count(HTTPStatus.OK)


def _count_late(keepers: list[Any], ask: dict[str, str], answered: dict[str, float], *, max_lag: float) -> int:
    late, until = 0, max(answered.values()) + max_lag + WATCHED_SECONDS
    while time.monotonic() < until:
        for token, authorization in ask.items():
            for keeper in keepers:
                sent_at = time.monotonic()
                status = keeper.send("GET", "/far/", authorization=authorization)
                late += status == HTTPStatus.OK and sent_at > answered[token] + max_lag
    return late


class _Restartable:
    def __init__(self, port: int, of: Any) -> None:
        self.port, self.of = port, of
        self.stack = ExitStack()
        self.start()

    def start(self) -> None:
        self.server: Server = self.stack.enter_context(served_at(self.port, self.of))

    def signal(self, number: signal.Signals) -> None:
        for process in [*self.server.arbiters, *self.server.workers()]:
            os.kill(process, number)


@contextmanager
def _restartable(port: int, of: Any) -> Iterator[_Restartable]:
    made = _Restartable(port, of)
    try:
        yield made
    finally:
        made.stack.close()


def _fail(kind: str, server: _Restartable) -> None:
    if kind == "kill":
        server.signal(signal.SIGKILL)
    elif kind == "freeze":
        server.signal(signal.SIGSTOP)


def _recover(kind: str, server: _Restartable, proxy: Proxy) -> None:
    proxy.mode = "pass"
    if kind == "kill":
        server.start()
    elif kind == "freeze":
        server.signal(signal.SIGCONT)
