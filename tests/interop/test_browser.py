"""A person in a real browser, and Authlib as the application that asks them."""

import os
import shutil
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from playwright.sync_api import expect, sync_playwright

from tests.flows.server import manage

REDIRECT_URI = "https://client.example/callback"
SECRET = "a-client-secret-of-more-than-22-characters"
PASSWORD = "a long enough password"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SCREENS = {
    "phone-light": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
    "desktop-dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
}


@pytest.fixture(scope="module")
def site(origin, database_url):
    """Serve the example project with one application and one user."""
    create = ("oauth_create_application", "Photo album", "--client-id", "album", "--client-secret", SECRET)
    for arguments in (
        ("createsuperuser", "--noinput", "--username", "eve", "--email", "eve@example.com"),
        (*create, "--redirect-uri", REDIRECT_URI, "--owner", "eve"),
    ):
        result = manage(*arguments, database_url=database_url, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
        assert result.returncode == 0, result.stderr
    return origin


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=SCREENS)
def page(browser, request):
    """Open a page of a fresh browser profile; the application's own site answers every request with a blank page."""
    context = browser.new_context(**SCREENS[request.param])
    context.route("https://client.example/**", lambda route: route.fulfill(body="Back at the application."))
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.screen = request.param
    yield page
    context.close()


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setitem(os.environ, "AUTHLIB_INSECURE_TRANSPORT", "1")
    return OAuth2Session(
        "album", SECRET, redirect_uri=REDIRECT_URI, scope="notes:read notes:write", code_challenge_method="S256"
    )


def sign_in(page, site, session, folder):
    """Follow the application's link, sign in, and stop at the consent page."""
    url, _state = session.create_authorization_url(f"{site}/oauth/authorize", code_verifier=VERIFIER)
    page.goto(url)
    page.screenshot(path=folder / f"sign-in-{page.screen}.png")
    page.get_by_label("Username").fill("eve")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Allow Photo album to act for you?")).to_be_visible()
    page.screenshot(path=folder / f"consent-{page.screen}.png")


def test_person_allows_and_the_application_refreshes_and_revokes(page, site, session, folder):
    sign_in(page, site, session, folder)
    expect(page.get_by_text("You are signed in as eve.")).to_be_visible()
    expect(page.get_by_role("listitem")).to_have_text(["Read your notes", "Write your notes"])

    page.get_by_role("button", name="Allow").click()

    expect(page.get_by_text("Back at the application.")).to_be_visible()
    first = session.fetch_token(f"{site}/oauth/token", authorization_response=page.url, code_verifier=VERIFIER)
    second = session.refresh_token(f"{site}/oauth/token")
    assert second["refresh_token"] != first["refresh_token"]
    assert session.revoke_token(f"{site}/oauth/revoke", token=second["access_token"]).status_code == 200
    with pytest.raises(OAuthError, match="invalid_grant"):
        session.refresh_token(f"{site}/oauth/token", refresh_token=second["refresh_token"])
    assert page.complaints == []


def test_person_denies_by_keyboard_and_the_application_is_told(page, site, session, folder):
    sign_in(page, site, session, folder)

    page.get_by_role("button", name="Deny").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_text("Back at the application.")).to_be_visible()
    answer = parse_qs(urlsplit(page.url).query)
    assert (answer["error"], answer["iss"]) == (["access_denied"], [site])
    assert "code" not in answer


def test_somebody_else_can_sign_in_instead(page, site, session, folder):
    sign_in(page, site, session, folder)

    page.get_by_role("button", name="Not you?").click()

    expect(page.get_by_label("Username")).to_be_visible()
    assert page.complaints == []


def test_broken_link_is_explained(page, site, folder):
    page.goto(f"{site}/oauth/authorize?client_id=nobody")

    expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
    page.screenshot(path=folder / f"refusal-{page.screen}.png")
