"""Schemathesis, against a running server: whatever it sends, the server answers as its OpenAPI description says."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.factories import PASSWORD, SECRET
from tests.oauth import FORM, OAuthClient
from tests.openapi import described
from tests.waiting import LONGEST_SECONDS

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "negative_data_rejection",
]
EXAMPLES_OF_EACH_OPERATION = "60"
CREDENTIALS = ("client_id", "client_secret", "client_assertion_type", "client_assertion")
ENDPOINTS = ["/oauth/token", "/oauth/revoke", "/oauth/introspect"]


@pytest.fixture
def schema():
    """Return the description of our own endpoints."""
    schema = described()
    del schema["paths"]["/api/notes"]
    return schema


def for_an_authenticated_client(schema, clients):
    """Take the credentials out of the forms, where they would mostly be wrong, and give valid tokens as examples."""
    for component in schema["components"]["schemas"].values():
        for name in CREDENTIALS:
            component.get("properties", {}).pop(name, None)
    username = clients[0].grant.user.username
    valid = {
        "/oauth/token": [
            {"grant_type": "refresh_token", "refresh_token": clients[0].refresh_token},
            {"grant_type": "refresh_token", "refresh_token": clients[1].refresh_token, "scope": "notes:read"},
            {"grant_type": "password", "username": username, "password": PASSWORD},
            {"grant_type": "client_credentials", "scope": "notes:read"},
        ],
        "/oauth/revoke": [{"token": clients[2].refresh_token}, {"token": clients[3].access_token}],
        "/oauth/introspect": [{"token": clients[4].refresh_token}, {"token": clients[4].access_token}],
    }
    for endpoint, values in valid.items():
        content = schema["paths"][endpoint]["post"]["requestBody"]["content"][FORM]
        content["examples"] = {f"Valid{number}": {"value": value} for number, value in enumerate(values)}
    return schema


@pytest.fixture
def fuzz(live_server, tmp_path, capsys):
    """Return a function that lets Schemathesis find nothing, and returns how often each path gave which status."""

    def run(schema, *options, caller):
        (tmp_path / "schema.json").write_text(json.dumps(schema))
        result = subprocess.run(
            [
                *(SCHEMATHESIS, "run", "schema.json", "--url", live_server.url, "--no-color"),
                *("--checks", ",".join(CHECKS), "--max-examples", EXAMPLES_OF_EACH_OPERATION),
                "--generation-deterministic",
                *("--header", "Connection: close"),  # kept open, each answer would wait for a delayed acknowledgement
                *("--report", "har", "--report-har-path", "report.har"),
                *options,
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=5 * LONGEST_SECONDS,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        entries = json.loads((tmp_path / "report.har").read_text())["log"]["entries"]
        statuses = Counter(entry["response"]["status"] for entry in entries)
        (summary,) = re.findall(r"^ +(\d+ generated, .*)$", result.stdout, re.MULTILINE)
        with capsys.disabled():
            sys.stdout.write(f"\nschemathesis as {caller}: {summary}; answers {dict(sorted(statuses.items()))}\n")
        return Counter((urlsplit(entry["request"]["url"]).path, entry["response"]["status"]) for entry in entries)

    return run


def test_authenticated_client_is_answered_as_described_whatever_it_sends(fuzz, schema, client_app):
    clients = [OAuthClient(client_app.application, SECRET).start(user=client_app.grant.user) for _number in range(5)]

    answers = fuzz(
        for_an_authenticated_client(schema, clients),
        *("--auth", f"{client_app.application.client_id}:{SECRET}"),
        caller="an authenticated client",
    )

    assert all(answers[endpoint, 200] for endpoint in ENDPOINTS)
    assert not any(status == 401 for path, status in answers if path != "/oauth/verify")  # which takes no client


def test_unauthenticated_client_is_answered_as_described_whatever_it_sends(fuzz, schema):
    answers = fuzz(schema, caller="an unauthenticated client")

    assert all(answers[endpoint, 401] and not answers[endpoint, 200] for endpoint in ENDPOINTS)
