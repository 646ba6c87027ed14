"""Refresh: what it refuses, how long its tokens are valid, which signals it sends, and that it is all or nothing."""

import logging
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus

import factory
import pytest
from django.db import OperationalError, connection, transaction

from oauth_refresh import crypto
from oauth_refresh.errors import ContentionError, InvalidGrant, InvalidScope, ReceiverMissing, RefreshVetoed
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken
from oauth_refresh.services import refresh, revoke_grant
from oauth_refresh.signals import (
    grant_revoked,
    refresh_token_exchanged,
    refresh_token_reused,
    tokens_issued,
)
from tests.conftest import NOW
from tests.database import database_snapshot
from tests.factories import ApplicationFactory
from tests.interference import DriverError, deadlock_once, run_after_token_lookup
from tests.refusals import UNAVAILABLE, answer_of
from tests.signals import connected, recorded

NO_TOKEN = "The text is no refresh token of this server."
NOT_KNOWN = "The refresh token has a valid MAC, but its row is missing: a restored backup, or a deleted row."
SPENT = "The refresh token was spent before."


LAST_WRITE = "WITH" if connection.vendor == "postgresql" else "INSERT"
"""How the last statement of a rotation begins."""


def refresh_of(client, **parameters):
    return refresh(client.application, raw_refresh_token=client.refresh_token, **parameters)


# Changes to a row or to the request, so that the refresh is refused.


def no_token_at_all(client):
    client.refresh_token = "nonsense"


def an_access_token(client):
    client.refresh_token = client.access_token


def changed_in_one_character(client):
    last = client.refresh_token[-1]
    client.refresh_token = client.refresh_token[:-1] + ("B" if last == "A" else "A")


def forged_for_the_grant(client):
    client.refresh_token = crypto.mint_refresh_token(
        public_id=client.grant.public_id, generation=1, mac_key=bytes(32), prefix="ort_"
    )


def of_another_application(client):
    client.application = ApplicationFactory()


def spent_and_of_another_application(client):
    spent(client)
    client.application = ApplicationFactory()


def expired_itself(client):
    RefreshToken.objects.update(created_at=NOW - timedelta(days=2), expires_at=NOW - timedelta(days=1))


def of_a_revoked_grant(client):
    revoke_grant(client.grant, reason="lost device")


def of_an_idle_grant(client):
    Grant.objects.update(created_at=NOW - timedelta(days=20), idle_expires_at=NOW - timedelta(days=1))


def of_a_grant_over_its_cap(client):
    Grant.objects.update(created_at=NOW - timedelta(days=20), expires_at=NOW - timedelta(days=1))


def of_an_inactive_application(client):
    Application.objects.update(is_active=False)
    client.application.refresh_from_db()


def of_an_inactive_user(client):
    type(client.grant.user).objects.update(is_active=False)


def of_another_password(client):
    type(client.grant.user).objects.update(password="!another")


def spent(client):
    refresh_of(client)


def spent_and_pruned(client):
    spent(client)
    RefreshToken.objects.filter(generation=1).delete()


def spent_long_ago_and_pruned(client):
    first = client.refresh_token
    for _turn in range(3):
        client.refresh_token = refresh_of(client).refresh_token
    client.refresh_token = first
    RefreshToken.objects.exclude(generation=4).delete()


def spent_by_an_inactive_user(client):
    spent(client)
    of_an_inactive_user(client)


def spent_in_a_grant_that_was_revoked(client):
    spent(client)
    revoke_grant(client.grant, reason="lost device")


def spent_in_a_grant_that_expired(client):
    spent(client)
    of_an_idle_grant(client)


def spent_and_pruned_in_a_grant_that_was_revoked(client):
    spent_and_pruned(client)
    revoke_grant(client.grant, reason="lost device")


def pruned_but_current(client):
    RefreshToken.objects.all().delete()


def lost_by_restoring_a_backup(client):
    client.refresh_token = refresh_of(client).refresh_token
    RefreshToken.objects.filter(generation=2).delete()
    Grant.objects.update(generation=1, access_floor=1)


