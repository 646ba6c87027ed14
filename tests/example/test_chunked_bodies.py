"""Bodies without a length, as some clients stream them, at a real server: gunicorn, which speaks WSGI."""

import json
import sys
from http.client import HTTPConnection
from importlib.util import find_spec

import pytest

from tests.faults.processes import Process
from tests.server import ROOT, curl, environment_of, free_port
from tests.waiting import LONGEST_SECONDS

ENDPOINTS = [
    *("oauth/token", "oauth/revoke", "oauth/introspect", "oauth/token/"),
    *("token", "revoke", "oauth-api/oauth/token", "oauth2/v1/token", "oauth2/v1/revoke"),
]
ASK_FOR_LENGTH = {
    "error": "invalid_request",
    "error_description": "Send the body with a Content-Length: the server cannot read a chunked one.",
}


@pytest.fixture(scope="module")
def gunicorn(database_url, tmp_path_factory):
    """Yield the address of the example project; none of these requests comes to its database."""
    if find_spec("gunicorn") is None:
        pytest.skip("gunicorn is not installed")
    port, folder = free_port(), tmp_path_factory.mktemp("gunicorn")
    command = [sys.executable, "-m", "gunicorn", "--chdir", str(ROOT), "--bind", f"127.0.0.1:{port}", "--threads", "2"]
    server = Process(
        [*command, "example_project.wsgi"],
        port=port,
        log=folder / "log",
        environment=environment_of(database_url) | {"DEBUG": "true"},
    )
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.kill()


@pytest.mark.parametrize("path", ENDPOINTS)
def test_chunked_body_asks_for_a_length(gunicorn, tmp_path, path):
    chunked = f'curl -H "Transfer-Encoding: chunked" -d "grant_type=refresh_token&token=x" {gunicorn}/{path}'

    answer = curl(chunked, folder=tmp_path)

    assert (answer.status, answer.json) == (400, ASK_FOR_LENGTH)


def test_next_request_on_the_same_connection_is_read(gunicorn):
    """The body that was not read must not be taken for the beginning of it."""
    connection = HTTPConnection(gunicorn.removeprefix("http://"), timeout=LONGEST_SECONDS)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    statuses = []

    for body in (iter([b"grant_type=refresh_token", b"&refresh_token=x"]), b"{"):
        connection.request("POST", "/oauth/token", body=body, headers=form)
        response = connection.getresponse()
        statuses.append((response.status, json.load(response)["error"]))
    connection.close()

    assert statuses == [(400, "invalid_request"), (401, "invalid_client")]
