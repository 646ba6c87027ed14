"""Failed authentication is limited: RFC 6749 §2.3.1, §4.3.2, RFC 7009 §5."""

from http import HTTPStatus

import pytest
import time_machine
from django.core.cache import cache

from oauth_refresh.models import AccessToken, Grant, RefreshToken
from tests.factories import PASSWORD, SECRET, ApplicationFactory
from tests.oauth import OAuthClient, basic, post_form
from tests.refusals import INVALID_CLIENT, read_refusal

WRONG = "a-wrong-secret-of-more-than-22-characters"
TOO_MANY = (
    HTTPStatus.TOO_MANY_REQUESTS,
    {"error": "temporarily_unavailable", "error_description": "Authentication failed too often. Try again later."},
)


@pytest.fixture
def three_a_minute(oauth_settings):
    """Let each client and user fail three times a minute from one address."""
    cache.clear()
    oauth_settings(FAILURE_RATE="3/min")
    yield
    cache.clear()


@pytest.fixture
def broken_cache(settings):
    settings.CACHES = {"default": {"BACKEND": "tests.broken_cache.BrokenCache"}}


def fail_three_times(client, **extra):
    for _number in range(3):
        assert read_refusal(attempt(client, WRONG, **extra)) == INVALID_CLIENT


def attempt(client, secret, **extra):
    authorization = basic(client.application.client_id, secret)
    form = {"grant_type": "refresh_token", "refresh_token": client.refresh_token}
    return post_form("token", form, authorization=authorization, **extra)


def test_ca_024_client_that_failed_too_often_must_wait(client_app, three_a_minute, refused):
    fail_three_times(client_app)

    response = attempt(client_app, SECRET)

    assert read_refusal(response) == TOO_MANY
    assert 0 < int(response.headers["Retry-After"]) <= 60


def test_ca_024_client_may_try_again_when_the_time_is_over(client_app, three_a_minute):
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False):
        fail_three_times(client_app)
        assert attempt(client_app, SECRET).headers["Retry-After"] == "60"
    Grant.objects.update(created_at="2025-12-31T00:00Z", idle_expires_at="2026-02-01T00:00Z")
    RefreshToken.objects.update(created_at="2025-12-31T00:00Z", expires_at="2026-02-01T00:00Z")

    with time_machine.travel("2026-01-01T00:01:01Z", tick=False):
        assert attempt(client_app, SECRET).status_code == HTTPStatus.OK


def test_ca_024_client_at_another_address_is_not_locked_out(client_app, three_a_minute):
    fail_three_times(client_app, REMOTE_ADDR="203.0.113.66")

    assert attempt(client_app, SECRET, REMOTE_ADDR="198.51.100.1").status_code == HTTPStatus.OK


def test_ca_024_other_clients_of_the_address_go_on(client_app, three_a_minute, user):
    fail_three_times(client_app)
    other = OAuthClient(ApplicationFactory(raw_secret=SECRET), SECRET).start(user=user)

    assert attempt(other, SECRET).status_code == HTTPStatus.OK


def test_ca_024_success_is_not_counted(client_app, three_a_minute):
    for _number in range(5):
        client_app.rotate()


def test_ca_024_without_a_cache_requests_go_on_and_the_log_says_so(client_app, three_a_minute, broken_cache, caplog):
    for _number in range(4):
        assert read_refusal(attempt(client_app, WRONG)) == INVALID_CLIENT

    assert attempt(client_app, SECRET).status_code == HTTPStatus.OK
    assert "The cache is down (ConnectionError), so failed attempts are not limited." in caplog.text
    assert WRONG not in caplog.text


def test_pw_005_user_who_failed_too_often_must_wait(client_app, user, three_a_minute):
    wrong = {"grant_type": "password", "username": user.username, "password": "wrong"}
    for _number in range(3):
        assert client_app.token(**wrong).status_code == HTTPStatus.BAD_REQUEST

    response = client_app.token(**wrong | {"password": PASSWORD})

    assert response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert client_app.refresh().status_code == HTTPStatus.OK  # the client itself may go on


@pytest.mark.parametrize(
    "spelling",
    [
        str.upper,
        str.title,
        "{} ".format,
        " {}".format,
        "{}\N{COMBINING ACUTE ACCENT}".format,
        "\N{ZERO WIDTH SPACE}{}".format,
    ],
)
def test_pw_005_other_spellings_of_a_name_give_no_further_attempts(client_app, user, three_a_minute, spelling):
    wrong = {"grant_type": "password", "username": user.username, "password": "wrong"}
    for _number in range(3):
        client_app.token(**wrong)

    response = client_app.token(**wrong | {"username": spelling(user.username)})

    assert response.status_code == HTTPStatus.TOO_MANY_REQUESTS


def test_pw_005_only_the_beginning_of_a_long_name_is_counted(client_app, three_a_minute):
    for end in "xyz":
        client_app.token(grant_type="password", username="a" * 255 + end, password="wrong")

    response = client_app.token(grant_type="password", username="a" * 255, password="wrong")

    assert response.status_code == HTTPStatus.TOO_MANY_REQUESTS


def test_rv_016_revoke_is_limited_as_token_is(client_app, three_a_minute):
    wrong = basic(client_app.application.client_id, WRONG)
    for _number in range(3):
        post_form("revoke", {"token": client_app.access_token}, authorization=wrong)

    response = client_app.revoke(client_app.access_token)

    assert response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert AccessToken.objects.live().exists()
