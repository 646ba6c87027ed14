"""What the token endpoint answers: RFC 6749 §5.1 and §5.2."""

import base64
import re
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.db import OperationalError
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.checks import check_settings
from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken
from oauth_refresh.signals import refresh_token_exchanged
from tests.database import database_snapshot
from tests.factories import PASSWORD
from tests.oauth import basic, post_form
from tests.refusals import (
    INVALID_CLIENT,
    INVALID_GRANT,
    NOT_A_FORM,
    UNAUTHORIZED_CLIENT,
    UNAVAILABLE,
    UNSUPPORTED_GRANT_TYPE,
    assert_protocol_headers,
    invalid_scope,
    missing,
    read_refusal,
    repeated,
)
from tests.signals import connected


@pytest.fixture(params=["refresh_token", "password", "client_credentials"])
def success(request, client_app, user):
    """The response to a successful request of each grant type."""
    parameters = {
        "refresh_token": {"refresh_token": client_app.refresh_token},
        "password": {"username": user.username, "password": PASSWORD},
        "client_credentials": {},
    }
    return client_app.token(grant_type=request.param, **parameters[request.param])


def test_s_001_success_is_a_json_object(success):
    assert success.status_code == HTTPStatus.OK
    assert success.headers["Content-Type"] == "application/json"
    assert {"access_token", "token_type", "expires_in", "scope"} <= set(success.json())


def test_s_002_success_is_not_to_be_stored(success):
    assert_protocol_headers(success)


def test_s_003_token_type_is_bearer(success):
    assert success.json()["token_type"] == "Bearer"


def test_s_004_expires_in_is_the_lifetime_of_the_access_token(success):
    body = success.json()
    row = AccessToken.objects.get(digest=crypto.digest(body["access_token"]))

    assert type(body["expires_in"]) is int
    assert timedelta(seconds=body["expires_in"]) == row.expires_at - row.created_at == timedelta(hours=1)


def test_s_004_expires_in_is_cut_off_where_the_grant_ends(client_app, oauth_settings, time_machine):
    oauth_settings(GRANT_LIFETIME=timedelta(days=14))
    client_app.start(user=client_app.grant.user)
    time_machine.move_to(client_app.grant.expires_at - timedelta(minutes=10), tick=False)

    body = client_app.rotate()

    assert (body["expires_in"], body["refresh_token_expires_in"]) == (600, 600)


@pytest.mark.parametrize(
    ("requested", "granted"),
    [({}, "notes:read"), ({"scope": "notes:write  SANDBOX notes:write"}, "notes:write SANDBOX")],
    ids=["defaulted", "duplicates"],
)
def test_s_005_scope_says_what_was_granted_where_it_differs(client_app, user, requested, granted):
    body = client_app.token(grant_type="password", username=user.username, password=PASSWORD, **requested).json()

    assert body["scope"] == granted
    assert AccessToken.objects.get(digest=crypto.digest(body["access_token"])).scope == granted


def test_s_006_scope_says_what_was_granted_where_it_is_what_was_requested(client_app):
    body = client_app.token(grant_type="client_credentials", scope="notes:read notes:write").json()

    assert body["scope"] == "notes:read notes:write"


def test_s_007_members_of_a_refresh_token_are_left_out_where_there_is_none(client_app):
    body = client_app.token(grant_type="client_credentials").json()

    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}


def test_s_008_tokens_consist_of_the_characters_allowed(client_app):
    body = client_app.rotate()

    assert re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", body["access_token"])
    assert re.fullmatch(r"[\x20-\x7E]+", body["refresh_token"])


def varying_bits(tokens, *, secret):
    """Return how many bits of the slice ``secret`` of the decoded tokens are not the same in all of them."""
    bodies = [token.partition("_")[2] for token in tokens]
    decoded = [base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)) for body in bodies]
    numbers = [int.from_bytes(octets[secret]) for octets in decoded]
    varying = 0
    for number in numbers:
        varying |= number ^ numbers[0]
    return varying.bit_count()


def test_s_009_access_tokens_hold_256_random_bits(client_app):
    tokens = [client_app.rotate()["access_token"] for _ in range(64)]

    assert varying_bits(tokens, secret=slice(0, 32)) == 256


def test_s_009_refresh_tokens_hold_256_random_bits(client_app):
    tokens = [client_app.rotate()["refresh_token"] for _ in range(64)]

    assert varying_bits(tokens, secret=slice(21, 53)) == 256


