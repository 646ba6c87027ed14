"""The recipes for receivers of revocations work as printed: the signature is verified, and nginx's cache purged."""

import hashlib
import hmac
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from oauth_refresh.conf import app_settings
from oauth_refresh.services import revoke_grant
from oauth_refresh.services.revocation_push import Delivery
from tests.docs.nginx import nginx, on_this_machine
from tests.docs.pages import DOCS, blocks
from tests.factories import GrantFactory
from tests.push_receiver import receiving
from tests.server import free_port
from tests.waiting import LONGEST_SECONDS

PAGE = DOCS / "how-to/push-revocations.md"
[_SETTINGS, VERIFY, PURGE] = blocks(PAGE, "python")
[SERVERS] = blocks(PAGE, "nginx")
SECRET = "the-secret-of-a-gateway"


def names_of(code):
    names = {}
    exec(code, names)  # noqa: S102  it is our own page
    return names


def signed(body, *, secret=SECRET, age=0):
    timestamp = str(int(time.time()) - age)
    signature = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"OAuth-Refresh-Timestamp": timestamp, "OAuth-Refresh-Signature": f"sha256={signature}"}


BODY = b'{"revocations":[{"sub":"42"}]}'
FORGED = {
    "another secret": signed(BODY, secret="another-secret-of-a-gateway"),
    "another body": signed(BODY + b" "),
    "another time": {**signed(BODY), "OAuth-Refresh-Timestamp": "1767225600"},
    "old": signed(BODY, age=3_600),
    "of the future": signed(BODY, age=-3_600),
    "unsigned": {},
    "not ASCII": {**signed(BODY), "OAuth-Refresh-Signature": "sha256=ß"},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_printed_receiver_refuses_a_post_that_is_not_genuine(headers):
    assert names_of(VERIFY)["read_post"](headers, BODY, secret=SECRET) is None


@pytest.mark.slow
@pytest.mark.django_db
def test_printed_receiver_accepts_what_the_server_posts(oauth_settings):
    with receiving() as server:
        oauth_settings(REVOCATION_RECEIVERS=[{"url": server.url, "secret": SECRET}])
        delivery = Delivery(app_settings.revocation_receivers[0])
        delivery.step()
        grant = GrantFactory()
        revoke_grant(grant, reason="lost device")
        delivery.step()

    [post] = server.posts
    entries = names_of(VERIFY)["read_post"](post.headers, post.body, secret=SECRET)
    assert entries == [{"grant_id": str(grant.public_id)}]


class Api(BaseHTTPRequestHandler):
    """An API whose answers name the grant, and how many it has given; a token is its own grant here."""

    answers = 0

    def do_GET(self):
        Api.answers += 1
        body = str(Api.answers).encode()
        self.send_response(200)
        self.send_header("Cache-Control", "private")
        self.send_header("X-Grant-ID", self.headers["Authorization"].removeprefix("Bearer "))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def ask(port, token):
    connection = HTTPConnection("127.0.0.1", port, timeout=LONGEST_SECONDS)
    try:
        connection.request("GET", "/notes/", headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        assert response.getheader("X-Grant-ID") is None
        return response.read().decode()
    finally:
        connection.close()


@pytest.mark.slow
def test_printed_receiver_purges_what_nginx_keeps_of_a_grant(tmp_path):
    api, port, cache = ThreadingHTTPServer(("127.0.0.1", 0), Api), free_port(), tmp_path / "cache"
    Thread(target=api.serve_forever, kwargs={"poll_interval": 0.01}).start()
    here = {
        "/var/cache/nginx/notes": str(cache),
        "listen 80;": f"listen 127.0.0.1:{port};",
        "127.0.0.1:9000": f"127.0.0.1:{api.server_address[1]}",
    }
    purge = names_of(PURGE.replace("/var/cache/nginx/notes", str(cache)))["purge"]
    try:
        with nginx(on_this_machine(SERVERS, here), port=port, folder=tmp_path):
            assert [ask(port, token) for token in ("one", "two", "one", "two")] == ["1", "2", "1", "2"]
            purge([{"grant_id": "one"}])
            assert [ask(port, token) for token in ("one", "two", "one")] == ["3", "2", "3"]
            purge([{"grant_id": "three"}, {"sub": "42"}])
            assert [ask(port, token) for token in ("one", "two")] == ["4", "5"]
    finally:
        api.shutdown()
        api.server_close()
    assert [path for path in Path(cache).rglob("*") if path.is_file()] != []