def kept_by_a_partly_restored_backup(client):
    client.refresh_token = refresh_of(client).refresh_token
    Grant.objects.update(generation=1, access_floor=1)


NOTHING_CHANGES = [
    (no_token_at_all, NO_TOKEN),
    (an_access_token, NO_TOKEN),
    (changed_in_one_character, NO_TOKEN),
    (forged_for_the_grant, NO_TOKEN),
    (of_another_application, "The refresh token was issued to another application."),
    (spent_and_of_another_application, "The refresh token was issued to another application."),
    (expired_itself, "The refresh token is expired."),
    (of_a_revoked_grant, "The grant is revoked."),
    (of_an_idle_grant, "The grant is expired."),
    (of_a_grant_over_its_cap, "The grant is expired."),
    (of_an_inactive_application, "The grant is not active: application inactive."),
    (of_an_inactive_user, "The grant is not active: user inactive."),
    (of_another_password, "The grant is not active: password changed."),
    (spent_in_a_grant_that_was_revoked, "The grant is revoked."),
    (spent_in_a_grant_that_expired, "The grant is expired."),
    (spent_and_pruned_in_a_grant_that_was_revoked, "The grant is revoked."),
    (pruned_but_current, NOT_KNOWN),
    (lost_by_restoring_a_backup, NOT_KNOWN),
    (kept_by_a_partly_restored_backup, NOT_KNOWN),
]
FAMILY_IS_REVOKED = [spent, spent_and_pruned, spent_long_ago_and_pruned, spent_by_an_inactive_user]


@pytest.mark.parametrize(("change", "reason"), NOTHING_CHANGES)
def test_refused_refresh_changes_nothing(stopped_clock, client_app, change, reason):
    change(client_app)
    before = database_snapshot()

    with pytest.raises(InvalidGrant) as refusal:
        refresh_of(client_app)

    assert refusal.value.reason == reason
    assert database_snapshot() == before


@pytest.mark.parametrize("change", FAMILY_IS_REVOKED)
def test_spent_refresh_token_revokes_the_family(client_app, change):
    change(client_app)

    with pytest.raises(InvalidGrant) as refusal:
        refresh_of(client_app)

    assert refusal.value.reason == SPENT
    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert not AccessToken.objects.live().exists()
    assert not RefreshToken.objects.live().exists()


@pytest.mark.parametrize(
    ("scope", "allowed", "reason"),
    [
        ("notes:read PRODUCTION", "", "A requested scope was not granted."),
        ("notes:write PRODUCTION", "notes:read", "A requested scope was not granted."),
        ("notes:write", "notes:read", "Nothing of the requested scope is still allowed."),
        (None, "SANDBOX", "Nothing of the granted scope is still allowed."),
        (" ", "", "The requested scope is empty."),
        ('notes:"read"', "", "The scope holds a character that RFC 6749 does not allow."),
    ],
)
def test_refused_scope_changes_nothing(client_app, scope, allowed, reason):
    client_app.application.scope = allowed
    before = database_snapshot()

    with pytest.raises(InvalidScope) as refusal:
        refresh_of(client_app, scope=scope)

    assert refusal.value.reason == reason
    assert database_snapshot() == before


@pytest.mark.parametrize("change", [no_token_at_all, of_a_revoked_grant, spent])
def test_reason_of_a_refusal_is_logged_and_not_sent(caplog, client_app, change):
    change(client_app)

    with caplog.at_level(logging.INFO, "oauth_refresh.authorization_server"):
        response = client_app.refresh()

    reason = {no_token_at_all: NO_TOKEN, of_a_revoked_grant: "The grant is revoked.", spent: SPENT}[change]
    assert f"Refused with invalid_grant: {reason}" in caplog.messages
    assert reason not in response.content.decode()


# What a refresh issues and for how long.