def test_s_010_only_digests_of_tokens_are_stored(client_app):
    body = client_app.rotate()

    assert AccessToken.objects.get(generation=2).digest == crypto.digest(body["access_token"])
    assert RefreshToken.objects.get(generation=2).digest == crypto.digest(body["refresh_token"])
    assert body["access_token"] not in repr(database_snapshot())
    assert body["refresh_token"] not in repr(database_snapshot())


REFUSALS = {
    "missing parameter": ({"grant_type": ""}, missing("grant_type")),
    "unknown grant type": ({"grant_type": "nope"}, UNSUPPORTED_GRANT_TYPE),
    "unknown token": ({"grant_type": "refresh_token", "refresh_token": "unknown"}, INVALID_GRANT),
    "unknown scope": ({"grant_type": "client_credentials", "scope": "unknown"}, invalid_scope("unknown")),
    "grant type of others": ({"grant_type": "password"}, UNAUTHORIZED_CLIENT),
}


@pytest.mark.parametrize(("parameters", "answer"), REFUSALS.values(), ids=REFUSALS)
def test_e_001_refusal_is_a_400_with_one_code(client_app, refused, parameters, answer):
    Application.objects.update(grant_types="client_credentials refresh_token")

    assert refused(lambda: client_app.token(**parameters)) == answer


@pytest.mark.parametrize(
    "parameters",
    [
        {"grant_type": "client_credentials", "scope": 'é"\\"\n'},
        {"grant_type": 'é"\\"\n'},
        {"grant_type": "refresh_token", "refresh_token": 'é"\\"\n'},
        {"grant_type": "password", "username": 'é"\\"\n', "password": 'é"\\"\n'},
    ],
    ids=["scope", "grant_type", "refresh_token", "username"],
)
def test_e_002_description_never_quotes_what_was_sent(client_app, refused, parameters):
    _status, body = refused(lambda: client_app.token(**parameters))

    assert "é" not in body["error_description"]


def test_e_003_error_uri_cannot_be_configured(oauth_settings):
    oauth_settings(ERROR_URI='https://testserver/a page"')

    assert [message.id for message in check_settings()] == ["oauth_refresh.E001"]


@pytest.mark.parametrize(("parameters", "answer"), REFUSALS.values(), ids=REFUSALS)
def test_e_004_refusal_is_not_to_be_stored(client_app, parameters, answer):
    response = client_app.token(**parameters)

    assert response.status_code != HTTPStatus.OK
    assert (response.headers["Cache-Control"], response.headers["Pragma"]) == ("no-store", "no-cache")


def wait_in_vain(**kwargs):
    raise OperationalError("lock timeout")


def test_e_005_server_error_is_a_503_in_json(client_app):
    with connected(refresh_token_exchanged, wait_in_vain):
        response = client_app.refresh()

    assert read_refusal(response) == UNAVAILABLE
    assert response.headers["Retry-After"] == "5"


# Each request has several faults, and the one that comes first in the order of the row is named.


def test_e_006_transport_comes_first(client_app, refused):
    body = "grant_type=nope&grant_type=nope&client_secret=x"

    assert refused(lambda: post_form("token", body, content_type="text/plain")) == NOT_A_FORM


def test_e_006_repetition_comes_before_authentication(client_app, refused):
    body = "grant_type=nope&grant_type=nope&client_secret=x"

    assert refused(lambda: post_form("token", body)) == repeated("grant_type")


def test_e_006_authentication_comes_before_the_grant_type(client_app, refused):
    wrong = basic(client_app.application.client_id, "not-the-secret-of-this-application")

    assert refused(lambda: post_form("token", {"grant_type": "nope"}, authorization=wrong)) == INVALID_CLIENT


def test_e_006_grant_type_comes_before_what_the_client_may(client_app, refused):
    Application.objects.update(grant_types="")

    assert refused(lambda: client_app.token(grant_type="nope", scope="unknown")) == UNSUPPORTED_GRANT_TYPE


def test_e_006_what_the_client_may_comes_before_parameters(client_app, refused):
    Application.objects.update(grant_types="")

    assert refused(lambda: client_app.token(grant_type="refresh_token", scope="unknown")) == UNAUTHORIZED_CLIENT


def test_e_006_parameters_come_before_the_grant(client_app, refused):
    answer = refused(lambda: client_app.token(grant_type="refresh_token", scope="unknown"))

    assert answer == missing("refresh_token")


def test_e_006_the_grant_comes_before_the_scope(client_app, refused):
    Grant.objects.update(idle_expires_at=timezone.now())

    assert refused(lambda: client_app.refresh(scope="unknown")) == INVALID_GRANT
