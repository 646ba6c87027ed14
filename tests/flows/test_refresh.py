"""The life of a grant, over HTTP only."""

from http import HTTPStatus

from oauth_refresh.models import Grant
from tests.refusals import INVALID_GRANT, answer_of


def test_refresh_returns_a_new_pair_and_spends_the_old_one(client_app):
    old_access, old_refresh = client_app.access_token, client_app.refresh_token

    body = client_app.rotate()

    assert body == {
        "access_token": client_app.access_token,
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": client_app.refresh_token,
        "refresh_token_expires_in": 1209600,
        "scope": "notes:read notes:write",
    }
    assert client_app.access_token != old_access
    assert client_app.refresh_token != old_refresh


def test_reused_refresh_token_revokes_whole_grant(client_app):
    spent = client_app.refresh_token
    client_app.rotate()

    replay = client_app.refresh(spent)

    assert answer_of(replay) == INVALID_GRANT
    assert answer_of(client_app.refresh()) == INVALID_GRANT
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def test_revoked_grant_cannot_be_refreshed(client_app):
    response = client_app.revoke(client_app.access_token)

    assert (response.status_code, response.content) == (HTTPStatus.OK, b"{}")
    assert response.headers["Content-Type"] == "application/json"
    assert answer_of(client_app.refresh()) == INVALID_GRANT