def test_refresh_advances_the_grant_and_inserts_one_pair(stopped_clock, client_app):
    stopped_clock.shift(60)

    issued = refresh_of(client_app, client_info=ClientInfo(address="192.0.2.7", user_agent="curl/8"))

    now = NOW + timedelta(seconds=60)
    grant = Grant.objects.get()
    assert (grant.generation, grant.access_floor, grant.refreshed_at) == (2, 2, now)
    assert (grant.idle_expires_at, grant.expires_at) == (now + timedelta(days=14), NOW + timedelta(days=90))
    assert list(
        RefreshToken.objects.filter(generation=2).values("digest", "created_at", "expires_at", "address", "user_agent")
    ) == [
        {
            "digest": crypto.digest(issued.refresh_token),
            "created_at": now,
            "expires_at": now + timedelta(days=14),
            "address": "192.0.2.7",
            "user_agent": "curl/8",
        }
    ]
    assert list(AccessToken.objects.filter(generation=2).values("digest", "scope", "created_at", "expires_at")) == [
        {
            "digest": crypto.digest(issued.access_token),
            "scope": "notes:read notes:write",
            "created_at": now,
            "expires_at": now + timedelta(hours=1),
        }
    ]
    assert (issued.expires_in, issued.refresh_token_expires_in) == (3600, 1209600)


def test_each_refresh_restarts_the_idle_limit(stopped_clock, client_app):
    for _turn in range(6):
        stopped_clock.shift(timedelta(days=13))
        client_app.refresh_token = refresh_of(client_app).refresh_token

    assert Grant.objects.get().generation == 7


def test_refresh_is_refused_once_the_idle_limit_is_reached(stopped_clock, client_app):
    stopped_clock.shift(timedelta(days=14))

    with pytest.raises(InvalidGrant, match=r"The grant is expired\."):
        refresh_of(client_app)


def test_absolute_cap_cuts_the_lifetimes_short(stopped_clock, client_app):
    Grant.objects.update(expires_at=NOW + timedelta(minutes=40))
    stopped_clock.shift(timedelta(minutes=10))

    issued = refresh_of(client_app)

    assert (issued.expires_in, issued.refresh_token_expires_in) == (1800, 1800)
    assert RefreshToken.objects.get(generation=2).expires_at == NOW + timedelta(minutes=40)
    assert AccessToken.objects.get(generation=2).expires_at == NOW + timedelta(minutes=40)


def test_refresh_never_moves_the_absolute_cap(stopped_clock, client_app):
    stopped_clock.shift(timedelta(days=1))

    refresh_of(client_app)

    assert Grant.objects.get().expires_at == NOW + timedelta(days=90)


@pytest.mark.parametrize(("seconds", "is_valid"), [(3599, True), (3600, False)])
def test_access_token_is_valid_for_an_hour(stopped_clock, client_app, seconds, is_valid):
    refresh_of(client_app)

    stopped_clock.shift(seconds)

    assert AccessToken.objects.get(generation=2).is_live is is_valid


def test_lifetimes_of_the_application_override_those_of_the_project(stopped_clock, client_app):
    client_app.application.access_token_lifetime = timedelta(seconds=30)
    client_app.application.refresh_token_lifetime = timedelta(seconds=90)

    issued = refresh_of(client_app)

    assert (issued.expires_in, issued.refresh_token_expires_in) == (30, 90)
    assert Grant.objects.get().idle_expires_at == NOW + timedelta(seconds=90)


def test_refresh_revokes_the_old_access_token(client_app):
    refresh_of(client_app)

    assert list(AccessToken.objects.live().values_list("generation", flat=True)) == [2]


def test_application_may_keep_its_old_access_tokens(client_app):
    client_app.application.revoke_access_tokens_on_refresh = False

    refresh_of(client_app)

    assert Grant.objects.get().access_floor == 1
    assert set(AccessToken.objects.live().values_list("generation", flat=True)) == {1, 2}


def test_project_may_keep_old_access_tokens(oauth_settings, client_app):
    oauth_settings(REVOKE_ACCESS_TOKENS_ON_REFRESH=False)

    refresh_of(client_app)

    assert AccessToken.objects.live().count() == 2


def test_without_rotation_the_same_refresh_token_is_returned(stopped_clock, client_app):
    client_app.application.rotate_refresh_tokens = False
    stopped_clock.shift(60)

    issued = refresh_of(client_app)

    assert issued.refresh_token == client_app.refresh_token
    assert (issued.expires_in, issued.refresh_token_expires_in) == (3600, 1209600 - 60)


