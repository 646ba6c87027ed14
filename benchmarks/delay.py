"""A proxy before a database server that makes it farther away; run in a process of its own, beside what it delays."""

import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from time import perf_counter

_BUFFER = 65_536


class Delay:
    """Carries connections to a server. What it carries arrives half of the round trip later, in each direction.

    One thread and ``select``, whose timeout is exact to the microsecond: that of ``epoll`` is whole milliseconds.
    """

    def __init__(self, target: tuple[str, int], *, round_trip: float) -> None:
        self.target, self.one_way = target, round_trip / 2
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.peers: dict[socket.socket, socket.socket] = {}
        self.on_the_way: deque[tuple[float, socket.socket, bytes]] = deque()

    def run(self) -> None:
        while True:
            wait = max(0.0, self.on_the_way[0][0] - perf_counter()) if self.on_the_way else None
            for source in select([self.listener, *self.peers], [], [], wait)[0]:
                if source is self.listener:
                    self._accept()
                elif source in self.peers:
                    self._receive(source)
            while self.on_the_way and self.on_the_way[0][0] <= perf_counter():
                _due, sink, piece = self.on_the_way.popleft()
                sink.sendall(piece)

    def _accept(self) -> None:
        client, server = self.listener.accept()[0], socket.create_connection(self.target)
        for one, other in ((client, server), (server, client)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.peers[one] = other

    def _receive(self, source: socket.socket) -> None:
        if piece := source.recv(_BUFFER):
            self.on_the_way.append((perf_counter() + self.one_way, self.peers[source], piece))
            return
        for one in (source, self.peers.pop(source)):
            self.peers.pop(one, None)
            one.close()


@contextmanager
def delayed(host: str, port: int, *, milliseconds: float) -> Iterator[int]:
    """Yield the port at which the server is so many milliseconds away, there and back."""
    command = [sys.executable, str(Path(__file__).resolve()), host, str(port), str(milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  this file
        try:
            assert process.stdout is not None  # noqa: S101  it is a pipe
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def main() -> None:
    host, port, milliseconds = sys.argv[1:]
    proxy = Delay((host, int(port)), round_trip=float(milliseconds) / 1000)
    sys.stdout.write(f"{proxy.listener.getsockname()[1]}\n")
    sys.stdout.flush()
    proxy.run()


if __name__ == "__main__":
    main()
