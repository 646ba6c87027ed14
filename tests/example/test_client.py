"""The playground's client without a response, its captions, and its log of requests."""

import json
import shlex
import socket
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from django.http import Http404
from django.test import RequestFactory

from example_project.demo.accounts import PLAYGROUND_STRICT
from example_project.demo.far_api import start_command
from example_project.http_log import Exchange, shorten_secrets
from example_project.playground import client, far_api, views
from example_project.playground.buttons import BUTTONS
from example_project.playground.captions import _CAPTIONS, _DEFAULTS, caption
from example_project.playground.client import DemoClient, Unreachable
from example_project.playground.client_state import ClientState
from tests.server import free_port

REFRESH_TOKEN, ACCESS_TOKEN = "ort_" + "A1b2C3d4" * 11, "oat_" + "Z9y8X7w6" * 5


@contextmanager
def silent_server():
    """Accept connections without responding."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class AcceptsEverything(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"feed_is_fresh": true}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *arguments):
        pass


def test_server_that_does_not_run_is_unreachable():
    with pytest.raises(Unreachable, match="ConnectionError"):
        DemoClient(PLAYGROUND_STRICT, user_agent="test").discover(f"http://127.0.0.1:{free_port()}")


def test_client_stops_waiting_after_its_timeout(monkeypatch):
    monkeypatch.setattr(client, "TIMEOUT", 0.2)

    with silent_server() as issuer, pytest.raises(Unreachable, match="ReadTimeout"):
        DemoClient(PLAYGROUND_STRICT, user_agent="test").discover(issuer)


def test_token_that_is_never_refused_is_sent_for_a_limited_time(monkeypatch):
    monkeypatch.setattr(far_api, "LONGEST_WATCH", 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), AcceptsEverything) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(far_api, "FAR_API_URL", address)
        state = ClientState(
            server={"issuer": address, "revocation_endpoint": address},
            pair={"access_token": ACCESS_TOKEN, "refresh_token": REFRESH_TOKEN},
        )
        result = far_api.revoke_and_watch(state)
        server.shutdown()

    assert (result.outcome, result.delays) == ("accepted", {"This server's API": None, "The far API": None})


def test_command_of_the_far_api_is_short_where_the_addresses_are_the_usual_ones():
    assert start_command(issuer="http://127.0.0.1:8000") == "python manage.py far_api"


def test_every_caption_names_buttons_that_exist():
    captions = [*_CAPTIONS.values(), *_DEFAULTS.values()]

    assert {caption.next for caption in captions} - {""} <= set(BUTTONS)
    assert {action for action, _outcome in _CAPTIONS} - {"connect"} <= set(BUTTONS)


@pytest.mark.parametrize("outcome", ["succeeded", "repeated", "refused", "reuse", "inactive", "unreachable"])
@pytest.mark.parametrize("action", BUTTONS)
def test_every_button_has_a_caption_for_every_outcome(action, outcome):
    assert caption(action, outcome).text


def test_playground_exists_only_while_debug_is_on():
    for view in (views.index, views.connect, views.callback, views.act, views.forget, views.sign_in):
        with pytest.raises(Http404):
            view(RequestFactory().get("/"))


@pytest.mark.parametrize("stored", [{"pair": 1, "unknown": 2}, {"log": [{}]}, {"kind": "of another version"}])
def test_state_of_another_version_of_the_site_is_ignored(stored):
    assert ClientState.load({"client": stored}) == ClientState()


def test_secrets_are_shortened_in_headers_and_forms():
    text = f"Bearer {ACCESS_TOKEN}\nBasic cGxheWdyb3VuZDpub3Q=\nrefresh_token={REFRESH_TOKEN}"

    shown = shorten_secrets(f"{text}\ncode_verifier={'v' * 48}\ncode=oac_{'c' * 43}&state=s")

    assert shown == (
        "Bearer oat_Z9y8X…X7w6\nBasic cGxhe…\nrefresh_token=ort_A1b2C…C3d4\n"
        "code_verifier=vvvvv…vvvv\ncode=oac_c…cccc&state=s"
    )


def test_curl_command_sends_the_same_request():
    body = json.dumps({"text": "it's"})
    exchange = Exchange(
        method="POST",
        url="http://x/?a=1&b=2",
        headers={"Content-Type": "application/json"},
        body=body,
        status=200,
        response_body="",
    )

    assert shlex.split(exchange.curl) == [
        "curl",
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
        "http://x/?a=1&b=2",
    ]
