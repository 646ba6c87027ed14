"""A grant that starts with a user's consent, over HTTP only."""

import base64
import hashlib
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.urls import reverse

from oauth_refresh.models import Grant
from tests.factories import SECRET, ApplicationFactory
from tests.oauth import OAuthClient

REDIRECT_URI = "https://app.example/callback?tenant=1"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def app(db):
    application = ApplicationFactory(
        raw_secret=SECRET, redirect_uris=REDIRECT_URI, grant_types="authorization_code refresh_token"
    )
    return OAuthClient(application, SECRET)


def authorize_url(app, **changes):
    query = {
        "response_type": "code",
        "client_id": app.application.client_id,
        "redirect_uri": REDIRECT_URI,
        "scope": "notes:read",
        "state": "s/t+a te",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return reverse("oauth_refresh:authorize") + "?" + urlencode(query | changes)


def answer_of(response):
    return dict(parse_qsl(urlsplit(response["Location"]).query))


def redeem(app, code, **changes):
    parameters = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
    return app.token(grant_type="authorization_code", **(parameters | changes))


def test_user_allows_and_the_application_gets_a_grant_that_can_be_refreshed(app, user, client):
    client.force_login(user)
    url = authorize_url(app)

    page = client.get(url)
    response = client.post(url, {"decision": "allow"})

    assert page.status_code == HTTPStatus.OK
    assert response.status_code == HTTPStatus.SEE_OTHER
    assert response["Location"].startswith(REDIRECT_URI + "&")
    answer = answer_of(response)
    assert answer == {"tenant": "1", "code": answer["code"], "state": "s/t+a te", "iss": "https://auth.example"}
    tokens = redeem(app, answer["code"]).json()
    assert tokens["scope"] == "notes:read"
    assert app.refresh(tokens["refresh_token"]).status_code == HTTPStatus.OK


def test_denial_is_sent_to_the_application(app, user, client):
    client.force_login(user)

    response = client.post(authorize_url(app), {"decision": "deny"})

    assert answer_of(response)["error"] == "access_denied"
    assert not Grant.objects.exists()


def test_code_redeemed_twice_revokes_the_grant(app, user, client):
    client.force_login(user)
    code = answer_of(client.post(authorize_url(app), {"decision": "allow"}))["code"]
    tokens = redeem(app, code).json()

    replay = redeem(app, code)

    assert replay.json()["error"] == "invalid_grant"
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert Grant.objects.get().revoked_reason == "code_replayed"


def test_wrong_redemption_does_not_burn_the_code(app, user, client):
    client.force_login(user)
    code = answer_of(client.post(authorize_url(app), {"decision": "allow"}))["code"]

    assert redeem(app, code, code_verifier="x" * 43).json()["error"] == "invalid_grant"
    assert redeem(app, code, redirect_uri="https://app.example/callback").json()["error"] == "invalid_grant"
    assert redeem(app, code).status_code == HTTPStatus.OK


def test_user_who_is_not_signed_in_is_sent_to_the_login_page(app, client):
    response = client.get(authorize_url(app, scope="nonsense"))

    assert response["Location"].startswith(reverse("login") + "?next=")
