"""Revocation: RFC 7009."""

from http import HTTPStatus

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.services import revoke_grant
from tests.consent import start_flow
from tests.database import database_snapshot
from tests.factories import ApplicationFactory
from tests.interference import run_after_token_lookup
from tests.oauth import OAuthClient, basic, post_form
from tests.refusals import (
    INVALID_CLIENT,
    INVALID_GRANT,
    ONLY_POST,
    UNAVAILABLE,
    assert_protocol_headers,
    missing,
    read_refusal,
    repeated,
)

OTHER_SECRET = "the-secret-of-another-application"


def assert_revoked(response):
    """The answer is a success without members, and the only grant is revoked."""
    assert (response.status_code, response.content) == (HTTPStatus.OK, b"{}")
    assert_protocol_headers(response)
    assert Grant.objects.get().revoked_reason == "client_request"
    assert not RefreshToken.objects.live().exists()
    assert not AccessToken.objects.live().exists()


def test_rv_001_owner_revokes_a_refresh_token(client_app, refused):
    response = client_app.revoke(client_app.refresh_token)

    assert_revoked(response)
    assert refused(client_app.refresh) == INVALID_GRANT


def test_rv_002_access_tokens_are_revoked_with_the_refresh_token(client_app):
    client_app.rotate()

    client_app.revoke(client_app.refresh_token)

    assert AccessToken.objects.count() == 2
    assert not AccessToken.objects.live().exists()


def test_rv_003_owner_revokes_an_access_token(client_app):
    assert_revoked(client_app.revoke(client_app.access_token))


def test_rv_004_refresh_token_is_revoked_with_the_access_token(client_app, refused):
    client_app.revoke(client_app.access_token)

    assert refused(client_app.refresh) == INVALID_GRANT


def test_rv_004_project_may_revoke_the_access_token_alone(client_app, oauth_settings):
    oauth_settings(REVOKE_GRANT_WITH_ACCESS_TOKEN=False)

    response = client_app.revoke(client_app.access_token)

    assert response.status_code == HTTPStatus.OK
    assert not AccessToken.objects.live().exists()
    assert client_app.refresh().status_code == HTTPStatus.OK


UNKNOWN = {
    "garbage": "garbage",
    "unknown access token": "oat_" + "A" * 43,
    "unknown refresh token": "ort_" + "A" * 92,
    "not ASCII": "tökén",
    "NUL": "\x00",
    "10 kB": "A" * 10_000,
}


@pytest.mark.parametrize("token", UNKNOWN.values(), ids=UNKNOWN)
def test_rv_005_unknown_token_is_a_success_without_effect(client_app, token):
    before = database_snapshot()

    response = client_app.revoke(token)

    assert (response.status_code, response.content) == (HTTPStatus.OK, b"{}")
    assert_protocol_headers(response)
    assert database_snapshot() == before


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_rv_005_token_already_revoked_is_a_success_without_effect(client_app, kind):
    revoke_grant(client_app.grant, reason="stolen laptop")
    before = database_snapshot()

    response = client_app.revoke(getattr(client_app, kind))

    assert (response.status_code, response.content) == (HTTPStatus.OK, b"{}")
    assert database_snapshot() == before


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_rv_005_expired_token_is_a_success(client_app, time_machine, kind):
    time_machine.move_to(client_app.grant.expires_at, tick=False)

    response = client_app.revoke(getattr(client_app, kind))

    assert (response.status_code, response.content) == (HTTPStatus.OK, b"{}")


@pytest.mark.parametrize(
    ("kind", "hint"), [("refresh_token", "access_token"), ("access_token", "refresh_token"), ("access_token", "")]
)
def test_rv_006_token_is_found_in_spite_of_a_wrong_hint(client_app, kind, hint):
    assert_revoked(client_app.revoke(getattr(client_app, kind), token_type_hint=hint))


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_rv_007_unknown_hint_is_ignored(client_app, kind):
    assert_revoked(client_app.revoke(getattr(client_app, kind), token_type_hint="nonsense"))


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_rv_009_token_of_another_client_is_refused_and_stays_valid(client_app, refused, kind):
    other = OAuthClient(ApplicationFactory(raw_secret=OTHER_SECRET), OTHER_SECRET)

    assert refused(lambda: other.revoke(getattr(client_app, kind))) == INVALID_GRANT
    assert AccessToken.objects.live().get().digest == crypto.digest(client_app.access_token)
    assert client_app.refresh().status_code == HTTPStatus.OK


