"""What a revocation would end is counted before it does, and agrees with what it then ends."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauth_refresh.services import revoke_grants
from oauth_refresh.services.revocation import RevocationPreview, Share, preview_revocation
from tests.factories import ApplicationFactory, GrantFactory, UserFactory

EVERY_GRANT = Q(pk__gt=0)

pytestmark = pytest.mark.django_db


@pytest.fixture
def grants(db):
    """Grants in every state of two users and two applications."""
    alice, bob = UserFactory(username="alice"), UserFactory(username="bob", is_active=False)
    notes = ApplicationFactory(client_id="notes", name="Notes")
    mail = ApplicationFactory(client_id="mail", name="", is_active=False)
    now = timezone.now()
    GrantFactory.create_batch(2, user=alice, application=notes)
    GrantFactory(user=alice, application=mail)
    GrantFactory(user=bob, application=notes)
    GrantFactory(user=bob, application=notes, generation=0)
    GrantFactory(without_user=True, application=notes)
    just = {"created_at": now - timedelta(days=1), "idle_expires_at": now - timedelta(minutes=59)}
    GrantFactory(user=alice, application=notes, **just)
    GrantFactory(user=alice, application=notes, revoked=True)
    GrantFactory(user=alice, application=notes, expired=True)
    GrantFactory(
        user=alice,
        application=notes,
        created_at=now - timedelta(days=1),
        idle_expires_at=now + timedelta(days=1),
        expires_at=now - timedelta(minutes=61),
    )


def test_preview_counts_grants_users_and_applications_with_their_shares(grants):
    assert preview_revocation(EVERY_GRANT) == RevocationPreview(
        grants=7,
        users=2,
        applications=2,
        largest_users=(Share(name="alice", title="alice", grants=4), Share(name="bob", title="bob", grants=2)),
        largest_applications=(Share(name="notes", title="Notes", grants=6), Share(name="mail", title="", grants=1)),
    )


@pytest.mark.parametrize(
    "selector",
    [EVERY_GRANT, Q(user__username="alice"), Q(application__client_id="notes"), Q(user=None), Q(pk=0)],
    ids=str,
)
def test_revocation_ends_as_many_as_the_preview_said(grants, selector):
    said = preview_revocation(selector).grants

    ended = revoke_grants(selector, reason="incident").count

    assert (said, preview_revocation(selector).grants) == (ended, 0)


def test_nothing_to_end_is_an_empty_preview():
    assert preview_revocation(EVERY_GRANT) == RevocationPreview(
        grants=0, users=0, applications=0, largest_users=(), largest_applications=()
    )


def test_shares_of_one_size_are_in_the_order_of_their_names():
    for name in ("carol", "alice", "bob"):
        GrantFactory(user__username=name, application__client_id=name, application__name="Same")

    preview = preview_revocation(EVERY_GRANT)

    assert [share.name for share in preview.largest_users] == ["alice", "bob", "carol"]
    assert [share.name for share in preview.largest_applications] == ["alice", "bob", "carol"]


@pytest.mark.parametrize(("largest", "names"), [(0, []), (1, ["user-2"]), (2, ["user-2", "user-1"])])
def test_only_the_largest_shares_are_named(largest, names):
    for number in range(3):
        GrantFactory.create_batch(number + 1, user=UserFactory(username=f"user-{number}"))

    preview = preview_revocation(EVERY_GRANT, largest=largest)

    assert [share.name for share in preview.largest_users] == names
    assert (preview.grants, preview.users, preview.applications) == (6, 3, 6)


@pytest.mark.parametrize("count", [1, 50])
def test_preview_costs_three_statements_however_many_grants(count):
    GrantFactory.create_batch(count)

    with CaptureQueriesContext(connection) as queries:
        preview_revocation(EVERY_GRANT)

    assert len(queries) == 3
