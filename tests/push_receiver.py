"""A server that revocations are posted to, and that also misbehaves."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DRIP_SECONDS = 0.02


@dataclass(frozen=True)
class Post:
    """What was posted."""

    path: str
    headers: Any
    body: bytes

    @property
    def entries(self) -> Any:
        return json.loads(self.body)["revocations"]


class PushReceiver(ThreadingHTTPServer):
    """Keeps each post, and answers by ``answer``: with a status, or by a function of the handler."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), PostHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hidden-path?a=b"
        self.posts: list[Post] = []
        self.answer: int | Callable[[PostHandler], None] = 204
        self.may_end = threading.Event()

    def entries(self) -> list[Any]:
        """Return all entries that were posted since the last call."""
        entries = [entry for post in self.posts for entry in post.entries]
        self.posts.clear()
        return entries

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print no error: clients close the connection early, which is what they are tested for."""


class PostHandler(BaseHTTPRequestHandler):
    server: PushReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append(Post(self.path, self.headers, body))
        if callable(self.server.answer):
            self.server.answer(self)
        else:
            self.send_response(self.server.answer)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


def say_nothing(handler: PostHandler) -> None:
    handler.server.may_end.wait()


def wait_and_accept(handler: PostHandler) -> None:
    handler.server.may_end.wait()
    handler.send_response(204)
    handler.end_headers()


def drip_headers(handler: PostHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.server.may_end.wait(DRIP_SECONDS):
        handler.wfile.write(b"x")


def speak_another_protocol(handler: PostHandler) -> None:
    handler.wfile.write(b"220 mail.example ESMTP\r\n")


@contextmanager
def receiving(wrap: Callable[[Any], Any] | None = None) -> Iterator[PushReceiver]:
    """Receive posts for the length of the block; ``wrap`` makes the socket one of TLS."""
    server = PushReceiver()
    if wrap is not None:
        server.socket = wrap(server.socket)
        server.url = server.url.replace("http:", "https:")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.may_end.set()
        server.shutdown()
        thread.join()
        server.server_close()
