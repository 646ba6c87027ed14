"""FastMCP's server of ``docs/how-to/protect-an-mcp-server.md``, which asks about tokens by introspection."""

import json

import pytest
import requests
from starlette.testclient import TestClient

from tests.docs.pages import DOCS, blocks
from tests.factories import SECRET
from tests.interop.site import CLIENT_ID
from tests.waiting import LONGEST_SECONDS

GUIDE = DOCS / "how-to" / "protect-an-mcp-server.md"
ADDRESS = "https://notes.example.com"


@pytest.fixture(scope="module")
def issued(site):
    """Register the guide's resource server, and issue what the tests present to it; all in one process."""
    script = f"""
import json
from django.contrib.auth.models import User
from django.core.management import call_command
from oauth_refresh.models import STAFF, Application
from oauth_refresh.services import issue_tokens

options = ["--grant-type", "client_credentials", "--resource-server", "--resource", "{site.origin}/mcp"]
call_command("oauth_create_application", "Notes for agents", "--client-id", "notes-mcp", "--client-secret", "{SECRET}",
    *options, stdout=open("/dev/null", "w"))
album, fay = Application.objects.get(client_id="album"), User.objects.get(username="fay")
for scope, resource in (("notes:read", "/mcp"), ("notes:read notes:write", "/mcp"), ("notes:read", "")):
    issued = issue_tokens(album, user=fay, grant_type=STAFF, scope=scope, resources=["{site.origin}" + resource])
    print(json.dumps(dict(access_token=issued.access_token, refresh_token=issued.refresh_token)))
"""
    lines = site.manage("shell", "--verbosity", "0", "--command", script).splitlines()
    return dict(zip(("reader", "writer", "other"), map(json.loads, lines), strict=True))


@pytest.fixture(scope="module")
def server(site, issued):
    """Start the guide's server, with the address of the running site in place of the guide's."""
    code = next(block for block in blocks(GUIDE, "python") if "FastMCP(" in block)
    namespace = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTES_MCP_SECRET", SECRET)
        exec(code.replace(ADDRESS, site.origin), namespace)  # noqa: S102  the guide's own code
    with TestClient(namespace["app"], base_url=site.origin) as client:
        yield client


@pytest.fixture
def call(server):
    """Return a function that calls a tool with a token, and returns the status, and what the result says."""

    def call(token, tool, **arguments):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token['access_token']}"}
        response = server.post("/mcp", json=message, headers=headers)
        result = response.json().get("result")
        return response.status_code, result and result["content"][0]["text"]

    return call


def test_token_is_accepted_for_its_user_scopes_and_resource_only(call, issued):
    assert call(issued["reader"], "whoami") == (200, "fay")
    assert call(issued["reader"], "add_note", text="Bread") == (200, "Unknown tool: 'add_note'")
    assert call(issued["writer"], "add_note", text="Bread") == (200, "Added for user 3: Bread")
    assert call(issued["other"], "whoami") == (401, None)


def test_revoked_token_is_refused_at_the_next_call(call, site, issued):
    assert call(issued["writer"], "whoami") == (200, "fay")

    form = {"token": issued["writer"]["refresh_token"]}
    requests.post(f"{site.origin}/oauth/revoke", data=form, auth=(CLIENT_ID, SECRET), timeout=LONGEST_SECONDS)

    assert call(issued["writer"], "whoami") == (401, None)


def test_server_names_the_issuer_to_clients_without_token(server, site):
    refused = server.post("/mcp", json={})
    metadata = server.get("/.well-known/oauth-protected-resource/mcp").json()

    assert refused.status_code == 401
    assert (
        f'resource_metadata="{site.origin}/.well-known/oauth-protected-resource/mcp"'
        in refused.headers["WWW-Authenticate"]
    )
    assert (metadata["resource"], metadata["authorization_servers"]) == (f"{site.origin}/mcp", [site.origin])
