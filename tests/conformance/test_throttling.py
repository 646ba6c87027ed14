"""Wrong secrets and passwords are limited: RFC 6749 §2.3.1, §4.3.2, RFC 7009 §5."""

from http import HTTPStatus

import pytest
import time_machine
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import UserManager
from django.core.cache import cache, caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache

from oauth_refresh.models import AccessToken
from tests.factories import PASSWORD, SECRET, ApplicationFactory, UserFactory
from tests.jwts import client_assertion, client_claims, key_application, sign
from tests.oauth import OAuthClient, basic, post_form
from tests.refusals import INVALID_CLIENT, INVALID_GRANT, read_refusal

WRONG = "a-wrong-secret-of-more-than-22-characters"
WRONG_PASSWORD = "wrong"
FORM = {"grant_type": "client_credentials"}
TOO_MANY = (
    HTTPStatus.TOO_MANY_REQUESTS,
    {"error": "temporarily_unavailable", "error_description": "Authentication failed too often. Try again later."},
)
LIMIT = 3
HERE, ELSEWHERE = "203.0.113.66", "198.51.100.1"
UNREADABLE = ["", "unix:", "localhost"]


class AddOnlyCache(LocMemCache):
    """A cache without an ``incr`` that is atomic, as the database cache."""

    incr = BaseCache.incr


class CountingHasher(MD5PasswordHasher):
    compared = 0

    def verify(self, password, encoded):
        CountingHasher.compared += 1
        return super().verify(password, encoded)


class FailingBackend(ModelBackend):
    def authenticate(self, request, **credentials):
        raise ConnectionError


class EmailBackend(ModelBackend):
    """A login by e-mail address, of which the user manager knows nothing."""

    def authenticate(self, request, username=None, password=None, **kwargs):
        user = self.UserModel.objects.filter(email=username).first()
        return user if user is not None and user.check_password(password) else None

    @property
    def UserModel(self):  # noqa: N802
        return UserFactory._meta.model


@pytest.fixture(
    params=["django.core.cache.backends.locmem.LocMemCache", f"{__name__}.AddOnlyCache"], ids=["by incr", "by add"]
)
def three_a_minute(request, settings, oauth_settings):
    """Let each client and user fail three times a minute from one address, counted by either kind of cache."""
    settings.CACHES = {"default": {"BACKEND": request.param, "LOCATION": "guesses"}}
    cache.clear()
    oauth_settings(FAILURE_RATE=f"{LIMIT}/min")
    yield
    cache.clear()


@pytest.fixture
def broken_cache(settings):
    settings.CACHES = {"default": {"BACKEND": "tests.broken_cache.BrokenCache"}}


def entries():
    """Return how many counters of guesses the cache holds; failures are counted there for the overview as well."""
    return sum("authentication_failures" not in name for name in caches["default"]._cache)


def fail_three_times(client, **extra):
    for _number in range(LIMIT):
        assert read_refusal(attempt(client, WRONG, **extra)) == INVALID_CLIENT


def attempt(client, secret, **extra):
    authorization = basic(client.application.client_id, secret)
    form = {"grant_type": "refresh_token", "refresh_token": client.refresh_token}
    return post_form("token", form, authorization=authorization, **extra)


def log_in(client, username, password=WRONG_PASSWORD, **extra):
    form = {"grant_type": "password", "username": username, "password": password}
    return post_form("token", form, authorization=client.authorization, **extra)


def fail_to_log_in(client, username, **extra):
    for _number in range(LIMIT):
        assert read_refusal(log_in(client, username, **extra)) == INVALID_GRANT


def test_ca_024_client_that_failed_too_often_must_wait(client_app, three_a_minute, refused):
    fail_three_times(client_app)

    response = attempt(client_app, WRONG)

    assert read_refusal(response) == TOO_MANY
    assert 0 < int(response.headers["Retry-After"]) <= 60


def test_ca_024_right_secret_works_after_any_number_of_wrong_ones(client_app, three_a_minute):
    fail_three_times(client_app)
    assert read_refusal(attempt(client_app, WRONG)) == TOO_MANY

    assert attempt(client_app, SECRET).status_code == HTTPStatus.OK


def test_ca_024_client_may_try_again_when_the_time_is_over(client_app, three_a_minute):
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False):
        fail_three_times(client_app)
        assert attempt(client_app, WRONG).headers["Retry-After"] == "60"
    with time_machine.travel("2026-01-01T00:00:40.5Z", tick=False):
        assert attempt(client_app, WRONG).headers["Retry-After"] == "20"

    with time_machine.travel("2026-01-01T00:01:01Z", tick=False):
        fail_three_times(client_app)
        assert read_refusal(attempt(client_app, WRONG)) == TOO_MANY


