"""``verify``, by which gateways ask for a token: RFC 6750 §3, nginx's auth_request."""

import uuid
from http import HTTPStatus

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from oauth_refresh.authorization_server.verify import _headers_about
from oauth_refresh.models import AccessToken, Application, Grant
from oauth_refresh.services import revoke_grant
from tests.factories import AccessTokenFactory, ApplicationFactory
from tests.oauth import FORM
from tests.queries import statements

PLAIN = 'Bearer realm="oauth"'
INACTIVE = f'{PLAIN}, error="invalid_token", error_description="The access token is invalid, expired or revoked."'
NARROW = f'{PLAIN}, error="insufficient_scope", error_description="The access token does not allow this."'
MALFORMED = (
    f'{PLAIN}, error="invalid_request", '
    'error_description="The Authorization header must hold one access token after the word Bearer."'
)
WITHOUT_HTTPS = (
    f'{PLAIN}, error="invalid_request", '
    'error_description="Use https: what was sent in the clear must be regarded as leaked."'
)


def verify(token=None, query="", *, method="GET", authorization=None, **extra):
    if token is not None:
        authorization = f"Bearer {token}"
    headers = {} if authorization is None else {"Authorization": authorization}
    return Client().generic(method, reverse("oauth_refresh:verify") + query, headers=headers, **extra)


def answer(response):
    """Return status and challenge, after looking at what all answers have in common."""
    assert response.headers["Cache-Control"] == "no-store"
    assert "Authorization" in response.headers["Vary"].split(", ")
    assert not response.cookies
    return HTTPStatus(response.status_code), response.headers.get("WWW-Authenticate")


PASSES = (HTTPStatus.NO_CONTENT, None)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_rf_007_active_token_is_accepted(client_app, slash, method):
    path = reverse("oauth_refresh:verify").removesuffix("/") + slash

    response = Client().generic(method, path, headers={"Authorization": f"Bearer {client_app.access_token}"})

    assert (answer(response), response.content) == (PASSES, b"")


@pytest.mark.parametrize("authorization", [None, "", "Basic YTpi", "Token x"])
def test_rf_007_request_without_a_token_gets_a_challenge_without_an_error(db, authorization):
    response = verify(authorization=authorization)

    assert (answer(response), response.json()) == ((HTTPStatus.UNAUTHORIZED, PLAIN), {})


@pytest.mark.parametrize("state", ["spent refresh token", "current refresh token", "revoked access token", "unknown"])
def test_rf_007_inactive_token_is_refused(held_tokens, state):
    assert answer(verify(held_tokens.get(state, "oat_unknown"))) == (HTTPStatus.UNAUTHORIZED, INACTIVE)


def test_rf_007_token_is_refused_at_the_first_request_after_its_revocation(client_app):
    assert answer(verify(client_app.access_token)) == PASSES
    revoke_grant(client_app.grant, reason="lost device")
    assert answer(verify(client_app.access_token)) == (HTTPStatus.UNAUTHORIZED, INACTIVE)


@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ("?scope=PRODUCTION", "PRODUCTION"),
        ("?scope=notes:read+PRODUCTION", "notes:read PRODUCTION"),
        ("?scope=notes:read&scope=PRODUCTION", "notes:read PRODUCTION"),
        ("?scope=PRODUCTION&scope=notes:read", "PRODUCTION notes:read"),
        ("?scope=Notes:Read", "Notes:Read"),
        ("?scope=notes", "notes"),
    ],
)
def test_rf_007_token_that_lacks_a_scope_is_refused_with_all_that_are_needed(client_app, query, missing):
    response = verify(client_app.access_token, query)

    assert answer(response) == (HTTPStatus.FORBIDDEN, f'{NARROW}, scope="{missing}"')
    assert response.json()["error"] == "insufficient_scope"


@pytest.mark.parametrize(
    "query",
    [
        "?scope=notes:read",
        "?scope=notes:read%20notes:write",
        "?scope=%20notes:read++notes:write%20",
        "?scope=notes:read&scope=notes:write&scope=notes:read",
        "?scope=notes:read&anything=else&access_token=x",
        "?resource=https://auth.example",
    ],
)
def test_token_that_has_every_scope_passes(client_app, query):
    assert answer(verify(client_app.access_token, query)) == PASSES


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("?scope=", ""),
        ("?scope", ""),
        ("?scope=%20", ""),
        ("?scope=notes:read&scope=", ', scope="notes:read"'),
        ("?scope=%00", ""),
        ('?scope=notes:read"', ""),
        ("?scope=notes:read%0d%0aSet-Cookie:a=b", ""),
        ("?scope=n%C3%B6tes&scope=PRODUCTION", ', scope="PRODUCTION"'),
        ("?scope=%ff", ""),
        ("?scope=notes:read%09notes:write", ""),
        ("?" + "&".join(["scope=notes:read"] * 2000), ""),
    ],
)
def test_malformed_query_is_refused_also_with_an_active_token(client_app, query, named):
    assert answer(verify(client_app.access_token, query)) == (HTTPStatus.FORBIDDEN, NARROW + named)


@pytest.mark.parametrize("query", ["?scope=", "?scope=%00", "?resource=x", "?" + "&".join(["a=b"] * 2000)])
def test_malformed_query_with_an_inactive_token_is_an_invalid_token(db, query):
    assert answer(verify("oat_unknown", query)) == (HTTPStatus.UNAUTHORIZED, INACTIVE)
    assert answer(verify(query=query)) == (HTTPStatus.UNAUTHORIZED, PLAIN)


