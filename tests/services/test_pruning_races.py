"""A prune at the same time as another prune, refreshes and revocations, with real threads and connections."""

from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from threading import Event
from time import monotonic

import pytest
from django.db import connection
from django.utils import timezone

from oauth_refresh.errors import InvalidGrant
from oauth_refresh.models import AccessToken, Grant, PruneRun, RefreshToken, UsedAssertion
from oauth_refresh.services import issue_tokens, prune, refresh, revoke_grant
from tests.factories import GrantFactory, RefreshTokenFactory, UsedAssertionFactory
from tests.threads import run_together
from tests.waiting import LONGEST_SECONDS

CLIENTS, ROTATIONS = 3, 25
DAY = timedelta(days=1)
NO_RETENTION = timedelta(0)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite in memory is one connection"),
]


def expired_grants(count):
    """Create grants that expired long ago, each with three spent tokens and the last one, and used assertions."""
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
    """Refresh many times, and on until an event; return the newest refresh token."""
    raw, turns, deadline = issued.refresh_token, 0, monotonic() + LONGEST_SECONDS
    while turns < ROTATIONS or not (until.is_set() or monotonic() > deadline):
        raw = refresh(application, raw_refresh_token=raw).refresh_token
        turns += 1
    return raw


def test_parallel_prunes_delete_and_count_each_row_once():
    expired_grants(20)
    active = RefreshTokenFactory()

    counts = run_together(*[lambda: prune(batch_size=3)] * 3)

    total = sum((Counter(asdict(one)) for one in counts), Counter())
    rest = prune()  # a grant that one of them had locked was skipped by the others
    assert (total["grants"] + rest.grants, total["skipped"]) == (20, 0)
    assert total["refresh_tokens"] + rest.refresh_tokens == 80
    assert total["used_assertions"] == 20
    assert list(RefreshToken.objects.all()) == [active]
    assert not UsedAssertion.objects.exists()


def test_prunes_that_end_together_leave_one_record():
    """The overview reads it. Nothing is to be deleted, so that all of them come to their end at once."""
    for _round in range(20):
        run_together(*[prune] * 4)

    last = PruneRun.objects.order_by("pk").last()
    assert PruneRun.objects.filter(pk__lt=last.pk).count() <= 3  # what was not committed yet when it was looked for
    prune()
    assert PruneRun.objects.count() == 1


def test_refreshes_succeed_beside_a_prune_and_reuse_of_the_first_token_is_detected(application, user):
    first_pairs = [issue_tokens(application, user=user, grant_type="password") for _turn in range(CLIENTS)]
    expired_grants(10)
    pruned, over = Event(), Event()

    def rotate_all():
        try:
            return run_together(
                *[lambda issued=issued: rotate(application, issued, until=pruned) for issued in first_pairs]
            )
        finally:
            over.set()

    def prune_until_over():
        deleted = Counter()
        while not over.is_set():
            deleted += Counter(asdict(prune(retain=NO_RETENTION, batch_size=4)))
            if deleted["refresh_tokens"] > 40:
                pruned.set()
        return deleted

    newest, deleted = run_together(rotate_all, prune_until_over)

    rest = prune(retain=NO_RETENTION)
    assert (deleted["grants"] + rest.grants, deleted["skipped"]) == (10, 0)
    spent = sum(Grant.objects.live().values_list("generation", flat=True)) - 2 * CLIENTS
    assert deleted["refresh_tokens"] + rest.refresh_tokens == 40 + spent
    assert pruned.is_set()
    assert Grant.objects.live().count() == CLIENTS
    assert AccessToken.objects.live().count() == CLIENTS
    for issued, raw in zip(first_pairs, newest, strict=True):
        refresh(application, raw_refresh_token=raw)
        with pytest.raises(InvalidGrant):
            refresh(application, raw_refresh_token=issued.refresh_token)
    assert set(Grant.objects.values_list("revoked_reason", flat=True)) == {"reuse_detected"}


def test_revocations_beside_a_prune_revoke_every_active_grant(user):
    expired, active = expired_grants(20), [RefreshTokenFactory().grant for _turn in range(20)]

    def revoke(grants):
        return [revoke_grant(grant, reason="lost device", by=user) for grant in grants]

    of_active, _of_expired, pruned = run_together(
        lambda: revoke(active), lambda: revoke(reversed(expired)), lambda: prune(batch_size=4)
    )

    assert of_active == [True] * 20
    assert set(Grant.objects.filter(pk__in=[grant.pk for grant in active])) == set(active)
    assert pruned.skipped == 0
    assert prune().grants + pruned.grants == 20
