"""A user in a real browser, and Authlib as the application."""

import os
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from playwright.sync_api import expect

from tests.interop.site import CLIENT_ID, PASSWORD, REDIRECT_URI, SECRET

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setitem(os.environ, "AUTHLIB_INSECURE_TRANSPORT", "1")
    return OAuth2Session(
        CLIENT_ID, SECRET, redirect_uri=REDIRECT_URI, scope="notes:read notes:write", code_challenge_method="S256"
    )


@pytest.fixture
def asked(page, site, session, shoot):
    """Follow the application's link, sign in, and stop at the consent page."""
    url, _state = session.create_authorization_url(f"{site.origin}/oauth/authorize", code_verifier=VERIFIER)
    page.goto(url)
    shoot(page, "sign-in")
    page.get_by_label("Username").fill("eve")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Allow Photo album to act for you?")).to_be_visible()
    shoot(page, "consent")
    return page


def test_user_allows_and_the_application_refreshes_and_revokes(asked, site, session):
    expect(asked.get_by_text("You are signed in as eve.")).to_be_visible()
    expect(asked.get_by_role("listitem")).to_have_text(["Read your notes", "Write your notes"])

    asked.get_by_role("button", name="Allow").click()

    expect(asked.get_by_text("Back at the application.")).to_be_visible()
    token_url, revoke_url = f"{site.origin}/oauth/token", f"{site.origin}/oauth/revoke"
    first = session.fetch_token(token_url, authorization_response=asked.url, code_verifier=VERIFIER)
    second = session.refresh_token(token_url)
    assert second["refresh_token"] != first["refresh_token"]
    assert session.revoke_token(revoke_url, token=second["access_token"]).status_code == 200
    with pytest.raises(OAuthError, match="invalid_grant"):
        session.refresh_token(token_url, refresh_token=second["refresh_token"])
    assert asked.complaints == []


def test_user_denies_by_keyboard_and_the_application_gets_an_error(asked, site):
    asked.get_by_role("button", name="Deny").focus()
    asked.keyboard.press("Enter")

    expect(asked.get_by_text("Back at the application.")).to_be_visible()
    answer = parse_qs(urlsplit(asked.url).query)
    assert (answer["error"], answer["iss"]) == (["access_denied"], [site.origin])
    assert "code" not in answer


def test_another_user_can_sign_in_instead(asked):
    asked.get_by_role("button", name="Not you?").click()

    expect(asked.get_by_label("Username")).to_be_visible()
    assert asked.complaints == []


def test_broken_link_is_explained(page, shoot):
    page.goto("/oauth/authorize?client_id=nobody")

    expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
    shoot(page, "refusal")
