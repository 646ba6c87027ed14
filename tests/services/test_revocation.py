"""Revocation: of a token's grant by its client, of one grant, and of a set of grants by a selector."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.errors import InvalidGrant
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.services import revoke_grant, revoke_grants, revoke_token
from oauth_refresh.services.revocation import grants_to_revoke
from oauth_refresh.signals import grant_revoked, grants_revoked
from tests.database import database_snapshot
from tests.factories import AccessTokenFactory, ApplicationFactory, GrantFactory, UserFactory
from tests.interference import deadlock_once
from tests.signals import recorded

EVERY_GRANT = Q(pk__gt=0)
pytestmark = pytest.mark.django_db


EVERY_TOKEN = [
    "current refresh token",
    "spent refresh token",
    "pruned refresh token",
    "active access token",
    "revoked access token",
]


@pytest.mark.parametrize("which", EVERY_TOKEN)
def test_any_token_revokes_its_whole_grant(client_app, held_tokens, which):
    revoke_token(client_app.application, held_tokens[which])

    assert Grant.objects.get().revoked_reason == "client_request"
    assert not RefreshToken.objects.live().exists()
    assert not AccessToken.objects.live().exists()


@pytest.mark.parametrize("which", EVERY_TOKEN)
def test_token_of_another_application_is_refused_and_changes_nothing(held_tokens, which):
    before = database_snapshot()

    with pytest.raises(InvalidGrant) as refusal:
        revoke_token(ApplicationFactory(), held_tokens[which])

    assert refusal.value.reason == "The token was issued to another application."
    assert database_snapshot() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "oat_" + "A" * 43,
        "ort_" + "A" * 92,
        "oat_\x00",
        "ort_\udc80",
        crypto.mint_refresh_token(
            public_id=UUID(int=1), generation=1, mac_key=bytes(32), prefix="ort_", secret=bytes(32)
        ),
    ],
)
def test_text_that_is_no_token_of_this_server_changes_nothing(client_app, text):
    before = database_snapshot()

    revoke_token(client_app.application, text)

    assert database_snapshot() == before


def test_forged_refresh_token_of_a_known_grant_changes_nothing(client_app):
    before = database_snapshot()

    revoke_token(
        client_app.application,
        crypto.mint_refresh_token(public_id=client_app.grant.public_id, generation=1, mac_key=bytes(32), prefix="ort_"),
    )

    assert database_snapshot() == before


def test_access_token_may_be_revoked_alone(oauth_settings, client_app):
    oauth_settings(REVOKE_GRANT_WITH_ACCESS_TOKEN=False)

    revoke_token(client_app.application, client_app.access_token)

    assert not AccessToken.objects.live().exists()
    assert RefreshToken.objects.live().exists()


def test_access_token_that_was_revoked_alone_keeps_its_time(oauth_settings, client_app, time_machine):
    oauth_settings(REVOKE_GRANT_WITH_ACCESS_TOKEN=False)
    revoke_token(client_app.application, client_app.access_token)
    before = database_snapshot()
    time_machine.move_to(timezone.now() + timedelta(minutes=1))

    revoke_token(client_app.application, client_app.access_token)

    assert database_snapshot() == before


def test_refresh_token_revokes_its_grant_even_where_access_tokens_are_revoked_alone(oauth_settings, client_app):
    oauth_settings(REVOKE_GRANT_WITH_ACCESS_TOKEN=False)

    revoke_token(client_app.application, client_app.refresh_token)

    assert not Grant.objects.live().exists()


def test_revoking_a_grant_records_when_why_and_by_whom(time_machine):
    grant, staff = GrantFactory(), UserFactory()
    now = timezone.now() + timedelta(minutes=1)
    time_machine.move_to(now, tick=False)

    assert revoke_grant(grant, reason="lost device", by=staff) is True

    grant.refresh_from_db()
    assert (grant.revoked_at, grant.revoked_reason, grant.revoked_by) == (now, "lost device", staff)
    assert grant.revocation_id is not None


def test_first_revocation_of_a_grant_stands():
    grant = GrantFactory()
    revoke_grant(grant, reason="lost device")
    before = database_snapshot()

    assert revoke_grant(grant, reason="second thoughts") is False

    assert database_snapshot() == before


@pytest.mark.parametrize(
    "revoke",
    [
        lambda: revoke_grant(Grant.objects.get(), reason=""),
        lambda: revoke_grants(EVERY_GRANT, reason=""),
        lambda: revoke_grants(EVERY_GRANT, reason="x" * 256),
    ],
    ids=["one", "set", "too long to store"],
)
def test_revocation_without_a_proper_reason_is_an_error_and_changes_nothing(revoke):
    GrantFactory()

    with pytest.raises(ValueError, match="A revocation needs a reason of 1 to 255 characters"):
        revoke()

    assert Grant.objects.get().revoked_at is None


def test_set_without_a_selector_is_an_error_and_changes_nothing():
    GrantFactory()

    with pytest.raises(ValueError, match="an empty selector would revoke them all"):
        revoke_grants(Q(), reason="a slip")

    assert Grant.objects.get().revoked_at is None


def test_set_of_grants_is_revoked_as_one(django_assert_num_queries):
    grants = [GrantFactory() for _turn in range(3)]
    spared, staff = GrantFactory(), UserFactory()
    selector = Q(pk__in=[grant.pk for grant in grants])

    with django_assert_num_queries(3):  # the update, a look-up of what it ended, and the notices
        revocation = revoke_grants(selector, reason="breach", by=staff)

    assert revocation.count == 3
    assert set(Grant.objects.filter(revocation_id=revocation.revocation_id)) == set(grants)
    assert set(Grant.objects.values_list("revoked_reason", "revoked_by")) == {("breach", staff.pk), ("", None)}
    assert list(Grant.objects.unrevoked()) == [spared]


@pytest.mark.parametrize(
    ("state", "count"),
    [
        ({}, 1),
        ({"without_user": True}, 1),
        ({"generation": 0, "access_floor": 0}, 1),
        ({"user__is_active": False}, 1),
        ({"application__is_active": False}, 1),
        ({"password_fingerprint": "0" * 64}, 1),
        ({"expires_at": None}, 1),
        ({"revoked": True}, 0),
        ({"expired": True}, 0),
    ],
)
def test_set_includes_every_grant_that_may_still_be_used(state, count):
    GrantFactory(**state)

    assert grants_to_revoke(Q()).count() == count
    assert revoke_grants(EVERY_GRANT, reason="breach").count == count


@pytest.mark.parametrize("expiry", ["idle_expires_at", "expires_at"])
@pytest.mark.parametrize(("minutes_ago", "count"), [(59, 1), (61, 0)])
def test_set_leaves_out_what_expired_over_an_hour_ago(expiry, minutes_ago, count):
    now = timezone.now()
    GrantFactory(created_at=now - timedelta(days=1), **{expiry: now - timedelta(minutes=minutes_ago)})

    assert grants_to_revoke(Q()).count() == count


def test_second_revocation_of_a_set_finds_nothing():
    GrantFactory()
    revoke_grants(EVERY_GRANT, reason="breach")

    assert revoke_grants(EVERY_GRANT, reason="breach").count == 0


def test_revocation_of_a_grant_sends_a_signal_after_commit(django_capture_on_commit_callbacks):
    grant, staff = GrantFactory(), UserFactory()

    with recorded(grant_revoked) as sent, django_capture_on_commit_callbacks(execute=True):
        revoke_grant(grant, reason="lost device", by=staff)
        sent_before_commit = list(sent)

    assert sent_before_commit == []
    assert sent == [{"grant": grant, "reason": "lost device", "by": staff}]


def test_revocation_of_a_set_sends_one_signal_after_commit(django_capture_on_commit_callbacks):
    GrantFactory.create_batch(2)
    selector = Q(grant_type="password")

    with recorded(grants_revoked) as sent, django_capture_on_commit_callbacks(execute=True):
        revocation = revoke_grants(selector, reason="breach")
        sent_before_commit = list(sent)

    assert sent_before_commit == []
    assert sent == [
        {
            "selector": selector,
            "count": 2,
            "reason": "breach",
            "by": None,
            "revocation_id": revocation.revocation_id,
        }
    ]


def test_revocation_that_ends_nothing_sends_no_signal(django_capture_on_commit_callbacks):
    grant = GrantFactory(revoked=True)

    with (
        recorded(grant_revoked) as one,
        recorded(grants_revoked) as many,
        django_capture_on_commit_callbacks(execute=True),
    ):
        revoke_grant(grant, reason="breach")
        revoke_grants(EVERY_GRANT, reason="breach")

    assert one == many == []


@pytest.mark.django_db(transaction=True)
def test_revocation_may_be_part_of_a_transaction_that_is_undone():
    grant = GrantFactory()

    with recorded(grant_revoked) as sent, transaction.atomic():
        revoke_grant(grant, reason="lost device")
        transaction.set_rollback(True)

    assert Grant.objects.live().exists()
    assert sent == []


def test_expired_access_token_still_revokes_its_grant():
    raw = crypto.mint_opaque_token(prefix="oat_")
    token = AccessTokenFactory(raw=raw, expired=True)

    revoke_token(token.application, raw)

    assert Grant.objects.get().revoked_reason == "client_request"


@pytest.mark.django_db(transaction=True)
def test_revocation_that_a_deadlock_rolls_back_is_retried():
    grant = GrantFactory()

    with deadlock_once("UPDATE") as tried:
        revoke_grant(grant, reason="lost device")

    assert len(tried) == 2
    assert not Grant.objects.live().exists()


@pytest.mark.django_db(transaction=True)
def test_revocation_inside_a_transaction_is_not_retried():
    grant = GrantFactory()

    with deadlock_once("UPDATE") as tried, pytest.raises(OperationalError), transaction.atomic():
        revoke_grant(grant, reason="lost device")

    assert len(tried) == 1
