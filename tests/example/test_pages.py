"""The pages around the playground, and the protected API."""

import json
import subprocess
import sys
from http import HTTPStatus

import pytest
import requests

from tests.server import ROOT, environment_of, free_port, manage

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'"
TIMEOUT = 30


@pytest.fixture
def bearer(shell, database_url, site):
    """Return a function that issues an access token for demo, and returns the header with it."""

    def bearer(scope):
        arguments = ("oauth_issue_tokens", "--application", "playground", "--user", "demo", "--scope", scope)
        token = json.loads(manage(*arguments, database_url=database_url).stdout)["access_token"]
        return {"Authorization": f"Bearer {token}"}

    return bearer


def test_home_page_explains_the_steps_and_can_connect(visitor):
    visitor.open("/")

    assert visitor.page.status_code == HTTPStatus.OK
    assert [
        step for step in ("Connect", "Refresh", "Detect and revoke") if f"<h2>{step}</h2>" not in visitor.text
    ] == []
    assert visitor.can_press("kind", "strict")
    assert visitor.can_press("kind", "retry")


@pytest.mark.parametrize("path", ["/", "/playground/", "/api/", "/login/", "/admin/login/"])
def test_every_page_has_a_policy_without_inline_scripts_and_styles(visitor, path):
    visitor.open(path)

    assert visitor.page.headers["Content-Security-Policy"].startswith(POLICY)
    assert "unsafe" not in visitor.page.headers["Content-Security-Policy"]
    assert " style=" not in visitor.text


@pytest.mark.parametrize(
    ("path", "restricts_forms"),
    [
        ("/", True),
        ("/playground/", True),
        ("/login/", False),
        ("/admin/login/", False),
        ("/oauth/authorize", False),
        ("/oauth2/v1/authorize", False),
    ],
)
def test_policy_restricts_forms_except_those_that_lead_to_clients(site, path, restricts_forms):
    policy = requests.get(site + path, timeout=TIMEOUT).headers["Content-Security-Policy"]

    assert ("form-action 'self'" in policy) is restricts_forms


def test_api_reference_lists_operations_and_scopes(visitor):
    visitor.open("/api/")

    for text in (
        "<b>GET</b> /api/notes/",
        "<b>POST</b> /api/notes/",
        "<p>The notes of the token's user, newest first</p>",
        "<p>Add a note for the token's user</p>",
        "<code>notes:write</code>",
        "<b>POST</b> /oauth/token",
    ):
        assert text in visitor.text
    assert "/oauth2/v1/token" not in visitor.text


def test_schema_is_served(visitor):
    visitor.open("/api/schema/?format=json")

    endpoints = {f"/oauth/{name}" for name in ("introspect", "revocations", "revoke", "token", "verify")}
    assert set(visitor.page.json()["paths"]) == {"/api/notes/", *endpoints}


def test_read_scope_may_read_but_not_write(site, bearer):
    notes, headers = f"{site}/api/notes/", bearer("notes:read")

    assert requests.get(notes, headers=headers, timeout=TIMEOUT).json() == []
    refused = requests.post(notes, headers=headers, json={"text": "x"}, timeout=TIMEOUT)
    assert refused.status_code == HTTPStatus.FORBIDDEN
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]


def test_write_scope_adds_a_note_for_the_user(site, bearer):
    notes, headers = f"{site}/api/notes/", bearer("notes:read notes:write")

    added = requests.post(notes, headers=headers, json={"text": "Buy bread"}, timeout=TIMEOUT)

    assert added.status_code == HTTPStatus.CREATED
    assert [note["text"] for note in requests.get(notes, headers=headers, timeout=TIMEOUT).json()] == ["Buy bread"]


def test_api_without_a_token_responds_with_401(site):
    answer = requests.get(f"{site}/api/notes/", timeout=TIMEOUT)

    assert answer.status_code == HTTPStatus.UNAUTHORIZED
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_client_credentials_token_has_no_notes(site):
    form = {"grant_type": "client_credentials", "scope": "notes:read"}
    credentials = ("oracle-sample", "public-secret-of-the-oracle-sample")
    token = requests.post(f"{site}/oauth/token", data=form, auth=credentials, timeout=TIMEOUT).json()["access_token"]

    answer = requests.get(f"{site}/api/notes/", headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT)

    assert answer.status_code == HTTPStatus.FORBIDDEN


def test_demo_serves_the_address_that_it_prints(database_url):
    port = free_port()
    command = [sys.executable, "-u", "manage.py", "demo", "--port", str(port)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment_of(database_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as demo:
        try:
            line = next(line for line in demo.stdout if line.startswith("Open http"))
            origin = line.split()[1].rstrip("/")
            metadata = requests.get(f"{origin}/.well-known/oauth-authorization-server", timeout=TIMEOUT).json()
            home = requests.get(origin, timeout=TIMEOUT)
        finally:
            demo.terminate()

    assert (origin, metadata["issuer"]) == (f"http://127.0.0.1:{port}", origin)
    assert "Refresh tokens with reuse detection" in home.text