def test_without_rotation_a_refresh_changes_only_the_time_of_the_grant(stopped_clock, client_app):
    client_app.application.rotate_refresh_tokens = False
    before = Grant.objects.values().get()
    stopped_clock.shift(60)

    refresh_of(client_app)

    assert Grant.objects.values().get() == {**before, "refreshed_at": NOW + timedelta(seconds=60)}
    assert RefreshToken.objects.get().expires_at == NOW + timedelta(days=14)


def test_without_rotation_old_access_tokens_stay_valid(client_app):
    client_app.application.rotate_refresh_tokens = False

    refresh_of(client_app)
    refresh_of(client_app)

    assert AccessToken.objects.live().count() == 3


def test_without_rotation_access_token_never_outlives_the_refresh_token(stopped_clock, client_app):
    client_app.application.rotate_refresh_tokens = False
    stopped_clock.shift(timedelta(days=14) - timedelta(minutes=10))

    issued = refresh_of(client_app)

    assert (issued.expires_in, issued.refresh_token_expires_in) == (600, 600)


def test_public_application_rotates_whatever_the_project_says(oauth_settings, public_client):
    oauth_settings(ROTATE_REFRESH_TOKENS=False)

    assert refresh_of(public_client).refresh_token != public_client.refresh_token


def test_narrowed_scope_is_that_of_the_access_token_alone(client_app):
    narrowed = refresh_of(client_app, scope="notes:read")
    client_app.refresh_token = narrowed.refresh_token

    whole = refresh_of(client_app)

    assert (narrowed.scope, whole.scope) == ("notes:read", "notes:read notes:write")
    assert Grant.objects.get().scope == "notes:read notes:write"


def test_scope_that_is_no_longer_allowed_is_left_out(client_app):
    client_app.application.scope = "notes:read"

    assert refresh_of(client_app).scope == "notes:read"


# Which signals a refresh sends, and which receivers it calls.


def test_receivers_are_given_the_rows_as_they_were_read(client_app):
    seen = []

    def look(grant, refresh_token, rotates, client_info, **kwargs):
        seen.append((grant.generation, refresh_token.generation, rotates, client_info))

    with connected(refresh_token_exchanged, look):
        refresh_of(client_app, client_info=ClientInfo(address="192.0.2.7"))

    assert seen == [(1, 1, True, ClientInfo(address="192.0.2.7"))]


@pytest.mark.django_db(transaction=True)
def test_receivers_are_called_inside_a_transaction(client_app):
    seen = []

    def look(**kwargs):
        seen.append(connection.in_atomic_block)

    with connected(refresh_token_exchanged, look):
        refresh_of(client_app)

    assert seen == [True]


def test_refresh_sends_a_signal_after_commit(client_app, django_capture_on_commit_callbacks):
    with recorded(tokens_issued) as sent, django_capture_on_commit_callbacks(execute=True):
        refresh_of(client_app)
        sent_before_commit = list(sent)

    assert sent_before_commit == []
    assert sent == [{"grant": Grant.objects.get(), "grant_type": "refresh_token"}]


def test_signal_carries_the_grant_as_it_is_after_the_refresh(client_app, django_capture_on_commit_callbacks):
    with recorded(tokens_issued) as sent, django_capture_on_commit_callbacks(execute=True):
        refresh_of(client_app)

    [arguments] = sent
    assert {column.attname: getattr(arguments["grant"], column.attname) for column in Grant._meta.concrete_fields} == (
        Grant.objects.values().get()
    )


@pytest.mark.parametrize("change", [no_token_at_all, of_another_application, of_a_revoked_grant, pruned_but_current])
def test_refused_refresh_sends_no_signal(client_app, django_capture_on_commit_callbacks, change):
    change(client_app)

    with (
        recorded(tokens_issued) as issued,
        recorded(refresh_token_exchanged) as exchanged,
        recorded(refresh_token_reused) as reused,
        recorded(grant_revoked) as revoked,
        django_capture_on_commit_callbacks(execute=True),
        pytest.raises(InvalidGrant),
    ):
        refresh_of(client_app)

    assert issued == exchanged == reused == revoked == []