def test_ca_024_client_at_another_address_is_not_locked_out(client_app, three_a_minute):
    fail_three_times(client_app, REMOTE_ADDR=HERE)

    assert read_refusal(attempt(client_app, WRONG, REMOTE_ADDR=ELSEWHERE)) == INVALID_CLIENT


def test_ca_024_other_clients_of_the_address_go_on(client_app, three_a_minute, user):
    fail_three_times(client_app)
    other = OAuthClient(ApplicationFactory(raw_secret=SECRET), SECRET).start(user=user)

    assert read_refusal(attempt(other, WRONG)) == INVALID_CLIENT
    assert attempt(other, SECRET).status_code == HTTPStatus.OK


def test_ca_024_success_is_not_counted_and_does_not_wait_for_the_cache(
    client_app, three_a_minute, broken_cache, caplog
):
    for _number in range(5):
        client_app.rotate()

    assert "The cache is down" not in caplog.text


def test_ca_024_without_a_cache_requests_go_on_and_the_log_says_so(client_app, three_a_minute, broken_cache, caplog):
    for _number in range(4):
        assert read_refusal(attempt(client_app, WRONG)) == INVALID_CLIENT

    assert attempt(client_app, SECRET).status_code == HTTPStatus.OK
    assert "The cache is down (ConnectionError), so failed attempts are not limited." in caplog.text
    assert WRONG not in caplog.text


def test_ca_024_unknown_clients_share_one_counter_of_their_address(client_app, three_a_minute):
    for number in range(LIMIT):
        authorization = basic(f"invented-{number}", WRONG)
        assert read_refusal(post_form("token", FORM, authorization=authorization)) == INVALID_CLIENT
    held = entries()

    for number in range(100):
        authorization = basic(f"invented-too-{number}", WRONG)
        assert read_refusal(post_form("token", FORM, authorization=authorization)) == TOO_MANY

    assert entries() == held <= LIMIT + 1
    assert read_refusal(attempt(client_app, WRONG)) == INVALID_CLIENT
    assert read_refusal(post_form("token", FORM, authorization=authorization, REMOTE_ADDR=ELSEWHERE)) == INVALID_CLIENT


def public_client_sends_a_secret(public_client):
    return attempt(public_client, WRONG)


def client_sends_no_secret(public_client):
    return post_form("token", {"client_id": ApplicationFactory(raw_secret=SECRET).client_id})


def client_sends_an_empty_secret(public_client):
    return post_form("token", FORM, authorization=basic(ApplicationFactory(raw_secret=SECRET).client_id, ""))


def unknown_client_sends_no_secret(public_client):
    return post_form("token", {"client_id": "invented"})


def client_with_a_key_sends_a_secret(public_client):
    return post_form("token", FORM, authorization=basic(key_application().client_id, WRONG))


def client_sends_an_assertion_that_is_refused(public_client):
    return post_form("token", client_assertion(sign(client_claims(key_application().client_id, exp=1))))


def secret_is_right_but_by_the_wrong_method(public_client):
    client_id = ApplicationFactory(raw_secret=SECRET, strict_auth_method=True).client_id
    return post_form("token", {"client_id": client_id, "client_secret": SECRET})


def client_is_not_active(public_client):
    client_id = ApplicationFactory(raw_secret=SECRET, is_active=False).client_id
    return post_form("token", FORM, authorization=basic(client_id, SECRET))


@pytest.mark.parametrize(
    "send",
    [
        public_client_sends_a_secret,
        client_sends_no_secret,
        client_sends_an_empty_secret,
        unknown_client_sends_no_secret,
        client_with_a_key_sends_a_secret,
        client_sends_an_assertion_that_is_refused,
        secret_is_right_but_by_the_wrong_method,
        client_is_not_active,
    ],
    ids=lambda send: send.__name__,
)
def test_ca_024_requests_without_a_guess_are_never_counted(public_client, three_a_minute, send):
    for _number in range(LIMIT + 1):
        assert read_refusal(send(public_client)) == INVALID_CLIENT

    assert entries() == 0
    assert public_client.refresh().status_code == HTTPStatus.OK


def read_through_a_proxy(node):
    """Return what a request by a proxy holds that saw the client at ``node``."""
    return {"headers": {"X-Forwarded-For": node}}


