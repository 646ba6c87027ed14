"""The clients of the official MCP SDKs, from the address of a server to its tools, until their user ends it.

They are not registered: the client ID is the URL of a document. A user signs in and decides, in Chromium; all else
the SDKs do, unmodified. Where they differ, ``docs/how-to/protect-an-mcp-server.md`` has a table.
"""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.interop.conftest import SCREENS, listened_to
from tests.interop.site import PASSWORD
from tests.server import free_port
from tests.waiting import LONGEST_SECONDS

HERE = Path(__file__).parent
LIST, ADD = ("list_notes", {}), ("add_note", {"text": "Bread"})
AT_ONCE = 5
GAVE_UP = "Error: Streamable HTTP error: Server returned 403 after trying upscoping"
ONCE_ONLY = "Error: Streamable HTTP error: Server returned 401 after successful authentication"
END_OF_ALL_ACCESS_TOKENS = """
UPDATE oauth_refresh_accesstoken SET created_at = datetime(created_at, '-1 day'), expires_at = datetime('now')
"""
NEWEST_GRANT = "SELECT generation, revoked_at FROM oauth_refresh_grant ORDER BY id DESC LIMIT 1"


@dataclass(frozen=True, kw_only=True)
class Sdk:
    """How to start a client, and in which points the SDKs differ."""

    program: tuple[Any, ...]
    user: str
    screen: str
    looks_at_the_clock: bool = False  # to refresh; the others refresh when they are answered with 401
    asks_for_more_scopes: bool = True  # when it is answered with 403
    serves_calls_at_once: bool = True  # when all of them are answered with 401
    denied: str = "Error: The browser brought access_denied"  # so says the test's own program


SDKS = {
    "python": Sdk(
        program=(sys.executable, HERE / "mcp_client.py"),
        user="ida",
        screen="phone-light",
        looks_at_the_clock=True,
        denied="OAuthFlowError: No authorization code received",
    ),
    "typescript": Sdk(
        program=("node", HERE / "mcp_client.mjs", "@modelcontextprotocol/client"), user="ben", screen="desktop-dark"
    ),
    "older-typescript": Sdk(
        program=("node", HERE / "mcp_client.mjs", "@modelcontextprotocol/sdk"),
        user="zoe",
        screen="phone-light",
        asks_for_more_scopes=False,
        serves_calls_at_once=False,
    ),
}


@pytest.fixture(scope="module")
def client_id(documents):
    """Serve the document of a program on a device, and return its URL."""
    server, _authority = documents
    return server.describe(client_name="Notebook", redirect_uris=["http://127.0.0.1/callback"])


@dataclass(kw_only=True)
class User:
    """A user with a browser, who allows what the programs ask for, or, after ``denies`` was set, nothing."""

    name: str
    page: Page
    picture: Path
    denies: bool = False
    asked: list[str] = field(default_factory=list)

    def visit(self, url):
        self.page.goto(url)
        if not self.asked:
            self.page.get_by_label("Username").fill(self.name)
            self.page.get_by_label("Password").fill(PASSWORD)
            self.page.get_by_role("button", name="Sign in", exact=True).click()
            expect(self.page.get_by_role("heading", name="Allow Notebook to act for you?")).to_be_visible()
            self.page.screenshot(path=self.picture, full_page=True)
        expect(self.page.get_by_text("This is for Notes for agents only.")).to_be_visible()
        self.asked.append(parse_qs(urlsplit(url).query)["scope"][0])
        self.page.get_by_role("button", name="Deny" if self.denies else "Allow", exact=True).click()
        expect(self.page.get_by_text("You can close this page.")).to_be_visible()

    def disconnect_all(self):
        self.page.goto("/oauth/applications/")
        self.page.get_by_role("link", name="Disconnect all", exact=True).click()
        self.page.get_by_role("button", name="Disconnect all", exact=True).click()
        expect(self.page.get_by_role("heading", name="No connected applications")).to_be_visible()


