"""Introspection: RFC 7662."""

from http import HTTPStatus

import pytest
from django.test import Client
from django.urls import reverse

from oauth_refresh.models import AccessToken, Application, RefreshToken
from oauth_refresh.services import issue_tokens
from tests.conformance.access_tokens import INVALID_ACCESS_TOKENS
from tests.database import database_snapshot
from tests.factories import ApplicationFactory
from tests.oauth import OAuthClient, basic, post_form
from tests.refusals import (
    INVALID_CLIENT,
    ONLY_POST,
    assert_protocol_headers,
    missing,
    read_refusal,
    repeated,
)

OTHER_SECRET = "the-secret-of-another-application"
INACTIVE = (HTTPStatus.OK, {"active": False})


def introspect(client, token, **parameters):
    return post_form(
        "introspect", {**client.credentials, "token": token, **parameters}, authorization=client.authorization
    )


def answer(response):
    assert_protocol_headers(response)
    return HTTPStatus(response.status_code), response.json()


@pytest.fixture
def resource_server(db):
    return OAuthClient(ApplicationFactory(raw_secret=OTHER_SECRET, is_resource_server=True), OTHER_SECRET)


@pytest.fixture
def other_client(db):
    return OAuthClient(ApplicationFactory(raw_secret=OTHER_SECRET), OTHER_SECRET)


def description(client, *, token, **members):
    user = client.grant.user
    return {
        "active": True,
        "scope": "notes:read notes:write",
        "client_id": client.application.client_id,
        "exp": int(token.expires_at.timestamp()),
        "iat": int(token.created_at.timestamp()),
        "sub": str(user.pk),
        "username": user.username,
        "grant_id": str(client.grant.public_id),
        "iss": "https://auth.example",
        "aud": "https://auth.example",
        **members,
    }


def test_in_001_owner_sees_what_its_access_token_is_for(client_app):
    response = introspect(client_app, client_app.access_token)

    expected = description(client_app, token=AccessToken.objects.get(), token_type="Bearer")
    assert answer(response) == (HTTPStatus.OK, expected)


def test_in_001_resource_server_sees_the_access_tokens_of_all(client_app, resource_server):
    response = introspect(resource_server, client_app.access_token)

    expected = description(client_app, token=AccessToken.objects.get(), token_type="Bearer")
    assert answer(response) == (HTTPStatus.OK, expected)


def test_in_001_subject_of_an_application_itself_is_its_client_id(application, client_app):
    issued = issue_tokens(application, user=None, grant_type="client_credentials", scope="notes:read")

    _status, body = answer(introspect(client_app, issued.access_token))

    assert (body["sub"], "username" in body) == (application.client_id, False)


def test_in_001_user_name_that_is_a_number_is_text(client_app, user, monkeypatch):
    monkeypatch.setattr(type(user), "USERNAME_FIELD", "id")

    assert introspect(client_app, client_app.access_token).json()["username"] == str(user.pk)


def test_in_001_server_without_an_issuer_names_none(client_app, oauth_settings):
    oauth_settings(ISSUER=None)

    _status, body = answer(introspect(client_app, client_app.access_token))

    assert {"iss", "aud"}.isdisjoint(body)


@pytest.mark.parametrize("make", INVALID_ACCESS_TOKENS.values(), ids=INVALID_ACCESS_TOKENS)
def test_in_002_invalid_token_is_inactive(client_app, resource_server, make):
    raw = make(client_app)

    assert answer(introspect(resource_server, raw)) == INACTIVE


def test_in_003_expired_token_is_inactive_and_nothing_else(client_app):
    AccessToken.objects.update(expires_at=client_app.grant.created_at, created_at="2020-01-01T00:00Z")

    assert answer(introspect(client_app, client_app.access_token)) == INACTIVE


def test_in_004_caller_must_authenticate(client_app, refused):
    assert refused(lambda: post_form("introspect", {"token": client_app.access_token})) == INVALID_CLIENT


