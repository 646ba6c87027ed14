"""The demonstration's client where no answer comes, its words, and what it shows of the wire."""

import json
import shlex
import socket
from contextlib import contextmanager

import pytest
from django.http import Http404
from django.test import RequestFactory

from example_project.demo.accounts import STRICT
from example_project.playground import client, views
from example_project.playground.buttons import BUTTONS
from example_project.playground.captions import _ANY, _CAPTIONS, caption
from example_project.playground.client import DemoClient, Unreachable
from example_project.playground.holding import Holding
from example_project.wire import Exchange, shortened
from tests.flows.server import free_port

REFRESH_TOKEN, ACCESS_TOKEN = "ort_" + "A1b2C3d4" * 11, "oat_" + "Z9y8X7w6" * 5


@contextmanager
def silent_server():
    """Accept connections, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_server_that_is_not_there_is_unreachable():
    with pytest.raises(Unreachable, match="ConnectionError"):
        DemoClient(STRICT, program="test").discover(f"http://127.0.0.1:{free_port()}")


def test_client_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(client, "SECONDS", 0.2)

    with silent_server() as issuer, pytest.raises(Unreachable, match="ReadTimeout"):
        DemoClient(STRICT, program="test").discover(issuer)


def test_every_caption_speaks_of_buttons_that_exist():
    told = [*_CAPTIONS.values(), *_ANY.values()]

    assert {one.next for one in told} - {""} <= set(BUTTONS)
    assert {action for action, _how in _CAPTIONS} - {"connect"} <= set(BUTTONS)


@pytest.mark.parametrize("how", ["worked", "repeated", "refused", "alarm", "dead", "unreachable"])
@pytest.mark.parametrize("action", BUTTONS)
def test_every_button_has_a_caption_however_it_ends(action, how):
    assert caption(action, how).text


def test_playground_exists_only_while_debug_is_on():
    for view in (views.index, views.connect, views.callback, views.act, views.forget, views.look):
        with pytest.raises(Http404):
            view(RequestFactory().get("/"))


@pytest.mark.parametrize("stored", [{"pair": 1, "unknown": 2}, {"rounds": [{}]}, {"kind": "of another version"}])
def test_session_of_another_version_of_the_site_holds_nothing(stored):
    assert Holding.load({"holding": stored}) == Holding()


def test_secrets_are_shortened_wherever_they_stand():
    text = f"Bearer {ACCESS_TOKEN}\nBasic cGxheWdyb3VuZDpub3Q=\nrefresh_token={REFRESH_TOKEN}"

    shown = shortened(f"{text}\ncode_verifier={'v' * 48}\ncode=oac_{'c' * 43}&state=s")

    assert shown == (
        "Bearer oat_Z9y8X…X7w6\nBasic cGxhe…\nrefresh_token=ort_A1b2C…C3d4\n"
        "code_verifier=vvvvv…vvvv\ncode=oac_c…cccc&state=s"
    )


def test_curl_line_sends_the_same_again():
    body = json.dumps({"text": "it's"})
    exchange = Exchange(
        method="POST",
        url="http://x/?a=1&b=2",
        headers={"Content-Type": "application/json"},
        body=body,
        status=200,
        answer="",
    )

    assert shlex.split(exchange.curl) == [
        "curl",
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
        "http://x/?a=1&b=2",
    ]
