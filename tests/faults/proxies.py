"""Proxies that lose what passes them, at the worst moment, by a count and not by chance."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

BUFFER = 65_536


class Proxy(socketserver.ThreadingTCPServer):
    """Carries connections to a port of this machine. ``lose_every``: each how many-th occasion is a loss; 0: none."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, target: int, *, lose_every: int) -> None:
        self.target, self.lose_every = target, lose_every
        self.occasions = self.losses = 0
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Carrier)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @contextmanager
    def running(self) -> Iterator["Proxy"]:
        thread = threading.Thread(target=self.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()

    def mend(self) -> int:
        """Lose nothing any more; return how much was lost."""
        with self._lock:
            self.lose_every = 0
            return self.losses

    def loses_this(self) -> bool:
        """Count an occasion and return whether it is lost."""
        with self._lock:
            self.occasions += 1
            lost = self.lose_every > 0 and self.occasions % self.lose_every == 0
            self.losses += lost
            return lost

    def carry(self, client: socket.socket, server: socket.socket) -> None:
        raise NotImplementedError

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Either side may break off at any time: that is what this is about."""


class AnswerLoser(Proxy):
    """Before a web server: the request arrives and is carried out, but of some answers nothing comes back.

    For connections of one request each.
    """

    def carry(self, client: socket.socket, server: socket.socket) -> None:
        both_ends = threading.Thread(target=_pump, args=(client, server), daemon=True)
        both_ends.start()
        answer = b"".join(iter(lambda: server.recv(BUFFER), b""))
        if answer and not self.loses_this():
            client.sendall(answer)


class CommitBreaker(Proxy):
    """Before a database server: some connections break at COMMIT, with or without its having been carried out.

    On PostgreSQL a refresh is one statement, which commits by itself.
    """

    def __init__(self, target: int, *, lose_every: int, carried_out: bool) -> None:
        self.carried_out = carried_out
        super().__init__(target, lose_every=lose_every)

    def carry(self, client: socket.socket, server: socket.socket) -> None:
        breaking = threading.Event()

        def take_answers() -> None:
            with suppress(OSError):
                while answer := server.recv(BUFFER):
                    if breaking.is_set():
                        break
                    client.sendall(answer)
            _close(client, server)

        threading.Thread(target=take_answers, daemon=True).start()
        with suppress(OSError):
            before = b""
            while statement := client.recv(BUFFER):
                commits = statement.rstrip(b"\0").endswith(b"COMMIT") or (
                    b"WITH advanced AS" in statement and b"BEGIN" not in before
                )
                before = statement
                if commits and self.loses_this():
                    if not self.carried_out:
                        break
                    breaking.set()
                server.sendall(statement)
            else:
                _close(server)
        if not breaking.is_set():
            _close(client, server)


class _Carrier(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.server.target)) as server:
            self.server.carry(self.request, server)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(BUFFER):
            sink.sendall(piece)


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
