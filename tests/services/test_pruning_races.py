"""Prune beside others, with real threads and connections: another prune, refreshes, revocations."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from threading import Barrier, Event
from time import monotonic

import pytest
from django.db import connection, connections
from django.utils import timezone

from oauth_refresh.errors import InvalidGrant
from oauth_refresh.models import AccessToken, Grant, RefreshToken, UsedAssertion
from oauth_refresh.services import issue_tokens, prune, refresh, revoke_grant
from tests.factories import GrantFactory, RefreshTokenFactory, UsedAssertionFactory

CLIENTS, ROTATIONS, LONG = 3, 25, 30
DAY = timedelta(days=1)
NO_RETENTION = timedelta(0)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite in memory is one connection"),
]


def side_by_side(*calls):
    """Start all calls at the same moment, each with a connection of its own, and return their results in order."""
    barrier = Barrier(len(calls))

    def run(call):
        barrier.wait()
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def dead_grants(count):
    """Make grants that expired long ago, with spent tokens and the last one, and as many used assertions."""
    long_ago = timezone.now() - 100 * DAY
    grants = GrantFactory.create_batch(
        count, generation=4, created_at=long_ago, idle_expires_at=long_ago + DAY, expires_at=None
    )
    for generation in range(1, 5):
        for grant in grants:
            RefreshTokenFactory(grant=grant, generation=generation)
    UsedAssertionFactory.create_batch(count, expires_at=long_ago)
    return grants


def rotate(application, issued, *, until):
    """Refresh many times, and on until the event has come; return the newest refresh token."""
    raw, turns, given_up = issued.refresh_token, 0, monotonic() + LONG
    while turns < ROTATIONS or not (until.is_set() or monotonic() > given_up):
        raw = refresh(application, raw_refresh_token=raw).refresh_token
        turns += 1
    return raw


def test_two_at_once_share_the_work_and_count_each_row_once():
    dead_grants(20)
    living = RefreshTokenFactory()

    counts = side_by_side(*[lambda: prune(batch_size=3)] * 3)

    total = sum((Counter(asdict(one)) for one in counts), Counter())
    rest = prune()  # a grant that one of them held was left alone by the others
    assert (total["grants"] + rest.grants, total["skipped"]) == (20, 0)
    assert total["refresh_tokens"] + rest.refresh_tokens == 80
    assert total["used_assertions"] == 20
    assert list(RefreshToken.objects.all()) == [living]
    assert not UsedAssertion.objects.exists()


def test_refreshes_go_on_and_the_first_token_still_sounds_the_alarm(application, user):
    sessions = [issue_tokens(application, user=user, grant_type="password") for _turn in range(CLIENTS)]
    dead_grants(10)
    met, over = Event(), Event()

    def rotate_all():
        try:
            return side_by_side(*[lambda issued=issued: rotate(application, issued, until=met) for issued in sessions])
        finally:
            over.set()

    def prune_until_over():
        went = Counter()
        while not over.is_set():
            went += Counter(asdict(prune(retain=NO_RETENTION, batch_size=4)))
            if went["refresh_tokens"] > 40:
                met.set()
        return went

    newest, went = side_by_side(rotate_all, prune_until_over)

    rest = prune(retain=NO_RETENTION)
    assert (went["grants"] + rest.grants, went["skipped"]) == (10, 0)
    spent = sum(Grant.objects.live().values_list("generation", flat=True)) - 2 * CLIENTS
    assert went["refresh_tokens"] + rest.refresh_tokens == 40 + spent
    assert met.is_set()
    assert Grant.objects.live().count() == CLIENTS
    assert AccessToken.objects.live().count() == CLIENTS
    for issued, raw in zip(sessions, newest, strict=True):
        refresh(application, raw_refresh_token=raw)
        with pytest.raises(InvalidGrant):
            refresh(application, raw_refresh_token=issued.refresh_token)
    assert set(Grant.objects.values_list("revoked_reason", flat=True)) == {"reuse_detected"}


def test_revocations_go_on_and_each_ends_its_grant_or_finds_it_gone(user):
    dead, living = dead_grants(20), [RefreshTokenFactory().grant for _turn in range(20)]

    def revoke(grants):
        return [revoke_grant(grant, reason="lost device", by=user) for grant in grants]

    of_living, _of_dead, pruned = side_by_side(
        lambda: revoke(living), lambda: revoke(reversed(dead)), lambda: prune(batch_size=4)
    )

    assert of_living == [True] * 20
    assert set(Grant.objects.filter(pk__in=[grant.pk for grant in living])) == set(living)
    assert pruned.skipped == 0
    assert prune().grants + pruned.grants == 20