@pytest.mark.parametrize("first", [True, False], ids=["before ours", "after ours"])
def test_vetoed_refresh_is_refused_and_changes_nothing(client_app, django_capture_on_commit_callbacks, first):
    before = database_snapshot()

    def veto(**kwargs):
        raise RefreshVetoed("not from this country")

    with (
        connected(refresh_token_exchanged, veto, first=first),
        django_capture_on_commit_callbacks() as callbacks,
        pytest.raises(InvalidGrant) as refusal,
    ):
        refresh_of(client_app)

    assert refusal.value.reason == "A receiver vetoed the refresh: not from this country."
    assert database_snapshot() == before
    assert callbacks == []


@pytest.mark.parametrize("first", [True, False], ids=["before ours", "after ours"])
def test_error_of_a_receiver_is_raised_and_changes_nothing(client_app, django_capture_on_commit_callbacks, first):
    before = database_snapshot()

    def fail(**kwargs):
        raise LookupError

    with (
        connected(refresh_token_exchanged, fail, first=first),
        django_capture_on_commit_callbacks() as callbacks,
        pytest.raises(LookupError),
    ):
        refresh_of(client_app)

    assert database_snapshot() == before
    assert callbacks == []


@pytest.mark.parametrize("error", [RefreshVetoed, LookupError])
def test_refresh_succeeds_after_one_that_a_receiver_stopped(client_app, error):
    def stop(**kwargs):
        raise error

    with connected(refresh_token_exchanged, stop):
        client_app.refresh()

    assert client_app.refresh().status_code == HTTPStatus.OK


# Without our receiver nothing is issued.


def test_refresh_without_our_receiver_changes_nothing(client_app):
    before = database_snapshot()

    with factory.django.mute_signals(refresh_token_exchanged), pytest.raises(ReceiverMissing) as fault:
        refresh_of(client_app)

    assert str(fault.value) == (
        "The old refresh token was not spent, so nothing was issued: connect "
        "oauth_refresh.receivers.deactivate_old_refresh_tokens to refresh_token_exchanged."
    )
    assert database_snapshot() == before


def test_refresh_whose_receivers_spend_nothing_changes_nothing(client_app):
    before = database_snapshot()

    with (
        factory.django.mute_signals(refresh_token_exchanged),
        connected(refresh_token_exchanged, lambda **kwargs: "spent"),
        pytest.raises(ReceiverMissing),
    ):
        refresh_of(client_app)

    assert database_snapshot() == before


def test_spending_an_earlier_token_again_does_not_count(client_app):
    earlier = []

    def keep(rotation, **kwargs):
        earlier.append(rotation)

    with connected(refresh_token_exchanged, keep):
        client_app.rotate()
    before = database_snapshot()

    with (
        factory.django.mute_signals(refresh_token_exchanged),
        connected(refresh_token_exchanged, lambda **kwargs: earlier[0].spend()),
        pytest.raises(ReceiverMissing),
    ):
        refresh_of(client_app)

    assert database_snapshot() == before


def test_token_whose_spending_a_receiver_takes_back_is_spent_all_the_same(client_app):
    def spend_in_vain(rotation, **kwargs):
        with suppress(LookupError), transaction.atomic():
            rotation.spend()
            raise LookupError

    with connected(refresh_token_exchanged, spend_in_vain, first=True):
        refresh_of(client_app)

    assert Grant.objects.get().generation == 2
    assert list(RefreshToken.objects.live().values_list("generation", flat=True)) == [2]


def test_token_that_two_receivers_spend_is_spent_once(client_app):
    with connected(refresh_token_exchanged, lambda rotation, **kwargs: rotation.spend()):
        refresh_of(client_app)

    assert Grant.objects.get().generation == 2


def test_without_our_receiver_the_answer_is_a_503(client_app):
    with factory.django.mute_signals(refresh_token_exchanged):
        response = client_app.refresh()

    assert answer_of(response) == UNAVAILABLE
    assert response.headers["Retry-After"] == "5"


