"""Bearer tokens at an API: RFC 6750, on Django REST framework and in plain Django views."""

import re
from http import HTTPStatus

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from oauth_refresh.services import issue_tokens
from tests.conformance.access_tokens import INVALID_ACCESS_TOKENS
from tests.consent import start_flow
from tests.database import database_snapshot
from tests.factories import SECRET, ApplicationFactory, UserFactory
from tests.oauth import OAuthClient, basic
from tests.refusals import DESCRIPTION

NOT_AUTHENTICATED = 'Bearer realm="oauth"'
INVALID_TOKEN = (
    'Bearer realm="oauth", error="invalid_token", error_description="The access token is invalid, expired or revoked."'
)
NOT_ALLOWED = "The access token does not allow this."
REALM = 'realm="oauth"'
VIEWS = ["notes", "plain", "plain_async", "plain_class"]


def call(name="notes", authorization=None, *, method="get", client=None, **extra):
    """Send a request to a protected view, with this Authorization header if any."""
    headers = extra.pop("headers", {}) | ({"Authorization": authorization} if authorization is not None else {})
    return getattr(client or Client(), method)(reverse(name), headers=headers, **extra)


def refusal(response):
    """Return status and challenge of a refusal in JSON."""
    assert response.headers["Content-Type"] == "application/json"
    return HTTPStatus(response.status_code), response.headers.get("WWW-Authenticate")


@pytest.fixture(params=VIEWS)
def view(request, db):
    return request.param


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_br_001_valid_token_authenticates_its_user(view, client_app, scheme):
    response = call(view, f"{scheme} {client_app.access_token}")

    assert response.status_code == HTTPStatus.OK
    assert response.json() == {
        "user": client_app.grant.user.username,
        "client": client_app.application.client_id,
        "grant": str(client_app.grant.public_id),
        "scopes": ["notes:read", "notes:write"],
    }


def test_br_001_token_of_an_application_itself_has_no_user(application):
    issued = issue_tokens(application, user=None, grant_type="client_credentials", scope="notes:read")

    response = call(authorization=f"Bearer {issued.access_token}")

    assert (response.status_code, response.json()["user"]) == (HTTPStatus.OK, "")
    assert call("signed_in", f"Bearer {issued.access_token}").status_code == HTTPStatus.FORBIDDEN


def test_br_002_request_without_token_is_challenged_without_an_error(view):
    assert refusal(call(view)) == (HTTPStatus.UNAUTHORIZED, NOT_AUTHENTICATED)


@pytest.mark.parametrize("make", INVALID_ACCESS_TOKENS.values(), ids=INVALID_ACCESS_TOKENS)
def test_br_003_invalid_token_is_refused_without_a_reason(view, client_app, make):
    raw = make(client_app)
    before = database_snapshot()

    response = call(view, f"Bearer {raw}")

    assert refusal(response) == (HTTPStatus.UNAUTHORIZED, INVALID_TOKEN)
    assert response.json()["error"] == "invalid_token"
    assert database_snapshot() == before


@pytest.mark.parametrize(
    ("request_line", "scope", "needed"),
    [
        ("get notes", "PRODUCTION", "notes:read"),
        ("head notes", "PRODUCTION", "notes:read"),
        ("post notes", "notes:read", "notes:write"),
        ("post one_list", "notes:write", "notes:read"),
        ("get inline", "notes:read", "notes:read notes:write"),
        ("get plain", "notes:write", "notes:read"),
        ("get plain_async", "notes:write", "notes:read"),
        ("get session_first", "PRODUCTION", "notes:read"),
    ],
)
def test_br_004_refusal_for_a_missing_scope_names_it(application, user, request_line, scope, needed):
    method, view = request_line.split()
    client = OAuthClient(application, SECRET).start(user=user, scope=scope)

    response = call(view, f"Bearer {client.access_token}", method=method)

    assert refusal(response) == (
        HTTPStatus.FORBIDDEN,
        f'Bearer {REALM}, error="insufficient_scope", error_description="{NOT_ALLOWED}", scope="{needed}"',
    )


