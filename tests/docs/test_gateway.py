"""The gateway of the page lets in whom it should: real nginx as printed, in front of an API, and gunicorn."""

import json
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from ssl import CERT_NONE, create_default_context
from threading import Thread

import pytest

from tests.docs.nginx import make_certificate, nginx, on_this_machine, require_nginx, running
from tests.faults.processes import Process
from tests.server import ROOT, environment_of, free_port, manage_all
from tests.waiting import LONGEST_SECONDS

PAGE = (ROOT / "docs/how-to/behind-a-gateway.md").read_text()
HOST = "api.example.com"
SITE = {
    "DEBUG": "false",
    "SECRET_KEY": "a key of the test, longer than the fifty characters that Django asks for",
    "ALLOWED_HOSTS": "auth.example.com",
    "OAUTH_ISSUER": "https://auth.example.com",
    "PROXIES": "1",
}
INACTIVE = (
    'Bearer realm="oauth", error="invalid_token", error_description="The access token is invalid, expired or revoked."'
)
NARROW = 'Bearer realm="oauth", error="insufficient_scope", error_description="The access token does not allow this."'


class Api(BaseHTTPRequestHandler):
    """An API that trusts its gateway: it answers with what it was sent."""

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        seen = {"method": self.command, "headers": dict(self.headers), "body": self.rfile.read(length).decode()}
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  as its base class names it

    def log_message(self, *arguments):
        pass


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """nginx, and the same with an authorization server whose database is down, or that is down itself."""

    ports: dict[str, int]

    def send(self, token=None, *, method="GET", authorization=None, to="running", headers=None, body=None):
        """Send a request to the API, and return status, challenge and what the API has seen."""
        context = create_default_context()
        context.check_hostname, context.verify_mode = False, CERT_NONE
        connection = HTTPSConnection("127.0.0.1", self.ports[to], timeout=LONGEST_SECONDS, context=context)
        own = {"Host": HOST, **(headers or {})}
        if token or authorization:
            own["Authorization"] = authorization or f"Bearer {token}"
        try:
            connection.request(method, "/notes/", body=body, headers=own)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        seen = json.loads(text) if response.status == 200 else None
        return response.status, response.headers.get("WWW-Authenticate"), seen


@contextmanager
def api():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def gunicorn(database_url, folder, name):
    """Return the example project at a port of its own, which trusts nginx for https as the page asks."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--chdir", str(ROOT), "--bind", f"127.0.0.1:{port}"]
    return Process(
        [*command, "example_project.wsgi"],
        port=port,
        log=folder / f"{name}.log",
        environment=environment_of(database_url) | SITE,
    )


@pytest.fixture(scope="module")
def gateway(database_url, tmp_path_factory):
    require_nginx()
    if find_spec("gunicorn") is None:
        pytest.skip("gunicorn is not installed")
    folder = tmp_path_factory.mktemp("gateway")
    make_certificate(folder, HOST)
    (printed,) = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
    site = gunicorn(database_url, folder, "site")
    without_database = gunicorn("sqlite:////no/such/folder/site.sqlite3", folder, "without database")
    askable = {"running": site.port, "database down": without_database.port, "server down": free_port()}
    ports = {name: free_port() for name in askable}
    manage_all(["migrate"], database_url=database_url, **SITE)
    with running(site), running(without_database), api() as api_port:
        servers = [
            on_this_machine(
                printed,
                {
                    "listen 443 ssl": f"listen 127.0.0.1:{ports[name]} ssl",
                    "/etc/ssl/api.example.com.pem": f"{folder}/certificate.pem",
                    "/etc/ssl/api.example.com.key": f"{folder}/key.pem",
                    "127.0.0.1:9000": f"127.0.0.1:{api_port}",
                    "127.0.0.1:8000": f"127.0.0.1:{server}",
                    "$notes_scope": f"$notes_scope_{number}",  # as there is one file only
                },
            )
            for number, (name, server) in enumerate(askable.items())
        ]
        with nginx("\n".join(servers), port=ports["running"], folder=folder):
            yield Gateway(ports=ports)


@pytest.fixture(scope="module")
def issue(database_url):
    """Return a function that starts a grant and returns its access token, or a command of the project."""
    run = "from django.contrib.auth.models import User; User.objects.create_user('eve')"
    names = ["--client-id", "phone", "--public"]
    manage_all(
        ["shell", "--verbosity", "0", "--command", run],
        ["oauth_create_application", "Phone", *names, "--json"],
        ["oauth_create_application", "Robot", "--client-id", "robot", "--grant-type", "client_credentials", "--json"],
        database_url=database_url,
        **SITE,
    )

    def start(scope, *, application="phone", user="eve"):
        for_user = ["--user", user] if user else []
        command = ["oauth_issue_tokens", "--application", application, *for_user, "--scope", scope]
        return json.loads(manage_all(command, database_url=database_url, **SITE).splitlines()[-1])["access_token"]

    return start


def oauth_headers(seen):
    return {name: value for name, value in seen["headers"].items() if name.lower().startswith(("x-oauth", "auth"))}


def test_active_token_is_accepted_and_the_api_learns_its_user(gateway, issue):
    status, challenge, seen = gateway.send(issue("notes:read"), headers={"X-OAuth-Subject": "1000"})

    assert (status, challenge) == (200, None)
    assert oauth_headers(seen) == {"X-OAuth-Subject": "1", "X-OAuth-Client-ID": "phone", "X-OAuth-Scope": "notes:read"}


def test_client_cannot_set_a_header_that_the_answer_lacks(gateway, issue):
    own = issue("notes:read", application="robot", user=None)

    _status, _challenge, seen = gateway.send(own, headers={"X-OAuth-Subject": "1"})

    assert oauth_headers(seen) == {"X-OAuth-Client-ID": "robot", "X-OAuth-Scope": "notes:read"}


def test_request_without_a_token_gets_the_challenge(gateway, issue):
    assert gateway.send() == (401, 'Bearer realm="oauth", scope="notes:read"', None)


def test_malformed_header_is_refused(gateway, issue):
    status, challenge, seen = gateway.send(authorization="Bearer a b")

    assert (status, 'error="invalid_request"' in challenge, seen) == (401, True, None)


def test_revoked_token_is_refused_at_the_next_request(gateway, issue, database_url):
    token = issue("notes:read")
    assert gateway.send(token)[0] == 200

    manage_all(["oauth_revoke_grants", "--user", "eve", "--yes"], database_url=database_url, **SITE)

    assert gateway.send(token) == (401, f'{INACTIVE}, scope="notes:read"', None)


def test_answer_to_a_token_that_lacks_a_scope_names_it(gateway, issue):
    token = issue("notes:read")

    assert gateway.send(token, method="POST", body=b"a note") == (403, f'{NARROW}, scope="notes:write"', None)


def test_post_passes_with_its_body(gateway, issue):
    status, _challenge, seen = gateway.send(issue("notes:write"), method="POST", body=b"a note")

    assert (status, seen["method"], seen["body"]) == (200, "POST", "a note")


@pytest.mark.parametrize("down", ["database down", "server down"])
def test_every_request_is_refused_while_the_server_or_its_database_is_down(gateway, issue, down):
    status, challenge, seen = gateway.send(issue("notes:read"), to=down)

    assert (status, challenge, seen) == (500, None, None)
