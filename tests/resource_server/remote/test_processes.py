"""Servers that are killed and frozen, and processes that fork and end."""

import subprocess
import sys
from pathlib import Path

import pytest

from oauth_refresh.resource_server.remote import RemoteTokens, Unavailable
from tests.faults.processes import Process
from tests.feed_server import CLIENT_ID, CLIENT_SECRET, access_token
from tests.server import call, environment_of, free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
TOKEN = access_token("one")


@pytest.fixture
def process(tmp_path):
    """A server in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "tests.feed_server", str(port)]
    environment = {**environment_of(""), "PYTHONPATH": str(ROOT)}
    made = Process(command, port=port, log=tmp_path / "log", environment=environment)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def tokens(process):
    made = RemoteTokens(
        issuer=f"http://127.0.0.1:{process.port}",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        poll_interval=0.05,
        max_lag=2,
        timeout=2,
    )
    wait_until(lambda: checked(made) == "active" and made.state()["feed_is_fresh"])
    yield made
    made.close()


def checked(tokens, raw=TOKEN):
    try:
        return "inactive" if tokens.check(raw) is None else "active"
    except Unavailable:
        return "unavailable"


def test_no_kept_answer_counts_while_the_server_is_killed_and_it_is_found_again(process, tokens):
    process.kill()
    wait_until(lambda: not tokens.state()["feed_is_fresh"])

    assert [checked(tokens), checked(tokens, access_token("other"))] == ["unavailable"] * 2
    process.start()
    wait_until(lambda: checked(tokens) == "active" and tokens.state()["feed_is_fresh"])


def test_no_kept_answer_counts_while_the_server_is_frozen_and_reading_continues(process, tokens):
    call(process.port, "POST", "/control", body=f"token={access_token('other')}")
    process.pause()
    wait_until(lambda: not tokens.state()["feed_is_fresh"])

    assert checked(tokens) == "unavailable"
    process.resume()
    wait_until(lambda: checked(tokens) == "active" and tokens.state()["feed_is_fresh"])
    wait_until(lambda: checked(tokens, access_token("other")) == "inactive")
    call(process.port, "POST", "/control", body=f"token={TOKEN}")
    wait_until(lambda: checked(tokens) == "inactive")


PROGRAM = """
import os, sys, time
from oauth_refresh.resource_server.remote import RemoteTokens
from tests.feed_server import CLIENT_ID, CLIENT_SECRET, access_token

tokens = RemoteTokens(issuer=sys.argv[1], client_id=CLIENT_ID, client_secret=CLIENT_SECRET, poll_interval=0.05,
                      max_lag=30, timeout=10)

def is_kept():
    tokens.check(access_token("one"))
    while not tokens.state()["feed_is_fresh"]:
        time.sleep(0.01)
    token = tokens.check(access_token("one"))  # the first answer is from before the first cursor
    asked = tokens.state()["introspections"]
    return tokens.check(access_token("one")) == token and tokens.state()["introspections"] == asked

def in_child():
    before = tokens.state()
    print("child", before["polls"], before["active"], is_kept(), flush=True)

in_parent = is_kept()
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    print("parent", in_parent, is_kept(), status)
else:
    in_child()
"""


def test_forked_process_begins_anew_and_both_end(process):
    run = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM, f"http://127.0.0.1:{process.port}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert (run.returncode, run.stderr, run.stdout.splitlines()) == (0, "", ["child 0 0 True", "parent True True 0"])