@pytest.mark.parametrize(
    ("view", "method"), [("notes", "get"), ("notes", "post"), ("inline", "get"), ("notes", "options")]
)
def test_br_004_token_with_the_scope_is_accepted(client_app, view, method):
    assert call(view, f"Bearer {client_app.access_token}", method=method).status_code == HTTPStatus.OK


def test_br_004_view_that_names_no_scope_refuses_everyone(client_app):
    with pytest.raises(ImproperlyConfigured, match=r"WithoutScopes\.required_scopes"):
        call("without_scopes", f"Bearer {client_app.access_token}")


def test_br_004_method_that_names_no_scope_refuses_everyone(client_app):
    with pytest.raises(ImproperlyConfigured, match="DELETE"):
        call("method_without_scopes", f"Bearer {client_app.access_token}", method="delete")


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("view", ["notes", "inline", "one_list", "without_scopes"])
def test_br_004_method_that_a_view_does_not_have_is_not_allowed(client_app, view, method):
    response = call(view, f"Bearer {client_app.access_token}", method=method)

    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED


def challenges_invalid_request(response):
    status, challenge = refusal(response)
    return status == HTTPStatus.BAD_REQUEST and challenge.startswith('Bearer realm="oauth", error="invalid_request", ')


@pytest.mark.parametrize("view", ["notes", "plain"])
def test_br_005_token_in_header_and_form_is_refused(client_app, view):
    form = f"access_token={client_app.access_token}"

    response = call(
        view,
        f"Bearer {client_app.access_token}",
        method="post",
        data=form,
        content_type="application/x-www-form-urlencoded",
    )

    assert challenges_invalid_request(response)


def test_br_005_form_that_cannot_be_read_is_refused(client_app, view):
    form = "application/x-www-form-urlencoded; charset=latin-1"

    response = call(view, f"Bearer {client_app.access_token}", method="post", data=b"a=b", content_type=form)

    assert challenges_invalid_request(response)


def test_br_005_form_without_a_token_is_read_as_ever(client_app):
    response = call(
        "notes",
        f"Bearer {client_app.access_token}",
        method="post",
        data="text=hello",
        content_type="application/x-www-form-urlencoded",
    )

    assert response.status_code == HTTPStatus.OK


def test_br_006_token_in_the_query_string_is_ignored(view, client_app):
    response = call(view, data={"access_token": client_app.access_token})

    assert refusal(response) == (HTTPStatus.UNAUTHORIZED, NOT_AUTHENTICATED)


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "application/json"])
def test_br_007_token_in_the_body_is_ignored(client_app, content_type):
    response = call("notes", method="post", data=f"access_token={client_app.access_token}", content_type=content_type)

    assert refusal(response) == (HTTPStatus.UNAUTHORIZED, NOT_AUTHENTICATED)


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer a b", "Bearer tök", 'Bearer "a"', "Bearer a,b", "Bearer ="]
)
def test_br_008_header_that_holds_no_single_token_is_malformed(view, header):
    assert challenges_invalid_request(call(view, header))


def test_br_009_attributes_of_every_challenge_come_once_and_are_quotable(client_app):
    responses = [call(), call(authorization="Bearer x"), call(authorization="Bearer a b")]
    client_app.rotate(scope="notes:read")
    responses.append(call(authorization=f"Bearer {client_app.access_token}", method="post"))

    for response in responses:
        attributes = re.findall(r'(\w+)="([^"]*)"', response.headers["WWW-Authenticate"])
        names = [name for name, _value in attributes]
        assert len(names) == len(set(names))
        assert all(DESCRIPTION.fullmatch(value) for _name, value in attributes)


@pytest.mark.parametrize(
    ("view", "challenge"),
    [
        ("session_first", NOT_AUTHENTICATED),
        ("basic_first", 'Basic realm="api", ' + NOT_AUTHENTICATED),
        ("bearer_first", NOT_AUTHENTICATED),
    ],
)
def test_br_010_bearer_challenge_is_there_wherever_bearer_stands(db, view, challenge):
    assert refusal(call(view)) == (HTTPStatus.UNAUTHORIZED, challenge)


