"""Requests of any bytes: each is read or refused in JSON, nothing changes, and what is well-formed survives."""

import base64
import json
from http import HTTPStatus
from urllib.parse import urlencode

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from oauth_refresh.authorization_server.requests import (
    DEFINED_PARAMETERS,
    JWT_BEARER_ASSERTION,
    Parameters,
    read_client_credentials,
    read_parameters,
)
from oauth_refresh.bearer import read_bearer
from oauth_refresh.errors import InvalidClient, InvalidRequest
from tests.database import database_snapshot
from tests.factories import PASSWORD, SECRET
from tests.fuzz.texts import ANY_TEXT, CONTENT_TYPES, HEADER_TEXT, SENDABLE_TEXT, bounded, forms
from tests.jwts import assemble
from tests.oauth import FORM, basic

# RFC 6749 §5.2; RFC 7009 §2.2.1 adds unsupported_token_type, which a server that knows all its tokens never needs.
REGISTERED = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
}
NAMES = sorted(DEFINED_PARAMETERS)
GRANT_TYPES = ["authorization_code", "password", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
VALUES = [
    *GRANT_TYPES,
    JWT_BEARER_ASSERTION,
    assemble({"alg": "ES256"}, {"iss": "x", "sub": "x"}),
    "ort_" + "A" * 92,
    "oat_" + "A" * 43,
    SECRET,
    PASSWORD,
]
ENDPOINTS = ["token", "revoke", "introspect", "revocations"]


def posted(body, content_type=FORM, **headers):
    return RequestFactory().generic("POST", "/", body, content_type, headers=headers)


def read(reader, *arguments, refusals=InvalidRequest):
    """Return what is read; None if it is refused."""
    try:
        return reader(*arguments)
    except refusals:
        return None


@bounded(300)
@given(body=forms(NAMES, VALUES), content_type=CONTENT_TYPES | HEADER_TEXT)
def test_any_body_is_a_form_or_refused(body, content_type):
    parameters = read(read_parameters, posted(body, content_type))

    if parameters is not None:
        assert content_type.lower().startswith(FORM)
        assert all(c < "\ud800" or c > "\udfff" for pair in parameters.values.items() for text in pair for c in text)


@bounded(300)
@given(st.dictionaries(SENDABLE_TEXT, SENDABLE_TEXT, min_size=1))
def test_form_is_read_as_it_was_sent(values):
    assert read_parameters(posted(urlencode(values))).values == values


@bounded(300)
@given(st.lists(st.sampled_from([*NAMES[:3], "resource", "colour"]), min_size=1))
def test_form_is_refused_exactly_if_a_defined_name_is_repeated(names):
    defined = [name for name in names if name in DEFINED_PARAMETERS]

    parameters = read(read_parameters, posted("&".join(names)))

    assert (parameters is None) == (len(defined) != len(set(defined)))


@bounded(300)
@given(
    authorization=HEADER_TEXT
    | st.binary().map(lambda raw: f"Basic {base64.b64encode(raw).decode()}")
    | HEADER_TEXT.map("Basic {}".format),
    values=st.dictionaries(
        st.sampled_from(["client_id", "client_secret", "client_assertion", "client_assertion_type"]),
        ANY_TEXT | st.sampled_from(VALUES),
    ),
)
def test_any_credentials_are_read_or_refused(authorization, values):
    request = posted("", authorization=authorization)

    credentials = read(read_client_credentials, request, Parameters(values), refusals=(InvalidClient, InvalidRequest))

    if credentials is not None:
        assert credentials.client_id
        assert credentials.methods


@bounded(300)
@given(client_id=SENDABLE_TEXT.filter(bool), secret=SENDABLE_TEXT)
def test_basic_credentials_are_read_as_they_were_sent(client_id, secret):
    request = posted("", authorization=basic(client_id, secret))

    credentials = read_client_credentials(request, Parameters({}))

    assert (credentials.client_id, credentials.raw_secret) == (client_id, secret or None)


@bounded(300)
@given(HEADER_TEXT | HEADER_TEXT.map("Bearer {}".format))
def test_any_bearer_header_is_read_or_refused(authorization):
    token = read(read_bearer, posted("", authorization=authorization))

    if token is not None:
        assert authorization.lower().startswith("bearer ")
        assert token == authorization[len("bearer ") :].strip(" ")


@bounded(300)
@given(token=st.from_regex(r"\A[A-Za-z0-9._~+/-]+=*\Z"), spaces=st.integers(1, 3))
def test_bearer_token_is_read_as_it_was_sent(token, spaces):
    assert read_bearer(posted("", authorization=f"bEARER{' ' * spaces}{token}")) == token


def assert_refused_in_json(response):
    """The answer is JSON for a client that erred, or says that nothing is there; it is never stored."""
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    if response.status_code == HTTPStatus.OK:
        assert response.content in {b"{}", b'{"active":false}'}
        return
    # 403: the feed of revocations is for resource servers.
    assert response.status_code in {400, 401, 403, 413}
    assert set(json.loads(response.content)) == {"error", "error_description"}
    assert response.json()["error"] in REGISTERED


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("caller", ["authenticated", "unauthenticated"])
def test_any_request_is_refused_in_json_and_changes_nothing(client_app, endpoint, caller):
    before, browser, url = database_snapshot(), Client(), reverse(f"oauth_refresh:{endpoint}")
    values = [*VALUES, client_app.application.client_id, client_app.grant.user.username, client_app.access_token[:-1]]
    own = client_app.authorization

    @bounded(150)
    @given(
        body=forms(NAMES, values),
        grant_type=st.sampled_from([b"", b"", *(f"&grant_type={name}".encode() for name in GRANT_TYPES)]),
        content_type=CONTENT_TYPES,
        authorization=st.just(own) if caller == "authenticated" else HEADER_TEXT | HEADER_TEXT.map("Basic {}".format),
        query=SENDABLE_TEXT,
    )
    def send(body, grant_type, content_type, authorization, query):
        headers = {"Authorization": authorization}
        response = browser.generic(
            "POST", url, body + grant_type, content_type, headers=headers, query_params={"token": query}
        )
        assert_refused_in_json(response)

    send()

    assert database_snapshot() == before


@pytest.mark.django_db
@pytest.mark.parametrize("view", ["notes", "session_first", "plain", "plain_async"])
def test_any_request_to_an_api_is_refused_in_json(view):
    browser, url = Client(), reverse(view)

    @bounded(150)
    @given(
        body=forms(["access_token", "scope"], VALUES),
        content_type=CONTENT_TYPES,
        authorization=st.sampled_from(["Bearer oat_" + "A" * 43, "Bearer x", "Bearer"]) | HEADER_TEXT,
    )
    def send(body, content_type, authorization):
        response = browser.generic("POST", url, body, content_type, headers={"Authorization": authorization})
        assert response.status_code in {400, 401}
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["WWW-Authenticate"].startswith("Bearer ") or view == "session_first"

    send()
