"""A small authorization server for APIs elsewhere: metadata, introspection and the feed, and every way to fail.

``python -m tests.feed_server PORT`` runs it in a process of its own, to be killed and frozen. An access token is active
unless its text begins with ``oat_x``, and has a grant of its own, named by the text. ``POST /control`` revokes.
"""

import json
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import parse_qs

from tests.waiting import LONGEST_SECONDS

CLIENT_ID, CLIENT_SECRET = "billing api", "secret of the API: 0123456789"
METADATA = "/.well-known/oauth-authorization-server"
OVERLAP_SECONDS = 10


def access_token(name: str) -> str:
    """Return a text that has the form of an access token."""
    return f"oat_{name:_<43}"


class FeedServer:
    """The server and its state, which tests change as they like."""

    def __init__(self, port: int = 0) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one piece

            def do_GET(self) -> None:
                server.handle(self, b"")

            def do_POST(self) -> None:
                server.handle(self, self.rfile.read(int(self.headers["Content-Length"] or 0)))

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.http.daemon_threads = True
        self.http.block_on_close = False
        self.issuer = f"http://127.0.0.1:{self.http.server_port}"
        self.secrets = [CLIENT_SECRET]
        self.metadata = {
            "issuer": self.issuer,
            "introspection_endpoint": f"{self.issuer}/introspect",
            "revocations_endpoint": f"{self.issuer}/revocations",
            "access_token_prefix": "oat_",
            "foreign_tokens_accepted": False,
        }
        self.lifetime = 3600
        self.further: dict[str, object] = {}
        self.revoked: set[str] = set()
        self.notices: list[tuple[float, dict[str, object]]] = []
        self.page_size = 1000
        self.canned: dict[str, list[bytes]] = {}
        self.held: dict[str, list[tuple[Event, Event]]] = {}
        self.requests: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []

    def settings(self, **more: object) -> dict[str, object]:
        return {"issuer": self.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **more}

    def revoke(self, *raws: str) -> None:
        """Revoke the grant of each token, and write its notice."""
        for raw in raws:
            self.revoked.add(raw)
            self.notice({"grant_id": f"grant of {raw}"})

    def notice(self, entry: dict[str, object]) -> None:
        self.notices.append((time.monotonic(), entry))

    def hold(self, path: str) -> tuple[Event, Event]:
        """Hold one more answer at a path: return an event that is set when it is ready, and one that lets it go."""
        events = Event(), Event()
        self.held.setdefault(path, []).append(events)
        return events

    def can(self, path: str, answer: bytes) -> None:
        """Answer every request at a path with these bytes, and close the connection."""
        self.canned[path] = [answer]

    def handle(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        path = request.path
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.requests[path] += 1
        self.headers.append(dict(request.headers))
        status, answer = self.answer(path, form, request.headers.get("Authorization", ""))
        if self.held.get(path):
            ready, let_go = self.held[path].pop(0)
            ready.set()
            let_go.wait(LONGEST_SECONDS)
        if path in self.canned:
            request.close_connection = True
            for part in self.canned[path]:
                request.wfile.write(part)
                request.wfile.flush()
            return
        text = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)
        request.wfile.flush()

    def answer(self, path: str, form: dict[str, str], authorization: str) -> tuple[int, dict[str, object]]:
        if path == METADATA:
            return 200, dict(self.metadata)
        if path == "/control":
            self.revoke(form["token"])
            return 200, {}
        if authorization not in {_basic(secret) for secret in self.secrets}:
            return 401, {"error": "invalid_client"}
        return self.introspection(form["token"]) if path == "/introspect" else self.page(form.get("after", ""))

    def introspection(self, raw: str) -> tuple[int, dict[str, object]]:
        if raw in self.revoked or not raw.startswith("oat_") or raw.startswith("oat_x"):
            return 200, {"active": False}
        members = {
            "active": True,
            "scope": "notes:read notes:write",
            "client_id": "phone",
            "token_type": "Bearer",
            "exp": int(time.time()) + self.lifetime,
            "sub": "42",
            "username": "ada",
            "iss": self.issuer,
            "aud": self.issuer,
            "grant_id": f"grant of {raw}",
        } | self.further
        return 200, {name: value for name, value in members.items() if value is not None}

    def page(self, after: str) -> tuple[int, dict[str, object]]:
        """Answer as the feed does: from the cursor, and from ten seconds ago if that is earlier."""
        recent = next((i for i, (at, _) in enumerate(self.notices) if at > time.monotonic() - OVERLAP_SECONDS), None)
        first = len(self.notices) if recent is None else recent
        if not after:
            return 200, {"cursor": str(first), "revocations": [], "more": False}
        number, _colon, offset = after.partition(":")
        begin = int(offset) if offset else min(int(number), first)
        page = self.notices[begin : begin + self.page_size]
        more = begin + len(page) < len(self.notices)
        cursor = f"{number}:{begin + len(page)}" if more else str(len(self.notices))
        return 200, {"cursor": cursor, "revocations": [entry for _at, entry in page], "more": more}


def _basic(secret: str) -> str:
    quoted = f"billing%20api:{secret.replace(':', '%3A').replace(' ', '%20')}"
    return f"Basic {b64encode(quoted.encode()).decode()}"


@contextmanager
def serving(port: int = 0) -> Iterator[FeedServer]:
    """Serve in a thread of this process."""
    server = FeedServer(port)
    thread = Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()


if __name__ == "__main__":
    FeedServer(int(sys.argv[1])).http.serve_forever()