@pytest.mark.parametrize("view", ["session_first", "basic_first", "bearer_first"])
def test_br_010_bad_token_is_challenged_wherever_bearer_stands(db, view):
    assert refusal(call(view, "Bearer oat_unknown")) == (HTTPStatus.UNAUTHORIZED, INVALID_TOKEN)


def test_br_010_session_passes_where_the_view_lets_it(user, client):
    client.force_login(user)

    response = call("session_first", client=client)

    assert response.json() == {"user": user.username, "client": None, "grant": None, "scopes": None}


def test_br_010_session_does_not_pass_where_a_scope_is_needed(user, client):
    client.force_login(user)

    assert refusal(call("notes", client=client)) == (HTTPStatus.UNAUTHORIZED, NOT_AUTHENTICATED)


def test_br_010_user_of_a_test_without_a_token_has_no_scope(user):
    client = APIClient()
    client.force_authenticate(user)

    assert refusal(call("notes", client=client)) == (HTTPStatus.UNAUTHORIZED, NOT_AUTHENTICATED)


def test_br_011_other_scheme_counts_as_no_token(view, client_app):
    response = call(view, basic(client_app.application.client_id, SECRET))

    assert refusal(response) == (HTTPStatus.UNAUTHORIZED, NOT_AUTHENTICATED)


def test_br_012_refresh_token_and_code_are_no_access_tokens(view, client_app, user):
    code = start_flow(user).code()

    assert refusal(call(view, f"Bearer {client_app.refresh_token}")) == (HTTPStatus.UNAUTHORIZED, INVALID_TOKEN)
    assert refusal(call(view, f"Bearer {code}")) == (HTTPStatus.UNAUTHORIZED, INVALID_TOKEN)


def test_br_014_token_is_refused_at_the_next_request_after_its_revocation(view, client_app):
    assert call(view, f"Bearer {client_app.access_token}").status_code == HTTPStatus.OK

    client_app.revoke(client_app.refresh_token)

    assert refusal(call(view, f"Bearer {client_app.access_token}")) == (HTTPStatus.UNAUTHORIZED, INVALID_TOKEN)


def test_br_015_token_in_a_cookie_is_not_read(view, client_app, client):
    for name in ("access_token", "Authorization"):
        client.cookies[name] = client_app.access_token

    assert refusal(call(view, client=client)) == (HTTPStatus.UNAUTHORIZED, NOT_AUTHENTICATED)


@pytest.mark.parametrize("view", ["bearer_first", "plain", "plain_async", "plain_class", "async_user"])
def test_br_016_token_counts_and_not_the_session_beside_it(client_app, view):
    client = Client(enforce_csrf_checks=True)
    client.force_login(UserFactory(username="somebody-else"))

    response = call(view, f"Bearer {client_app.access_token}", method="post", client=client)

    assert (response.status_code, response.json()["user"]) == (HTTPStatus.OK, client_app.grant.user.username)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("fault", [OperationalError, InterfaceError])  # InterfaceError: the connection is closed
@pytest.mark.django_db
def test_database_error_is_a_503_and_says_nothing_of_the_token(client_app, view, fault, caplog):
    def fail(execute, sql, *args):
        raise fault("the disk is full of " + client_app.access_token)

    with connection.execute_wrapper(fail):
        response = call(view, f"Bearer {client_app.access_token}")

    assert (response.status_code, response.headers["Retry-After"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "5")
    assert "WWW-Authenticate" not in response.headers
    assert "Server error at" in caplog.text


def test_scopes_can_be_spread_over_several_applications(user):
    other = OAuthClient(ApplicationFactory(raw_secret=SECRET, scope="notes:read"), SECRET)
    other.start(user=user, scope="notes:read")

    assert call(authorization=f"Bearer {other.access_token}").json()["scopes"] == ["notes:read"]