@dataclass(kw_only=True)
class McpClient:
    """A program with an SDK. Where it wants its user to visit, ``user`` does."""

    process: subprocess.Popen[str]
    user: User

    def call(self, *calls, **order):
        """Let it call tools at once, and return the results: each a text, or what the SDK raised."""
        self.process.stdin.write(json.dumps({"calls": calls, **order}) + "\n")
        self.process.stdin.flush()
        return self.read("results")

    def read(self, member):
        while line := self.process.stdout.readline():
            said = json.loads(line)
            if member in said:
                return said[member]
            self.user.visit(said["open"])
        raise AssertionError(f"The program ended before it said {member}.")


@contextmanager
def started(sdk, site, folder, user, *, client_id):
    program, script, *package = sdk.program
    process = subprocess.Popen(
        [program, script, f"{site.origin}/mcp", client_id, str(free_port()), *package],
        env={**os.environ, "INTEROP": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield McpClient(process=process, user=user)
    finally:
        process.kill()
        process.communicate(timeout=LONGEST_SECONDS)


@contextmanager
def connected(site):
    """Yield how to send SQL: this process may not use Django's connections while Chromium runs."""
    with closing(sqlite3.connect(site.database_url.removeprefix("sqlite:///"), isolation_level=None)) as database:
        yield lambda sql: database.execute(sql).fetchone()


@pytest.mark.parametrize("name", SDKS)
def test_client_needs_only_an_address_until_its_user_ends_it(name, site, folder, browser, client_id):
    sdk = SDKS[name]
    page = listened_to(browser.new_page(base_url=site.origin, **SCREENS[sdk.screen]))
    user = User(name=sdk.user, page=page, picture=folder / f"mcp-consent-{name}-{sdk.screen}.png")
    with started(sdk, site, folder, user, client_id=client_id) as client, connected(site) as query:
        assert client.read("protocol") == "2025-11-25"
        assert client.call(LIST) == [{"text": "[]", "is_error": False}]
        assert user.asked == ["notes:read offline_access" if name == "python" else "notes:read"]
        site.set_retry_window(client_id, seconds=30)

        (added,) = client.call(ADD)
        if not sdk.asks_for_more_scopes:
            assert added == {"error": GAVE_UP}
            client.call(LIST)
            (added,) = client.call(ADD, dropRefreshToken=True)
        assert json.loads(added["text"])["text"] == "Bread"
        assert {"notes:read", "notes:write"} <= set(user.asked.pop().split())
        assert len(user.asked) == 1

        def call_at_expiry(*calls, later=0):
            """Call when the access token has expired; return the results, and how many refreshes there were."""
            query(END_OF_ALL_ACCESS_TOKENS)
            before, _revoked_at = query(NEWEST_GRANT)
            results = client.call(*calls, later=later)
            after, _revoked_at = query(NEWEST_GRANT)
            return results, after - before

        (listed,) = client.call(LIST)
        assert json.loads(listed["text"]) == [json.loads(added["text"])]
        assert call_at_expiry(LIST, later=4_000) == ([listed], 1)
        assert call_at_expiry(LIST, later=8_000) == ([listed], 1)

        results, refreshes = call_at_expiry(*[LIST] * AT_ONCE, later=12_000)
        if sdk.serves_calls_at_once:
            assert results == [listed] * AT_ONCE
        else:
            assert {result.get("error", "none") for result in results} <= {"none", ONCE_ONLY}
        assert refreshes == 1 or not sdk.looks_at_the_clock
        assert client.call(LIST) == [listed]
        assert query(NEWEST_GRANT)[1] is None
        assert len(user.asked) == 1

        query(END_OF_ALL_ACCESS_TOKENS)  # earlier than the client's clock says
        assert client.call(LIST) == [listed]
        assert len(user.asked) == (2 if sdk.looks_at_the_clock else 1)

        user.disconnect_all()
        user.denies = True
        assert client.call(LIST) == [{"error": sdk.denied}]
        assert len(user.asked) == (3 if sdk.looks_at_the_clock else 2)
