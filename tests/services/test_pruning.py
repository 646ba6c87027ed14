"""Prune: which rows are deleted at which age, what is counted, and that nothing that can be used is deleted."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from oauth_refresh.errors import InvalidGrant
from oauth_refresh.models import AccessToken, AuthorizationCode, Grant, GrantEvent, RefreshToken, UsedAssertion
from oauth_refresh.services import Pruned, prune, refresh, revoke_grant
from oauth_refresh.signals import tokens_pruned
from tests.database import database_snapshot
from tests.factories import (
    AccessTokenFactory,
    AuthorizationCodeFactory,
    GrantEventFactory,
    GrantFactory,
    RefreshTokenFactory,
    UsedAssertionFactory,
)
from tests.interference import deadlock_once, run_after_select
from tests.members.models import Bookmark, Footnote, Receipt
from tests.routers import LaggingReplica
from tests.signals import recorded

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, DAY, LONG_AGO = timedelta(hours=1), timedelta(days=1), timedelta(days=400)
RETAIN = 30 * DAY
MOMENT = timedelta(microseconds=1)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _now(time_machine):
    time_machine.move_to(NOW, tick=False)


def active_grant(**columns):
    """Create a grant of generation 5 that started long ago and was refreshed an hour ago."""
    lasting = {"idle_expires_at": NOW + DAY, "expires_at": None, "created_at": NOW - LONG_AGO}
    lasting["refreshed_at"] = NOW - HOUR
    return GrantFactory(generation=5, access_floor=5, **{**lasting, **columns})


def refresh_token(*, generation, age):
    created_at = NOW - age
    return RefreshTokenFactory(
        grant=active_grant(), generation=generation, created_at=created_at, expires_at=created_at + 14 * DAY
    )


def access_token(*, expired_for, generation=1):
    expires_at = NOW - expired_for
    return AccessTokenFactory(
        grant=active_grant(), generation=generation, created_at=expires_at - HOUR, expires_at=expires_at
    )


def newest_access_token(*, expired_for):
    """Create one of an active grant that was not refreshed since."""
    token = access_token(expired_for=expired_for, generation=5)
    Grant.objects.filter(pk=token.grant.pk).update(refreshed_at=token.created_at)
    return token


def event(*, age):
    return GrantEventFactory(grant=active_grant(), at=NOW - age)


def waiting_grant(*, expired_for, **columns):
    """Create a grant whose code was not redeemed."""
    expires_at = NOW - expired_for
    return AuthorizationCodeFactory(
        grant__created_at=expires_at - timedelta(minutes=1), grant__idle_expires_at=expires_at, **columns
    ).grant


def revoked_grant(*, revoked_for, **columns):
    return active_grant(revoked_at=NOW - revoked_for, revoked_reason="operator_request", **columns)


KEPT, GONE = False, True


@pytest.mark.parametrize(
    ("make", "is_gone"),
    [
        pytest.param(lambda: refresh_token(generation=3, age=RETAIN + MOMENT), GONE, id="spent, old"),
        pytest.param(lambda: refresh_token(generation=1, age=LONG_AGO), GONE, id="spent, very old"),
        pytest.param(lambda: refresh_token(generation=3, age=RETAIN), KEPT, id="spent, not old enough"),
        pytest.param(lambda: refresh_token(generation=3, age=DAY), KEPT, id="spent, young"),
        pytest.param(lambda: refresh_token(generation=4, age=LONG_AGO), KEPT, id="predecessor"),
        pytest.param(lambda: refresh_token(generation=5, age=LONG_AGO), KEPT, id="current, expired"),
        pytest.param(lambda: refresh_token(generation=6, age=LONG_AGO), KEPT, id="ahead, out of a restored backup"),
        pytest.param(lambda: access_token(expired_for=RETAIN + MOMENT), GONE, id="access token, long expired"),
        pytest.param(lambda: access_token(expired_for=RETAIN), KEPT, id="access token, not for long enough"),
        pytest.param(lambda: newest_access_token(expired_for=LONG_AGO / 2), KEPT, id="access token, the newest"),
        pytest.param(lambda: access_token(expired_for=-HOUR), KEPT, id="access token, killed but unexpired"),
        pytest.param(lambda: access_token(expired_for=-HOUR, generation=5), KEPT, id="access token, live"),
        pytest.param(lambda: event(age=RETAIN + MOMENT), GONE, id="event of an active grant, old"),
        pytest.param(lambda: event(age=RETAIN), KEPT, id="event of an active grant, not old enough"),
        pytest.param(lambda: UsedAssertionFactory(expires_at=NOW - timedelta(seconds=31)), GONE, id="assertion"),
        pytest.param(lambda: UsedAssertionFactory(expires_at=NOW - timedelta(seconds=30)), KEPT, id="clock skew"),
        pytest.param(lambda: UsedAssertionFactory(expires_at=NOW + HOUR), KEPT, id="assertion still good"),
        pytest.param(active_grant, KEPT, id="active grant"),
        pytest.param(lambda: active_grant(user__is_active=False), KEPT, id="grant of an inactive user"),
        pytest.param(lambda: revoked_grant(revoked_for=RETAIN + HOUR + MOMENT), GONE, id="revoked long ago"),
        pytest.param(lambda: revoked_grant(revoked_for=RETAIN + HOUR), KEPT, id="revoked, not long enough"),
        pytest.param(lambda: active_grant(idle_expires_at=NOW - RETAIN - HOUR - MOMENT), GONE, id="idle long ago"),
        pytest.param(lambda: active_grant(idle_expires_at=NOW - RETAIN - HOUR), KEPT, id="idle, not long enough"),
        pytest.param(lambda: active_grant(expires_at=NOW - RETAIN - HOUR - MOMENT), GONE, id="over long ago"),
        pytest.param(lambda: active_grant(expires_at=NOW - RETAIN - HOUR), KEPT, id="over, not long enough"),
        pytest.param(lambda: waiting_grant(expired_for=HOUR + MOMENT), GONE, id="code never redeemed"),
        pytest.param(lambda: waiting_grant(expired_for=HOUR), KEPT, id="code may be on its way"),
        pytest.param(
            lambda: waiting_grant(expired_for=2 * HOUR, grant__revoked=True), KEPT, id="code stopped by a revocation"
        ),
    ],
)
def test_row_is_kept_or_deleted_by_its_age_and_state(make, is_gone):
    row = make()

    prune()

    assert type(row).objects.filter(pk=row.pk).exists() is not is_gone


@pytest.mark.parametrize("days", [0, 1, 90])
def test_retention_is_the_callers_choice(days):
    retain = days * DAY
    old, young = (refresh_token(generation=3, age=retain + offset) for offset in (MOMENT, timedelta(0)))
    deletable, kept = (revoked_grant(revoked_for=retain + HOUR + offset) for offset in (MOMENT, timedelta(0)))

    prune(retain=retain)

    assert list(RefreshToken.objects.all()) == [young]
    assert set(Grant.objects.filter(pk__in=[deletable.pk, kept.pk])) == {kept}
    assert not RefreshToken.objects.filter(pk=old.pk).exists()


def family(grant):
    """Give a grant one row of each kind that belongs to a grant."""
    RefreshTokenFactory(grant=grant)
    AccessTokenFactory(grant=grant, created_at=NOW)
    AuthorizationCodeFactory(grant=grant)
    GrantEventFactory(grant=grant)
    return grant


def test_ended_grant_is_deleted_with_all_its_rows_and_an_active_one_keeps_all():
    family(revoked_grant(revoked_for=LONG_AGO / 2))
    active = family(active_grant())

    pruned = prune()

    assert pruned == Pruned(grants=1, refresh_tokens=1, access_tokens=1, authorization_codes=1, grant_events=1)
    for model in (RefreshToken, AccessToken, AuthorizationCode, GrantEvent):
        assert [row.grant for row in model.objects.all()] == [active]


def rotate_and_wait(client, time_machine):
    """Rotate three times, let the session and its last token live for longer than usual, and go there."""
    for _turn in range(3):
        client.rotate()
    Grant.objects.update(idle_expires_at=NOW + 50 * DAY)
    RefreshToken.objects.update(expires_at=NOW + 50 * DAY)
    time_machine.move_to(NOW + 40 * DAY, tick=False)


def test_pruned_spent_token_still_revokes_its_grant(client_app, time_machine):
    first = client_app.refresh_token
    rotate_and_wait(client_app, time_machine)
    assert prune().refresh_tokens == 2

    with pytest.raises(InvalidGrant) as refusal:
        refresh(client_app.application, raw_refresh_token=first)

    assert refusal.value.reason == "The refresh token was spent before."
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def test_grant_is_refreshed_after_its_old_tokens_were_pruned(client_app, time_machine):
    rotate_and_wait(client_app, time_machine)
    prune()

    client_app.rotate()

    assert Grant.objects.get().generation == 5


@pytest.mark.parametrize("rotates", [True, False])
def test_client_that_was_away_for_long_signs_out_by_its_access_token(client_app, time_machine, rotates):
    client_app.application.rotate_refresh_tokens = rotates
    client_app.application.save()
    for _turn in range(3):
        time_machine.shift(HOUR)
        last = client_app.refresh().json()
        client_app.refresh_token = last["refresh_token"]
    Grant.objects.update(idle_expires_at=NOW + 50 * DAY)
    time_machine.move_to(NOW + 40 * DAY, tick=False)
    assert prune().access_tokens == 3

    assert client_app.revoke(last["access_token"]).status_code == 200

    assert Grant.objects.get().revoked_at == NOW + 40 * DAY


def test_lost_response_is_answered_again_after_a_prune_that_retains_nothing(oauth_settings, client_app, time_machine):
    oauth_settings(RETRY_WINDOW=timedelta(seconds=30))
    oldest = client_app.refresh_token
    client_app.rotate()
    predecessor = client_app.refresh_token
    pair = client_app.rotate()
    time_machine.move_to(NOW + timedelta(seconds=10), tick=False)
    assert prune(retain=timedelta(0)).refresh_tokens == 0  # a retry walks along all of them

    for presented in (oldest, predecessor):
        again = client_app.refresh(presented).json()
        assert (again["access_token"], again["refresh_token"]) == (pair["access_token"], pair["refresh_token"])


def test_refresh_token_that_no_retry_can_reach_any_more_is_deleted(oauth_settings, client_app, time_machine):
    oauth_settings(RETRY_WINDOW=timedelta(seconds=30))
    spent = client_app.refresh_token
    client_app.rotate()
    client_app.rotate()
    time_machine.move_to(NOW + timedelta(seconds=31), tick=False)
    assert prune(retain=timedelta(0)).refresh_tokens == 1

    assert client_app.refresh(spent).status_code == 400

    assert Grant.objects.get().revoked_reason == "reuse_detected"


def grants_with_slots(*seconds_ago):
    """Create a grant with retry slots for each time at which one was refreshed."""
    return [
        GrantFactory(created_at=NOW - DAY, retry_slots=b"x" * 44, refreshed_at=NOW - timedelta(seconds=seconds))
        for seconds in seconds_ago
    ]


def left_with_slots():
    return list(Grant.objects.filter(retry_slots__isnull=False).order_by("pk"))


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_salts_are_erased_once_the_window_is_over(oauth_settings, batch_size):
    oauth_settings(RETRY_WINDOW=timedelta(seconds=30))
    inside, *_over = grants_with_slots(30, 31, 3600, 86_400)
    others = list(Grant.objects.order_by("pk").values("pk", "generation", "refreshed_at", "retries"))

    assert prune(batch_size=batch_size) == Pruned()

    assert left_with_slots() == [inside]
    assert list(Grant.objects.order_by("pk").values("pk", "generation", "refreshed_at", "retries")) == others


def test_salts_are_kept_for_the_longest_window_of_any_application(oauth_settings):
    oauth_settings(RETRY_WINDOW=timedelta(seconds=30))
    within, over = grants_with_slots(300, 301)
    within.application.retry_window = timedelta(minutes=5)
    within.application.save()

    prune()

    assert left_with_slots() == [within]
    assert over not in left_with_slots()


def test_dry_run_erases_no_salt():
    [over] = grants_with_slots(86_400)

    prune(dry_run=True)

    assert left_with_slots() == [over]


def test_grant_that_was_refreshed_after_the_query_keeps_its_salts(oauth_settings):
    oauth_settings(RETRY_WINDOW=timedelta(seconds=30))
    [over] = grants_with_slots(86_400)
    pending = [lambda: Grant.objects.update(refreshed_at=NOW)]

    def interleave(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith("SELECT") and "retry_slots" in sql and "is_deletable" in sql and pending:
            pending.pop()()
        return result

    with connection.execute_wrapper(interleave):
        prune()

    assert (left_with_slots(), pending) == ([over], [])


def test_time_limit_leaves_salts_for_the_next_run():
    over = grants_with_slots(86_400, 86_400)

    first = prune(batch_size=1, max_seconds=1e-9)
    assert (first.is_complete, left_with_slots()) == (False, over)

    assert prune() == Pruned()
    assert left_with_slots() == []


@pytest.mark.parametrize("batches", [0, 1])
def test_time_that_is_up_while_salts_are_erased_ends_the_prune(monkeypatch, batches):
    over = grants_with_slots(86_400, 86_400, 86_400)
    moments = iter([0.0, *[0.5] * 3, *[0.5] * batches, 2.0])  # three batches of grants that all stay come before
    monkeypatch.setattr("oauth_refresh.services.pruning.monotonic", lambda: next(moments))

    pruned = prune(batch_size=1, max_seconds=1)

    assert (pruned, left_with_slots()) == (Pruned(is_complete=False), over[batches + 1 :])


@pytest.mark.parametrize("kind", ["live", "spent"])
def test_token_of_a_pruned_grant_is_a_plain_invalid_grant(client_app, time_machine, kind):
    spent = client_app.refresh_token
    client_app.rotate()
    revoke_grant(client_app.grant, reason="lost device")
    time_machine.move_to(NOW + 40 * DAY, tick=False)
    assert prune().grants == 1

    answer = client_app.refresh(spent if kind == "spent" else None)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert not GrantEvent.objects.exists()


AGES = st.integers(min_value=0, max_value=80)
TOKENS = st.lists(st.tuples(st.integers(min_value=0, max_value=3), AGES), max_size=5)
GRANTS = st.lists(
    st.fixed_dictionaries(
        {
            "generation": st.integers(min_value=0, max_value=4),
            "revoked": st.none() | AGES,
            "idle_expired": st.none() | AGES,
            "over": st.none() | AGES,
            "refreshed": st.none() | AGES,
            "tokens": TOKENS,
        }
    ),
    max_size=5,
)


def make_families(application, user, families):
    """Make the grants, and then their tokens, the oldest first, as time would."""
    tokens = []
    for one in families:
        aged = {generation: age for generation, age in one.pop("tokens") if generation <= one["generation"]}
        grant = make_grant(application, user, **one)
        tokens += [(age, generation, grant) for generation, age in aged.items()]
    for age, generation, grant in sorted(tokens, key=lambda token: -token[0]):
        created_at = NOW - age * DAY
        common = {"grant": grant, "generation": generation, "created_at": created_at}
        RefreshTokenFactory(**common, expires_at=created_at + 14 * DAY)
        AccessTokenFactory(**common, expires_at=created_at + HOUR)
        GrantEventFactory(grant=grant, generation=generation, at=created_at)


def make_grant(application, user, *, generation, revoked, idle_expired, over, refreshed):
    return GrantFactory(
        application=application,
        user=user,
        generation=generation,
        created_at=NOW - LONG_AGO,
        refreshed_at=None if refreshed is None else NOW - refreshed * DAY,
        idle_expires_at=NOW + DAY if idle_expired is None else NOW - idle_expired * DAY,
        expires_at=None if over is None else NOW - over * DAY,
        revoked_at=None if revoked is None else NOW - revoked * DAY,
        revoked_reason="" if revoked is None else "operator_request",
    )


def should_stay(row):
    """Return whether a row is kept, by the rules as the documentation has them."""
    grant = row if isinstance(row, Grant) else row.grant
    limit = NOW - RETAIN - HOUR
    ends = [end for end in (grant.revoked_at, grant.idle_expires_at, grant.expires_at) if end is not None]
    came_to_nothing = grant.generation == 0 and grant.revoked_at is None and grant.idle_expires_at < NOW - HOUR
    if min(ends) < limit or came_to_nothing:
        return False
    if isinstance(row, RefreshToken):
        return row.generation >= grant.generation - 1 or row.created_at >= NOW - RETAIN
    if isinstance(row, GrantEvent):
        return row.at >= NOW - RETAIN
    if isinstance(row, AccessToken):
        is_newest = grant.refreshed_at is None or row.created_at >= grant.refreshed_at
        return is_newest or row.expires_at >= NOW - RETAIN
    return True


@hypothesis_settings(
    derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(families=GRANTS, batch_size=st.integers(min_value=1, max_value=4))
def test_any_rows_are_pruned_by_the_rules_and_a_dry_run_counts_the_same(user, application, families, batch_size):
    Grant.objects.all().delete()
    make_families(application, user, families)
    before = database_snapshot()
    valid_before = [set(model.objects.live()) for model in (Grant, RefreshToken, AccessToken)]
    expected = {model: {row for row in model.objects.all() if should_stay(row)} for model in FAMILY}

    foretold = prune(batch_size=batch_size, dry_run=True)
    assert database_snapshot() == before
    pruned = prune(batch_size=batch_size)

    assert pruned == foretold
    assert {model: set(model.objects.all()) for model in FAMILY} == expected
    assert [set(model.objects.live()) for model in (Grant, RefreshToken, AccessToken)] == valid_before
    assert prune(batch_size=batch_size) == Pruned()


FAMILY = (Grant, RefreshToken, AccessToken, GrantEvent)


def mixed(count=5):
    """Create rows of each kind that may be deleted, and as many that may not; return the counts of the first."""
    for _turn in range(count):
        refresh_token(generation=2, age=LONG_AGO / 2)
        access_token(expired_for=LONG_AGO / 2)
        UsedAssertionFactory(expires_at=NOW - DAY)
    for _turn in range(count):
        family(revoked_grant(revoked_for=LONG_AGO / 2))
        family(active_grant())
        waiting_grant(expired_for=DAY)
        UsedAssertionFactory(expires_at=NOW + DAY)
    return Pruned(
        grants=2 * count,
        refresh_tokens=2 * count,
        access_tokens=2 * count,
        authorization_codes=2 * count,
        grant_events=count,
        used_assertions=count,
    )


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 1000])
def test_everything_that_may_go_is_deleted_in_batches_of_any_size(batch_size):
    deletable = mixed()

    assert prune(batch_size=batch_size, dry_run=True) == deletable
    assert prune(batch_size=batch_size) == deletable
    assert prune(batch_size=batch_size) == Pruned()


def test_walk_ends_at_the_first_page_with_nothing_old():
    refresh_token(generation=3, age=LONG_AGO)
    refresh_token(generation=3, age=DAY)
    brought_along = refresh_token(generation=3, age=LONG_AGO)

    prune(batch_size=1)
    left = RefreshToken.objects.order_by("pk").values_list("pk", flat=True)
    assert list(left) == [brought_along.pk - 1, brought_along.pk]

    prune(batch_size=2)
    assert list(left.all()) == [brought_along.pk - 1]


def test_prune_sends_a_signal_with_its_counts():
    mixed(1)

    with recorded(tokens_pruned) as sent:
        pruned = prune()

    [arguments] = sent
    assert arguments == {"counts": pruned}
    assert asdict(pruned)["grants"] == 2


def test_dry_run_sends_no_signal():
    mixed(1)

    with recorded(tokens_pruned) as sent:
        prune(dry_run=True)

    assert sent == []


def test_progress_advances_along_each_table():
    deletable = mixed()
    sent = []

    prune(batch_size=2, progress=sent.append)

    kinds = list(dict.fromkeys(one.kind for one in sent))
    assert kinds == ["used assertions", "refresh tokens", "access tokens", "grants"]
    assert all(0 <= one.fraction <= 1 for one in sent)
    assert [one.rows for one in sent] == sorted(one.rows for one in sent)
    assert sent[-1].rows == sum(count for field, count in asdict(deletable).items() if field != "is_complete")


def test_time_limit_ends_a_prune_after_a_batch_and_the_next_run_continues():
    deletable = mixed()

    first = prune(batch_size=2, max_seconds=1e-9)
    second = prune()

    assert first == Pruned(used_assertions=2, is_complete=False)
    assert asdict(second) == {**asdict(deletable), "used_assertions": 3}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"retain": -DAY}, "0 to 36500 days"),
        ({"retain": 36_501 * DAY}, "0 to 36500 days"),
        ({"batch_size": 0}, "1 to 10000 rows"),
        ({"batch_size": 10_001}, "1 to 10000 rows"),
        ({"max_seconds": 0}, "max_seconds must be positive"),
    ],
)
def test_argument_out_of_its_range_is_an_error_and_deletes_nothing(arguments, sentence):
    mixed(1)
    before = database_snapshot()

    with pytest.raises(ValueError, match=sentence):
        prune(**arguments)

    assert database_snapshot() == before


def test_longest_retention_keeps_everything_but_used_assertions():
    mixed(1)

    assert prune(retain=36_500 * DAY) == Pruned(grants=1, authorization_codes=1, used_assertions=1)


def test_lagging_replica_is_not_read(settings):
    mixed(1)
    settings.DATABASE_ROUTERS = [LaggingReplica()]

    assert prune(dry_run=True).grants == 2
    assert prune().grants == 2


def test_grant_that_was_started_after_the_query_keeps_all_rows():
    grant = family(active_grant(idle_expires_at=NOW - LONG_AGO / 2))

    def revive():
        Grant.objects.update(idle_expires_at=NOW + DAY)

    with run_after_grants_were_selected(revive):
        pruned = prune()

    assert pruned == Pruned()
    assert RefreshToken.objects.get().grant == grant


def run_after_grants_were_selected(act):
    """Run ``act`` between the query that finds a grant to delete and the transaction that deletes it."""
    pending = [act]

    def interleave(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if (
            sql.startswith("SELECT")
            and "is_deletable" in sql
            and f"FROM {quoted('oauth_refresh_grant')}" in sql
            and pending
        ):
            pending.pop()()
        return result

    return connection.execute_wrapper(interleave)


def quoted(name):
    return connection.ops.quote_name(name)


def test_rival_that_pruned_the_same_page_leaves_nothing_to_count():
    mixed(2)

    with run_after_grants_were_selected(prune):
        pruned = prune()

    assert (pruned.grants, pruned.skipped) == (0, 0)
    assert not Grant.objects.filter(generation=0).exists()


def test_grant_refreshed_after_the_query_keeps_both_tokens_that_a_retry_needs(client_app):
    client_app.rotate()
    RefreshToken.objects.update(created_at=NOW - LONG_AGO)

    with run_after_select(RefreshToken, client_app.rotate):
        pruned = prune()

    assert pruned.refresh_tokens == 0
    assert prune().refresh_tokens == 1
    assert list(RefreshToken.objects.order_by("pk").values_list("generation", flat=True)) == [2, 3]


def dying_at(number):
    """End the process in the middle of a statement that reads or deletes."""
    seen = []

    def execute_or_die(execute, sql, params, many, context):
        if sql.startswith(("SELECT", "DELETE")):
            seen.append(sql)
            if len(seen) == number:
                raise KeyboardInterrupt
        return execute(sql, params, many, context)

    return connection.execute_wrapper(execute_or_die)


@pytest.mark.slow
def test_prune_that_was_killed_at_any_statement_can_be_repeated():
    """The whole is done anew for each statement, until one run gets through."""
    for number in range(1, 200):
        Grant.objects.all().delete()
        UsedAssertion.objects.all().delete()
        deletable = mixed(1)
        active = set(Grant.objects.live()), set(RefreshToken.objects.live()), set(AccessToken.objects.live())
        try:
            with dying_at(number):
                prune(batch_size=2)
        except KeyboardInterrupt:
            was_killed = True
        else:
            was_killed = False
        again = prune(batch_size=2)

        assert (set(Grant.objects.live()), set(RefreshToken.objects.live()), set(AccessToken.objects.live())) == active
        assert prune() == Pruned()
        assert again.grants <= deletable.grants
        if not was_killed:
            assert (again, number > 20) == (Pruned(), True)
            return
    pytest.fail("It never ended.")


@pytest.mark.django_db(transaction=True)
def test_grants_that_other_tables_protect_are_kept_and_the_rest_is_deleted():
    protected, footnoted, *_others = [family(revoked_grant(revoked_for=LONG_AGO / 2)) for _turn in range(7)]
    spent_but_footnoted, _spent = (refresh_token(generation=2, age=LONG_AGO / 2) for _turn in range(2))
    Receipt.objects.create(grant=protected)
    for token in (footnoted.refresh_tokens.get(), spent_but_footnoted):
        Footnote.objects.create(refresh_token=token)

    pruned = prune()

    assert pruned == Pruned(
        grants=5, refresh_tokens=6, access_tokens=5, authorization_codes=5, grant_events=5, skipped=3
    )
    assert set(Grant.objects.exclude(revoked_at=None)) == {protected, footnoted}
    assert {event.grant for event in GrantEvent.objects.all()} == {protected, footnoted}
    assert prune() == Pruned(skipped=3)


def test_rows_of_the_project_that_cascade_are_deleted_too():
    grant = revoked_grant(revoked_for=LONG_AGO / 2)
    Bookmark.objects.create(grant=grant)

    assert prune() == Pruned(grants=1)
    assert not Bookmark.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", ["deleting", "locking"])
def test_batch_that_a_deadlock_rolls_back_is_retried(statement):
    deletable = mixed(1)
    table = quoted("oauth_refresh_grant")
    locks = f"SELECT {table}.{quoted('id')} AS {quoted('pk')} FROM"

    with deadlock_once({"deleting": f"DELETE FROM {table}", "locking": locks}[statement]) as tried:
        pruned = prune()

    assert len([sql for sql in tried if "retry_slots" not in sql]) == 2
    assert pruned == deletable


@pytest.mark.django_db(transaction=True)
def test_inside_a_transaction_of_the_caller_it_refuses():
    mixed(1)
    before = database_snapshot()

    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        prune()

    assert database_snapshot() == before


def test_it_can_be_run_on_nothing():
    assert prune() == Pruned()
    assert timezone.now() == NOW