@pytest.mark.parametrize(
    "nodes",
    [
        ["203.0.113.66", "203.0.113.66:1", "203.0.113.66:2", '"203.0.113.66:3"', "::ffff:203.0.113.66"],
        ["[2001:db8::1]:1", "[2001:db8::1]:2", "2001:db8::1", 'for="[2001:db8::1]:3"', "2001:DB8:0::1"],
        ["2001:db8::1", "2001:db8::2", "[2001:db8::3]:1", "2001:db8::ffff:ffff:ffff:ffff"],
    ],
    ids=["IPv4", "IPv6", "one IPv6 network"],
)
def test_ca_024_ports_and_forms_of_one_address_share_its_counter(client_app, oauth_settings, three_a_minute, nodes):
    oauth_settings(NUM_PROXIES=1)
    *first, last = nodes[: LIMIT + 1]
    for node in first:
        assert read_refusal(attempt(client_app, WRONG, **read_through_a_proxy(node))) == INVALID_CLIENT

    for node in [last, *nodes]:
        assert read_refusal(attempt(client_app, WRONG, **read_through_a_proxy(node))) == TOO_MANY
    for node in ("203.0.113.67", "2001:db8:0:1::1"):
        assert read_refusal(attempt(client_app, WRONG, **read_through_a_proxy(node))) == INVALID_CLIENT


@pytest.mark.parametrize("address", UNREADABLE)
def test_ca_024_address_that_cannot_be_read_shares_no_counter_with_others(client_app, user, three_a_minute, address):
    fail_three_times(client_app, REMOTE_ADDR=address)
    other = OAuthClient(ApplicationFactory(raw_secret=SECRET), SECRET).start(user=user)

    assert read_refusal(attempt(client_app, WRONG, REMOTE_ADDR=address)) == TOO_MANY
    assert read_refusal(attempt(client_app, WRONG)) == INVALID_CLIENT
    assert read_refusal(attempt(other, WRONG, REMOTE_ADDR=address)) == INVALID_CLIENT


@pytest.mark.parametrize("address", UNREADABLE)
def test_ca_024_unknown_names_are_not_counted_where_the_address_cannot_be_read(client_app, three_a_minute, address):
    for number in range(LIMIT + 1):
        invented = basic(f"invented-{number}", WRONG)
        assert read_refusal(post_form("token", FORM, authorization=invented, REMOTE_ADDR=address)) == INVALID_CLIENT
        assert read_refusal(log_in(client_app, f"invented-{number}", REMOTE_ADDR=address)) == INVALID_GRANT

    assert entries() == 0


def test_pw_005_user_who_failed_too_often_must_wait(client_app, user, three_a_minute):
    fail_to_log_in(client_app, user.username)

    response = log_in(client_app, user.username, PASSWORD)

    assert read_refusal(response) == TOO_MANY
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert client_app.refresh().status_code == HTTPStatus.OK  # the client itself may go on


def test_pw_005_no_password_is_compared_over_the_limit(client_app, user, settings, three_a_minute):
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    CountingHasher.compared = 0

    for _number in range(10):
        log_in(client_app, user.username)

    assert CountingHasher.compared == LIMIT


def test_pw_005_right_password_is_not_counted(client_app, user, three_a_minute):
    for _round in range(2):
        for _number in range(LIMIT - 1):
            assert log_in(client_app, user.username, PASSWORD).status_code == HTTPStatus.OK

    fail_to_log_in(client_app, user.username)
    assert read_refusal(log_in(client_app, user.username)) == TOO_MANY


def test_pw_005_right_password_is_taken_off_the_count(client_app, user, three_a_minute):
    for password in (WRONG_PASSWORD, PASSWORD, WRONG_PASSWORD, PASSWORD, PASSWORD, WRONG_PASSWORD):
        assert log_in(client_app, user.username, password).status_code != HTTPStatus.TOO_MANY_REQUESTS

    assert read_refusal(log_in(client_app, user.username, PASSWORD)) == TOO_MANY


def test_pw_005_password_that_could_not_be_compared_is_not_counted(client_app, user, settings, three_a_minute):
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.FailingBackend"]

    for _number in range(LIMIT + 1):
        assert log_in(client_app, user.username).status_code == HTTPStatus.SERVICE_UNAVAILABLE


