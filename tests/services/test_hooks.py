"""Hooks of the project: which scopes a user may grant, and further members of the answers."""

from http import HTTPStatus

import pytest

from oauth_refresh.models import AccessToken, Grant
from tests.consent import start_flow
from tests.database import database_snapshot
from tests.factories import UserFactory
from tests.oauth import post_form


def readers_only(*, user, application, scopes):
    """Writing is for one user alone, and nothing for a guest."""
    if user.username == "guest":
        return []
    return [name for name in scopes if name != "notes:write" or user.username == "writer"]


def tenant(*, grant, grant_type):
    return {"tenant": grant.user and grant.user.username, "by": grant_type}


def who(*, token):
    return {"grant": str(token.grant.public_id)}


def broken(**kwargs):
    raise LookupError("the project's database of rights is down")


def password_grant(client, user, **parameters):
    return client.token(
        grant_type="password", username=user.username, password="correct horse battery staple", **parameters
    )


def test_user_grants_only_what_the_policy_lets_them(client_app, oauth_settings):
    oauth_settings(SCOPE_POLICY="tests.services.test_hooks.readers_only")
    writer, reader = UserFactory(username="writer"), UserFactory(username="reader")

    scopes = [
        password_grant(client_app, user, scope="notes:read notes:write").json()["scope"] for user in (writer, reader)
    ]

    assert scopes == ["notes:read notes:write", "notes:read"]


def test_user_who_may_grant_nothing_starts_no_grant(client_app, oauth_settings):
    oauth_settings(SCOPE_POLICY=readers_only)

    response = password_grant(client_app, UserFactory(username="guest"), scope="notes:read")

    assert (response.status_code, response.json()["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_scope")
    assert Grant.objects.count() == 1


def test_consent_page_asks_only_for_what_the_user_may_grant(user, oauth_settings):
    oauth_settings(SCOPE_POLICY=readers_only)
    flow = start_flow(user)

    page = flow.ask(scope="notes:read notes:write").content.decode()

    assert "Read your notes" in page
    assert "Write your notes" not in page


def test_policy_is_called_again_at_each_refresh(client_app, oauth_settings):
    oauth_settings(SCOPE_POLICY=readers_only)

    assert client_app.rotate()["scope"] == "notes:read"


def test_scope_is_granted_again_when_the_policy_allows_it_again(client_app, oauth_settings):
    oauth_settings(SCOPE_POLICY=readers_only)
    client_app.rotate()

    oauth_settings(SCOPE_POLICY=None)

    assert client_app.rotate()["scope"] == "notes:read notes:write"


def test_refresh_that_asks_for_a_refused_scope_is_refused(client_app, oauth_settings):
    oauth_settings(SCOPE_POLICY=readers_only)

    response = client_app.refresh(scope="notes:write")

    assert (response.status_code, response.json()["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_scope")
    assert client_app.rotate()["scope"] == "notes:read"


def test_policy_is_not_called_for_an_application_itself(client_app, oauth_settings):
    oauth_settings(SCOPE_POLICY=broken)

    response = client_app.token(grant_type="client_credentials", scope="notes:read")

    assert response.json()["scope"] == "notes:read"


def test_policy_can_add_no_scope(client_app, oauth_settings):
    oauth_settings(SCOPE_POLICY=lambda user, application, scopes: ["PRODUCTION", *scopes])

    assert client_app.rotate()["scope"] == "notes:read notes:write"


def test_token_response_has_the_fields_of_the_project(client_app, oauth_settings):
    oauth_settings(TOKEN_RESPONSE_FIELDS="tests.services.test_hooks.tenant")

    body = client_app.rotate()

    assert (body["tenant"], body["by"]) == (client_app.grant.user.username, "refresh_token")


def test_introspection_has_the_fields_of_the_project(client_app, oauth_settings):
    oauth_settings(INTROSPECTION_FIELDS=who)

    body = post_form("introspect", {"token": client_app.access_token}, authorization=client_app.authorization).json()

    assert (body["active"], body["grant"]) == (True, str(client_app.grant.public_id))


def test_introspection_of_an_inactive_token_calls_no_hook(client_app, oauth_settings):
    oauth_settings(INTROSPECTION_FIELDS=broken)

    response = post_form("introspect", {"token": "garbage"}, authorization=client_app.authorization)

    assert response.json() == {"active": False}


FAULTS = {
    "policy raises": {"SCOPE_POLICY": broken},
    "policy returns nothing": {"SCOPE_POLICY": lambda **kwargs: None},
    "policy returns a text": {"SCOPE_POLICY": lambda **kwargs: "notes:read"},
    "fields raise": {"TOKEN_RESPONSE_FIELDS": broken},
    "fields are none": {"TOKEN_RESPONSE_FIELDS": lambda **kwargs: None},
    "fields hide a standard one": {"TOKEN_RESPONSE_FIELDS": lambda **kwargs: {"scope": "everything"}},
    "fields are no JSON": {"TOKEN_RESPONSE_FIELDS": lambda **kwargs: {"user": object()}},
    "fields are not a number": {"TOKEN_RESPONSE_FIELDS": lambda **kwargs: {"score": float("nan")}},
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hooks", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("grant_type", ["refresh_token", "password", "authorization_code"])
def test_failing_hook_is_a_503_and_issues_no_token(client_app, oauth_settings, caplog, hooks, grant_type):
    user = client_app.grant.user
    flow = start_flow(user)
    code = flow.code()
    oauth_settings(**hooks)
    before = database_snapshot()

    response = {
        "refresh_token": client_app.refresh,
        "password": lambda: password_grant(client_app, user, scope="notes:read"),
        "authorization_code": lambda: flow.redeem(code),
    }[grant_type]()

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert response.headers["Retry-After"]
    assert "Server error at /oauth/token" in caplog.text
    assert database_snapshot() == before
    oauth_settings(SCOPE_POLICY=None, TOKEN_RESPONSE_FIELDS=None)
    assert client_app.refresh().status_code == HTTPStatus.OK


def test_failing_hook_of_introspection_is_a_503(client_app, oauth_settings):
    oauth_settings(INTROSPECTION_FIELDS=lambda token: {"active": False})

    response = post_form("introspect", {"token": client_app.access_token}, authorization=client_app.authorization)

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert AccessToken.objects.live().exists()