def test_rv_010_wrong_credentials_revoke_nothing(client_app, refused):
    wrong = basic(client_app.application.client_id, OTHER_SECRET)

    answer = refused(lambda: post_form("revoke", {"token": client_app.refresh_token}, authorization=wrong))

    assert answer == INVALID_CLIENT
    assert client_app.refresh().status_code == HTTPStatus.OK


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_rv_011_public_client_revokes_its_own_token(public_client, kind):
    assert_revoked(public_client.revoke(getattr(public_client, kind)))


def test_rv_011_public_client_must_name_itself(public_client, refused):
    assert refused(lambda: post_form("revoke", {"token": public_client.refresh_token})) == INVALID_CLIENT


def test_rv_011_token_of_another_public_client_is_refused(public_client, refused):
    other = OAuthClient(ApplicationFactory(public=True))

    assert refused(lambda: other.revoke(public_client.refresh_token)) == INVALID_GRANT


def test_rv_012_token_is_required(client_app, refused):
    form = {"token_type_hint": "refresh_token"}

    assert refused(lambda: post_form("revoke", form, authorization=client_app.authorization)) == missing("token")


def test_rv_012_empty_token_counts_as_missing(client_app, refused):
    assert refused(lambda: client_app.revoke("")) == missing("token")


@pytest.mark.parametrize("parameter", ["token", "token_type_hint"])
def test_rv_012_parameter_must_not_be_repeated(client_app, refused, parameter):
    body = f"token={client_app.refresh_token}&{parameter}=a&{parameter}=a"

    assert refused(lambda: post_form("revoke", body, authorization=client_app.authorization)) == repeated(parameter)


def test_rv_013_get_is_not_allowed_and_calls_no_callback(client_app, refused):
    query, headers = {"token": client_app.refresh_token, "callback": "f"}, {"Authorization": client_app.authorization}

    answer = refused(lambda: Client().get(reverse("oauth_refresh:revoke"), query_params=query, headers=headers))

    assert answer == ONLY_POST


def test_rv_014_spent_refresh_token_revokes_the_grant(client_app):
    spent = client_app.refresh_token
    client_app.rotate()

    assert_revoked(client_app.revoke(spent))


def test_rv_014_spent_refresh_token_whose_row_was_pruned_revokes_the_grant(client_app):
    spent = client_app.refresh_token
    client_app.rotate()
    RefreshToken.objects.filter(generation=1).delete()

    assert_revoked(client_app.revoke(spent))


def fail_to_update(execute, sql, params, many, context):
    """Stand between Django and a database that times out as soon as it has to wait for a lock."""
    if sql.startswith("UPDATE"):
        raise OperationalError("lock timeout")
    return execute(sql, params, many, context)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_rv_015_failing_database_is_a_503_and_never_a_success(client_app, kind):
    before = database_snapshot()

    with connection.execute_wrapper(fail_to_update):
        response = client_app.revoke(getattr(client_app, kind))

    assert read_refusal(response) == UNAVAILABLE
    assert response.headers["Retry-After"] == "5"
    assert database_snapshot() == before


def test_rv_018_authorization_code_is_a_success_without_effect(user):
    flow = start_flow(user)
    code = flow.code()
    before = database_snapshot()

    response = flow.client.revoke(code)

    assert (response.status_code, response.content) == (HTTPStatus.OK, b"{}")
    assert database_snapshot() == before
    assert flow.redeem(code).status_code == HTTPStatus.OK


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_rv_019_refresh_that_began_before_a_revocation_fails_after_it(client_app, kind):
    revocations = []

    with run_after_token_lookup(lambda: revocations.append(client_app.revoke(getattr(client_app, kind)))):
        refresh = client_app.refresh()

    assert [revocation.status_code for revocation in revocations] == [HTTPStatus.OK]
    assert read_refusal(refresh) == INVALID_GRANT
    assert Grant.objects.get().revoked_reason == "client_request"
    assert RefreshToken.objects.count() == 1