def test_pw_005_other_users_and_other_addresses_are_not_limited(client_app, user, three_a_minute):
    fail_to_log_in(client_app, user.username, REMOTE_ADDR=HERE)

    assert log_in(client_app, UserFactory().username, PASSWORD, REMOTE_ADDR=HERE).status_code == HTTPStatus.OK
    assert log_in(client_app, user.username, PASSWORD, REMOTE_ADDR=ELSEWHERE).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "spelling",
    [
        str.upper,
        str.title,
        "{} ".format,
        " {}".format,
        "{}\N{COMBINING ACUTE ACCENT}".format,
        "\N{ZERO WIDTH SPACE}{}".format,
        "{}\x00".format,
        "{}@example.com".format,
    ],
)
def test_pw_005_other_spellings_of_a_name_give_no_further_attempts(client_app, user, three_a_minute, spelling):
    fail_to_log_in(client_app, user.username)

    assert read_refusal(log_in(client_app, spelling(user.username))) == TOO_MANY


def test_pw_005_spellings_of_one_account_share_its_counter(client_app, user, three_a_minute, monkeypatch):
    """As on MariaDB, whose collations ignore case, and in projects whose user manager does."""
    monkeypatch.setattr(UserManager, "get_by_natural_key", lambda self, name: self.get(username__iexact=name))
    spellings = [user.username.upper(), user.username.title(), user.username]
    for spelling in spellings:
        assert read_refusal(log_in(client_app, spelling)) == INVALID_GRANT

    for spelling in spellings:
        assert read_refusal(log_in(client_app, spelling, PASSWORD)) == TOO_MANY


@pytest.mark.parametrize("found", ["no user", "several users"])
def test_pw_005_login_by_another_name_is_counted_for_the_address(
    client_app, settings, three_a_minute, monkeypatch, found
):
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.EmailBackend"]
    user = UserFactory(email="eve@example.com")
    if found == "several users":
        UserFactory(email=user.email)
        monkeypatch.setattr(UserManager, "get_by_natural_key", lambda self, name: self.get(email=name))
    assert log_in(client_app, user.email, PASSWORD).status_code == HTTPStatus.OK
    fail_to_log_in(client_app, user.email)

    assert read_refusal(log_in(client_app, user.email, PASSWORD)) == TOO_MANY
    assert log_in(client_app, user.email, PASSWORD, REMOTE_ADDR=ELSEWHERE).status_code == HTTPStatus.OK


def test_pw_005_user_manager_without_a_look_up_by_name_is_no_error(client_app, settings, three_a_minute, monkeypatch):
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.EmailBackend"]
    monkeypatch.setattr(UserManager, "get_by_natural_key", None)
    user = UserFactory(email="eve@example.com")

    fail_to_log_in(client_app, user.email)
    assert read_refusal(log_in(client_app, user.email)) == TOO_MANY


def test_pw_005_unknown_names_share_one_counter_and_lock_no_user_out(client_app, user, three_a_minute):
    for number in range(LIMIT):
        assert read_refusal(log_in(client_app, f"invented-{number}")) == INVALID_GRANT
    held = entries()

    for number in range(100):
        assert read_refusal(log_in(client_app, f"invented-too-{number}")) == TOO_MANY

    assert entries() == held <= LIMIT + 1
    assert log_in(client_app, user.username, PASSWORD).status_code == HTTPStatus.OK
    assert read_refusal(log_in(client_app, f"invented-too-{number}", REMOTE_ADDR=ELSEWHERE)) == INVALID_GRANT


def test_pw_005_only_the_password_grant_is_limited(client_app, user, three_a_minute):
    fail_to_log_in(client_app, user.username)

    form = {"grant_type": "refresh_token", "refresh_token": client_app.refresh_token, "username": user.username}
    assert post_form("token", form, authorization=client_app.authorization).status_code == HTTPStatus.OK


def test_pw_005_no_limit_costs_no_look_up(client_app, user, django_assert_num_queries):
    with django_assert_num_queries(2):  # application, user
        log_in(client_app, user.username)


@pytest.mark.parametrize("endpoint", ["revoke", "introspect"])
def test_rv_016_every_endpoint_is_limited_as_token_is(client_app, three_a_minute, endpoint):
    wrong = basic(client_app.application.client_id, WRONG)
    for _number in range(LIMIT):
        response = post_form(endpoint, {"token": client_app.access_token}, authorization=wrong)
        assert read_refusal(response) == INVALID_CLIENT

    response = post_form(endpoint, {"token": client_app.access_token}, authorization=wrong)

    assert read_refusal(response) == TOO_MANY
    assert AccessToken.objects.live().exists()
    assert client_app.revoke(client_app.access_token).status_code == HTTPStatus.OK