def test_in_005_wrong_secret_is_refused(client_app, refused):
    wrong = basic(client_app.application.client_id, "a-wrong-secret-of-more-than-22-characters")

    assert (
        refused(lambda: post_form("introspect", {"token": client_app.access_token}, authorization=wrong))
        == INVALID_CLIENT
    )


def test_in_006_bearer_token_is_no_way_to_authenticate_here(client_app, refused):
    bearer = f"Bearer {client_app.access_token}"

    assert (
        refused(lambda: post_form("introspect", {"token": client_app.access_token}, authorization=bearer))
        == INVALID_CLIENT
    )


@pytest.mark.parametrize("token", ["access_token", "refresh_token"])
def test_in_007_tokens_of_others_are_inactive(client_app, other_client, token):
    assert answer(introspect(other_client, getattr(client_app, token))) == INACTIVE


def test_in_008_ordinary_client_sees_its_own_tokens_only(client_app, other_client, user):
    other_client.start(user=user)

    assert answer(introspect(other_client, other_client.access_token))[1]["active"] is True
    assert answer(introspect(other_client, client_app.access_token)) == INACTIVE


def test_in_009_public_client_is_refused(public_client, refused):
    assert refused(lambda: introspect(public_client, public_client.access_token)) == INVALID_CLIENT


@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "unknown", ""])
@pytest.mark.parametrize("token", ["access_token", "refresh_token"])
def test_in_010_hint_changes_nothing(client_app, token, hint):
    raw = getattr(client_app, token)

    assert answer(introspect(client_app, raw, token_type_hint=hint)) == answer(introspect(client_app, raw))


def test_in_011_owner_sees_its_refresh_token_which_is_no_bearer_token(client_app):
    response = introspect(client_app, client_app.refresh_token)

    assert answer(response) == (HTTPStatus.OK, description(client_app, token=RefreshToken.objects.get()))


def test_in_011_resource_server_sees_no_refresh_token(client_app, resource_server):
    assert answer(introspect(resource_server, client_app.refresh_token)) == INACTIVE


def test_in_012_spent_refresh_token_is_inactive(client_app):
    spent = client_app.refresh_token
    client_app.rotate()

    assert answer(introspect(client_app, spent)) == INACTIVE


def test_in_012_pruned_refresh_token_is_inactive(client_app):
    RefreshToken.objects.all().delete()

    assert answer(introspect(client_app, client_app.refresh_token)) == INACTIVE


def test_in_012_refresh_token_of_a_revoked_family_is_inactive(client_app):
    client_app.revoke(client_app.access_token)

    assert answer(introspect(client_app, client_app.refresh_token)) == INACTIVE


@pytest.mark.django_db
def test_in_013_only_post_is_allowed(client_app):
    response = Client().get(reverse("oauth_refresh:introspect"), {"token": client_app.access_token})

    assert read_refusal(response) == ONLY_POST
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("body", "expected"),
    [("a=b", missing("token")), ("token=", missing("token")), ("token=a&token=b", repeated("token"))],
)
def test_in_014_token_must_be_sent_once(client_app, refused, body, expected):
    assert refused(lambda: post_form("introspect", body, authorization=client_app.authorization)) == expected


def test_in_016_resource_server_with_scopes_of_its_own_sees_no_others(client_app, resource_server):
    Application.objects.filter(pk=resource_server.application.pk).update(scope="notes:write PRODUCTION")

    _status, body = answer(introspect(resource_server, client_app.access_token))

    assert (body["active"], body["scope"]) == (True, "notes:write")


def test_in_018_answer_is_not_to_be_stored(client_app):
    assert_protocol_headers(introspect(client_app, client_app.access_token))


@pytest.mark.parametrize("how", ["live", "spent", "foreign"])
def test_in_019_nothing_changes_for_any_token_presented(client_app, other_client, how):
    raw = client_app.refresh_token
    if how == "spent":
        client_app.rotate()
    caller = other_client if how == "foreign" else client_app
    before = database_snapshot()

    introspect(caller, raw)

    assert database_snapshot() == before
    assert client_app.refresh().status_code == HTTPStatus.OK
