"""Client secrets that another server hashed like passwords: compared slowly, until the first right one is a digest."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection

from oauth_refresh import crypto
from oauth_refresh.errors import InvalidClient, TooManyAttempts
from oauth_refresh.http import NO_CLIENT_INFO
from oauth_refresh.models import Application, AuthMethod, Grant
from oauth_refresh.services import issue_tokens
from oauth_refresh.services.clients import (
    authenticate_client,
    create_application,
    replace_secret,
    update_application,
    withdraw_old_secret,
)
from oauth_refresh.services.credentials import ClientCredentials
from oauth_refresh.signals import client_authentication_failed, grants_revoked
from tests.factories import SECRET, ApplicationFactory, GrantFactory
from tests.interference import run_after_select
from tests.oauth import OAuthClient
from tests.signals import recorded
from tests.threads import run_together

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHORT = "a-secret-of-21-chars-"
NEW = "a-new-secret-of-more-than-22-characters"
BASIC = frozenset({AuthMethod.CLIENT_SECRET_BASIC})
ADDRESS = "203.0.113.66"


class CountingHasher(PBKDF2PasswordHasher):
    """A slow hasher that says how often it was asked."""

    iterations = 1
    asked: list[str] = []

    def verify(self, password, encoded):
        self.asked.append(password)
        return super().verify(password, encoded)


@pytest.fixture(autouse=True)
def hasher(settings):
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher", "django.contrib.auth.hashers.MD5PasswordHasher"]
    CountingHasher.asked.clear()
    return CountingHasher


def with_imported(raw_secret=SECRET, **columns):
    """Return a registered application whose secret another server had hashed."""
    return ApplicationFactory(secret_digest="", imported_secret_hash=make_password(raw_secret), **columns)


def authenticate(application, raw_secret=SECRET, **arguments):
    credentials = ClientCredentials(client_id=application.client_id, raw_secret=raw_secret, methods=BASIC)
    return authenticate_client(credentials, client_info=NO_CLIENT_INFO, **arguments)


def columns():
    names = ("secret_digest", "old_secret_digest", "imported_secret_hash", "imported_secret_is_short")
    return Application.objects.values_list(*names).get()


# The first right use.


def test_first_right_use_stores_the_digest(hasher):
    application = with_imported()

    authenticated = authenticate(application)

    assert columns() == (crypto.digest(SECRET), "", "", False)
    assert (authenticated.secret_digest, authenticated.imported_secret_hash) == (crypto.digest(SECRET), "")
    assert hasher.asked == [SECRET]


def test_second_use_asks_no_hasher(hasher):
    application = with_imported()
    authenticate(application)
    hasher.asked.clear()

    authenticate(application)

    assert hasher.asked == []


def test_digest_is_stored_without_a_signal_and_ends_no_grant(django_capture_on_commit_callbacks):
    application = with_imported()
    GrantFactory(application=application)

    with recorded(grants_revoked) as revoked, django_capture_on_commit_callbacks(execute=True):
        authenticate(application)

    assert (revoked, Grant.objects.get().is_live) == ([], True)


def test_log_names_the_client_and_no_secret(caplog):
    caplog.set_level("INFO", "oauth_refresh")
    application = with_imported()

    authenticate(application)

    name = application.client_id
    assert caplog.messages == [f"The imported secret of application {name} is stored as a digest now."]


def test_wrong_secret_is_refused_and_changes_nothing():
    application = with_imported()
    before = columns()

    with recorded(client_authentication_failed) as failed, pytest.raises(InvalidClient) as refusal:
        authenticate(application, "a-wrong-secret-of-more-than-22-characters")

    assert refusal.value.reason == "The secret is wrong."
    assert [sent["reason"] for sent in failed] == ["The secret is wrong."]
    assert columns() == before


@pytest.mark.parametrize("raw_secret", ["x" * 1_001, "a\x00b", "\ud800"], ids=["long", "NUL", "surrogate"])
def test_text_that_is_no_secret_is_refused_without_asking_the_hasher(hasher, raw_secret):
    application = with_imported()

    with pytest.raises(InvalidClient):
        authenticate(application, raw_secret)

    assert hasher.asked == []


@pytest.mark.parametrize(
    ("fields", "raw_secret"),
    [({"is_active": False}, SECRET), ({"strict_auth_method": True, "auth_method": "client_secret_post"}, SECRET)],
    ids=["inactive", "wrong method"],
)
def test_other_refusals_come_before_the_comparison(hasher, fields, raw_secret):
    application = with_imported(**fields)

    with pytest.raises(InvalidClient):
        authenticate(application, raw_secret)

    assert hasher.asked == []


def test_hash_of_an_algorithm_that_is_gone_matches_nothing(settings):
    application = with_imported()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

    with pytest.raises(InvalidClient):
        authenticate(application)


def test_application_with_a_digest_asks_no_hasher_about_a_wrong_secret(hasher):
    with pytest.raises(InvalidClient):
        authenticate(ApplicationFactory(raw_secret=SECRET), "wrong")

    assert hasher.asked == []


# Short secrets.


def test_short_secret_stays_slow_and_is_logged_once(hasher, caplog):
    application = with_imported(SHORT)
    before = columns()

    for _time in range(2):
        authenticate(application, SHORT)

    assert columns() == (*before[:3], True)
    assert hasher.asked == [SHORT, SHORT]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    text = (
        f"The imported secret of application {application.client_id} is shorter than 22 characters, so its hash stays"
    )
    assert caplog.messages == [f"{text}, and each request takes as long as a login: replace the secret."]


def test_short_secret_starts_grants(user):
    client = OAuthClient(with_imported(SHORT), SHORT)

    response = client.token(grant_type="client_credentials")

    assert response.status_code == HTTPStatus.OK


def test_replaced_short_secret_is_no_longer_marked():
    application = with_imported(SHORT, imported_secret_is_short=True)

    raw_secret = replace_secret(application, overlap=timedelta(0))

    assert columns() == (crypto.digest(raw_secret), "", "", False)


# The limit for guessing.


@pytest.fixture
def limited(settings, oauth_settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "secrets"}}
    oauth_settings(FAILURE_RATE="3/min")
    cache.clear()
    yield
    cache.clear()


def test_guesses_over_the_limit_are_not_compared(limited, hasher):
    application = with_imported()
    for _guess in range(3):
        with pytest.raises(InvalidClient):
            authenticate(application, "wrong", address=ADDRESS)

    with pytest.raises(TooManyAttempts):
        authenticate(application, address=ADDRESS)

    assert hasher.asked == ["wrong"] * 3
    assert authenticate(application, address="203.0.113.67") == application


def test_right_secret_is_taken_off_the_count(limited):
    application = with_imported(SHORT)

    for _use in range(5):
        assert authenticate(application, SHORT, address=ADDRESS) == application


# Places that replace or withdraw a secret.


def test_application_has_credentials_by_the_hash():
    application = with_imported()

    application.full_clean()

    assert (application.has_credentials, application.has_current_secret) == (True, True)
    assert not application.has_two_secrets(NOW)


@pytest.mark.parametrize("column", [{"imported_secret_hash": ""}, {"auth_method": "private_key_jwt"}], ids=str)
def test_withdrawn_hash_revokes_the_grants(column):
    application = with_imported()
    GrantFactory(application=application)

    for name, value in column.items():
        setattr(application, name, value)
    application.save()

    assert Grant.objects.get().revoked_reason == "credentials_withdrawn"


def test_other_change_of_the_application_revokes_nothing():
    application = with_imported()
    GrantFactory(application=application)

    application.name = "Renamed"
    application.save()

    assert Grant.objects.get().revoked_at is None


def test_replaced_hash_is_that_of_the_old_secret_for_the_overlap(time_machine):
    time_machine.move_to(NOW, tick=False)
    application = with_imported()

    raw_secret = replace_secret(application, overlap=HOUR)

    assert application.has_two_secrets(NOW)
    assert authenticate(application, raw_secret) == application
    assert authenticate(application, SECRET) == application
    assert columns() == (crypto.digest(raw_secret), crypto.digest(SECRET), "", False)


def test_replaced_hash_matches_nothing_after_the_overlap(time_machine):
    time_machine.move_to(NOW, tick=False)
    application = with_imported()
    raw_secret = replace_secret(application, overlap=HOUR)
    time_machine.move_to(NOW + HOUR, tick=False)

    with pytest.raises(InvalidClient):
        authenticate(application, SECRET)

    assert authenticate(application, raw_secret) == application
    assert not application.has_two_secrets(NOW + HOUR)


def test_hash_is_gone_after_a_replacement_without_overlap():
    application = with_imported()

    raw_secret = replace_secret(application, overlap=timedelta(0))

    assert columns() == (crypto.digest(raw_secret), "", "", False)


def test_third_secret_ends_the_hash():
    application = with_imported()
    second = replace_secret(application, overlap=HOUR)

    third = replace_secret(application, overlap=HOUR)

    assert columns() == (crypto.digest(third), crypto.digest(second), "", False)


def test_old_secret_that_is_a_hash_can_be_withdrawn():
    application = with_imported()
    raw_secret = replace_secret(application, overlap=HOUR)

    assert withdraw_old_secret(application)

    assert columns() == (crypto.digest(raw_secret), "", "", False)


def test_withdrawal_of_the_old_secret_keeps_a_hash_that_is_the_current_one():
    application = with_imported()
    before = columns()

    assert not withdraw_old_secret(application)

    assert columns() == before


# Registration.


def test_application_is_registered_with_the_hash_of_its_secret():
    encoded = make_password(SECRET)

    application, raw_secret = create_application(name="Notes", imported_secret_hash=encoded)

    assert raw_secret is None
    assert columns() == ("", "", encoded, False)
    assert authenticate(application) == application


@pytest.mark.parametrize("encoded", ["plain text", "!unusable", "sha256$abc", "x" * 300])
def test_text_that_is_no_hash_is_refused_and_not_repeated(encoded):
    with pytest.raises(ValidationError) as refusal:
        create_application(name="Notes", imported_secret_hash=encoded)

    assert refusal.value.message_dict["imported_secret_hash"][0] == (
        "Write a password hash of an algorithm in PASSWORD_HASHERS."
    )
    assert encoded not in str(refusal.value)
    assert not Application.objects.exists()


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"raw_secret": NEW}, {"client_secret": ["Leave it out: the hash of another secret is imported."]}),
        (
            {"auth_method": "none"},
            {"imported_secret_hash": ["This authentication method has no secret; leave it out."]},
        ),
    ],
    ids=["a secret as well", "public"],
)
def test_hash_that_has_no_place_is_refused(fields, errors):
    with pytest.raises(ValidationError) as refusal:
        create_application(name="Notes", imported_secret_hash=make_password(SECRET), **fields)

    assert refusal.value.message_dict == errors


def test_update_by_a_hash_invalidates_the_present_secrets():
    application = ApplicationFactory(raw_secret=SECRET)
    replace_secret(application, overlap=HOUR)
    encoded = make_password(NEW)

    update_application(application.client_id, imported_secret_hash=encoded)

    assert columns() == ("", "", encoded, False)


def test_update_by_a_new_secret_ends_the_hash():
    application = with_imported()

    update_application(application.client_id, raw_secret=NEW)

    assert columns() == (crypto.digest(NEW), "", "", False)


def test_update_of_something_else_keeps_the_hash():
    application = with_imported()
    before = columns()

    update_application(application.client_id, name="Renamed")

    assert columns() == before


# Races.


@pytest.mark.django_db(transaction=True)
def test_use_is_right_although_another_one_stored_the_digest_meanwhile():
    application = with_imported()

    with run_after_select(Application, lambda: authenticate(application)):
        assert authenticate(application) == application

    assert columns() == (crypto.digest(SECRET), "", "", False)


@pytest.mark.django_db(transaction=True)
def test_short_secret_is_logged_once_although_it_is_used_twice_at_first(caplog):
    application = with_imported(SHORT)
    twice = [Application.objects.get(), Application.objects.get()]

    for read in twice:
        authenticate(read, SHORT, known=read)

    assert len(caplog.records) == 1
    assert Application.objects.get(pk=application.pk).imported_secret_is_short


@pytest.mark.django_db(transaction=True)
def test_use_does_not_bring_a_secret_back_that_was_replaced_meanwhile():
    application = with_imported()

    with run_after_select(Application, lambda: replace_secret(Application.objects.get(), overlap=timedelta(0))):
        authenticate(application)

    assert columns()[1:] == ("", "", False)
    assert columns()[0] != crypto.digest(SECRET)


@pytest.mark.django_db(transaction=True)
def test_use_does_not_end_the_new_secret_that_was_generated_meanwhile():
    application, generated = with_imported(), []

    def replace():
        generated.append(replace_secret(Application.objects.get(), overlap=HOUR))

    with run_after_select(Application, replace):
        authenticate(application)

    assert authenticate(application, generated[0]) == application
    assert authenticate(application, SECRET) == application


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_secret_that_is_used_several_times_at_once_fails_nowhere():
    application = with_imported()

    authenticated = run_together(*[lambda: authenticate(application)] * 4)

    assert authenticated == [application] * 4
    assert columns() == (crypto.digest(SECRET), "", "", False)


@pytest.mark.parametrize("raw_secret", [SECRET, SHORT])
def test_grant_starts_if_its_credentials_are_still_valid(user, raw_secret):
    read = authenticate(with_imported(raw_secret), raw_secret)

    assert start(read, raw_secret, user=user).grant.is_live


@pytest.mark.parametrize("raw_secret", [SECRET, SHORT])
def test_grant_does_not_start_with_a_secret_that_was_replaced_meanwhile(user, raw_secret):
    read = authenticate(with_imported(raw_secret), raw_secret)
    replace_secret(Application.objects.get(), overlap=timedelta(0))

    with pytest.raises(InvalidClient):
        start(read, raw_secret, user=user)

    assert not Grant.objects.exists()


def test_grant_starts_with_a_hash_that_another_request_made_a_digest(user):
    read = with_imported()
    authenticate(Application.objects.get())

    assert start(read, SECRET, user=user).grant.is_live


def start(application, raw_secret, *, user):
    credentials = ClientCredentials(client_id=application.client_id, raw_secret=raw_secret, methods=BASIC)
    return issue_tokens(application, user=user, grant_type="password", scope="notes:read", credentials=credentials)