def test_answer_of_a_foreign_receiver_that_is_not_ours_is_ignored(client_app):
    def answer(**kwargs):
        return "spent"

    with connected(refresh_token_exchanged, answer):
        assert refresh_of(client_app).refresh_token != client_app.refresh_token


# Transactions, races and victims of deadlocks.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [lambda client: None, spent], ids=["live", "spent"])
def test_refresh_inside_a_transaction_of_the_caller_is_an_error_and_changes_nothing(client_app, change):
    change(client_app)
    before = database_snapshot()

    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        refresh_of(client_app)

    assert database_snapshot() == before


def test_slower_of_two_refreshes_revokes_the_grant(client_app):
    with (
        run_after_token_lookup(lambda: refresh_of(client_app)),
        pytest.raises(InvalidGrant) as refusal,
    ):
        refresh_of(client_app)

    assert refusal.value.reason == SPENT
    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert sorted(RefreshToken.objects.values_list("generation", flat=True)) == [1, 2]
    assert AccessToken.objects.count() == 2


def test_refresh_is_refused_if_the_grant_was_revoked_meanwhile_and_no_reuse_is_recorded(client_app):
    with (
        run_after_token_lookup(lambda: revoke_grant(client_app.grant, reason="lost device")),
        pytest.raises(InvalidGrant) as refusal,
    ):
        refresh_of(client_app)

    assert refusal.value.reason == "The grant is revoked."
    assert Grant.objects.get().revoked_reason == "lost device"
    assert (RefreshToken.objects.count(), AccessToken.objects.count()) == (1, 1)


def test_refresh_without_rotation_does_not_race_with_itself(client_app):
    client_app.application.rotate_refresh_tokens = False

    with run_after_token_lookup(lambda: refresh_of(client_app)):
        refresh_of(client_app)

    assert AccessToken.objects.live().count() == 3


def test_refresh_whose_update_matches_no_row_is_an_error_and_changes_nothing(client_app):
    def spend(grant, **kwargs):
        Grant.objects.filter(pk=grant.pk).update(generation=grant.generation + 1)

    before = database_snapshot()

    with connected(refresh_token_exchanged, spend, first=True), pytest.raises(ContentionError):
        refresh_of(client_app)

    assert database_snapshot() == before


def fail_times(times, *args, sqlstate=None):
    """Return a receiver that fails as a database does, so often, and then lets the refresh pass."""
    failures = [OperationalError(*args) for _time in range(times)]

    def fail(**kwargs):
        if failures:
            raise failures.pop() from DriverError(sqlstate)

    return fail


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("args", "sqlstate"),
    [
        (("deadlock detected",), "40P01"),
        (("could not serialize access",), "40001"),
        ((1213, "Deadlock found when trying to get lock"), None),
        ((1020, "Record has changed since last read"), None),
    ],
)
def test_request_that_a_deadlock_rolls_back_is_retried(client_app, args, sqlstate):
    with connected(refresh_token_exchanged, fail_times(1, *args, sqlstate=sqlstate)):
        refresh_of(client_app)

    assert Grant.objects.get().generation == 2
    assert RefreshToken.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_second_attempt_begins_with_the_rows_that_were_read(client_app):
    generations = []

    def note(grant, **kwargs):
        generations.append(grant.generation)

    with deadlock_once(LAST_WRITE), connected(refresh_token_exchanged, note, first=True):
        refresh_of(client_app)

    assert generations == [1, 1]
    assert Grant.objects.get().generation == 2


@pytest.mark.django_db(transaction=True)
def test_fifth_deadlock_is_raised_and_changes_nothing(client_app):
    before = database_snapshot()

    with connected(refresh_token_exchanged, fail_times(5, "deadlock detected", sqlstate="40P01")):
        response = client_app.refresh()

    assert answer_of(response) == UNAVAILABLE
    assert database_snapshot() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("args", [(), ("server closed the connection",), (1205, "Lock wait timeout exceeded")])
def test_other_database_error_is_not_retried(client_app, args):
    before = database_snapshot()

    with connected(refresh_token_exchanged, fail_times(1, *args)):
        response = client_app.refresh()

    assert answer_of(response) == UNAVAILABLE
    assert database_snapshot() == before