@pytest.mark.parametrize(
    "query",
    [
        "?resource=https://api.example",
        "?resource=",
        "?resource=https://auth.example/",
        "?resource=%00",
        "?resource=https://auth.example&resource=https://api.example",
    ],
)
def test_token_is_refused_for_any_resource_but_the_issuer(client_app, query):
    assert answer(verify(client_app.access_token, query)) == (HTTPStatus.UNAUTHORIZED, INACTIVE)


def test_without_an_issuer_no_token_is_for_a_resource(client_app, oauth_settings):
    oauth_settings(ISSUER=None)

    assert answer(verify(client_app.access_token, "?resource=None")) == (HTTPStatus.UNAUTHORIZED, INACTIVE)
    assert answer(verify(client_app.access_token)) == PASSES


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Bearer a b", "Bearer ä", 'Bearer "x"', "bearer a,b"])
def test_rf_007_malformed_header_is_answered_with_401(db, authorization):
    assert answer(verify(authorization=authorization)) == (HTTPStatus.UNAUTHORIZED, MALFORMED)


def test_plain_http_is_refused_where_https_is_required(client_app, oauth_settings):
    oauth_settings(REQUIRE_HTTPS=True)

    assert answer(verify(client_app.access_token)) == (HTTPStatus.UNAUTHORIZED, WITHOUT_HTTPS)
    assert answer(verify(client_app.access_token, secure=True)) == PASSES


def test_token_elsewhere_than_in_the_header_does_not_count(client_app):
    token = client_app.access_token

    response = verify(query=f"?access_token={token}", data=f"access_token={token}", content_type=FORM)

    assert answer(response) == (HTTPStatus.UNAUTHORIZED, PLAIN)


def test_headers_of_the_request_behind_the_gateway_do_not_matter(client_app):
    """nginx sends those of the client's request, without its body."""
    response = verify(
        client_app.access_token, content_type="application/json", HTTP_ACCEPT="text/html", HTTP_COOKIE="sessionid=x"
    )

    assert answer(response) == PASSES


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_not_allowed(client_app, method):
    response = verify(client_app.access_token, method=method)

    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert response.headers["Allow"] == "GET, HEAD"


def test_request_costs_one_statement_and_none_if_the_token_is_malformed(
    client_app, django_assert_num_queries, settings
):
    with django_assert_num_queries(1) as queries:
        verify(client_app.access_token, "?scope=notes:read")
    with django_assert_num_queries(0):
        verify("unknown")

    assert statements(queries) == ["SELECT accesstoken"]


def test_request_under_atomic_requests_opens_no_transaction(client_app, settings, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    seen = []

    def look(execute, *statement):
        seen.append(len(connection.savepoint_ids))
        return execute(*statement)

    with connection.execute_wrapper(look):
        response = verify(client_app.access_token)

    assert (answer(response), seen) == (PASSES, [0])


def test_database_that_is_down_is_a_server_error(client_app, caplog):
    def fail(execute, *statement):
        raise OperationalError("the connection is lost")

    with connection.execute_wrapper(fail):
        response = verify(client_app.access_token)

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert response.headers["Retry-After"] == "5"
    assert response.json()["error"] == "temporarily_unavailable"
    assert "WWW-Authenticate" not in response.headers
    assert client_app.access_token not in caplog.text


def test_requests_with_inactive_tokens_are_never_limited(db, oauth_settings):
    oauth_settings(FAILURE_RATE="1/day")

    assert {verify("oat_unknown").status_code for _attempt in range(5)} == {HTTPStatus.UNAUTHORIZED}


def about(response):
    return {name: value for name, value in response.headers.items() if name.startswith("X-OAuth")}


def test_headers_of_the_answer_name_user_client_and_scope(client_app):
    assert about(verify(client_app.access_token)) == {
        "X-OAuth-Subject": str(client_app.grant.user.pk),
        "X-OAuth-Client-ID": client_app.application.client_id,
        "X-OAuth-Scope": "notes:read notes:write",
    }


def test_client_id_is_never_sent_as_the_subject(client_app, user):
    """RFC 9700 §4.15: a client could have the key of a user for its ID."""
    Application.objects.update(client_id=str(user.pk))
    client_app.application.refresh_from_db()
    body = client_app.token(grant_type="client_credentials", scope="notes:read").json()

    assert about(verify(body["access_token"])) == {"X-OAuth-Client-ID": str(user.pk), "X-OAuth-Scope": "notes:read"}


@pytest.mark.parametrize("query", ["?scope=PRODUCTION", "?resource=x"])
def test_refusal_says_nothing_of_the_token(client_app, query):
    assert about(verify(client_app.access_token, query)) == {}
    assert about(verify()) == {}


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("zoë 100%", "zo%C3%AB%20100%25"),
        ("a\r\nX-OAuth-Subject: 1", "a%0D%0AX-OAuth-Subject:%201"),
        ("\x00\x7f\u20ac", "%00%7F%E2%82%AC"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    ],
)
def test_no_name_can_forge_a_header(text, header):
    """User models may have a key of any text, and rows may be written past the validators."""
    token = AccessTokenFactory.build(scope="a%b c", grant__application=ApplicationFactory.build(client_id=f"{text}"))
    token.grant.user.pk = text

    assert _headers_about(token) == {
        "X-OAuth-Subject": header,
        "X-OAuth-Client-ID": header,
        "X-OAuth-Scope": "a%25b c",
    }


def test_nothing_is_written(client_app):
    before = [list(model.objects.values()) for model in (AccessToken, Grant)]

    verify(client_app.access_token)

    assert [list(model.objects.values()) for model in (AccessToken, Grant)] == before
