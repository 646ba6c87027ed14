"""Revocation: a token's grant by its client, one grant by whoever may, a set of grants by one selector."""

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
from tests.factories import AccessTokenFactory, ApplicationFactory, GrantFactory, UserFactory
from tests.interference import everything, fails_once, heard

EVERY_GRANT = Q(pk__gt=0)
pytestmark = pytest.mark.django_db


@pytest.fixture
def held(client_app):
    """Every token that a client may come to hold, by what has become of it."""
    spent, dead = client_app.refresh_token, client_app.access_token
    client_app.rotate()
    pruned = client_app.refresh_token
    client_app.rotate()
    RefreshToken.objects.filter(generation=2).delete()
    return {
        "live refresh token": client_app.refresh_token,
        "spent refresh token": spent,
        "pruned refresh token": pruned,
        "live access token": client_app.access_token,
        "dead access token": dead,
    }


EVERY_TOKEN = [
    "live refresh token",
    "spent refresh token",
    "pruned refresh token",
    "live access token",
    "dead access token",
]


@pytest.mark.parametrize("which", EVERY_TOKEN)
def test_any_token_revokes_its_whole_grant(client_app, held, which):
    revoke_token(client_app.application, held[which])

    assert Grant.objects.get().revoked_reason == "client_request"
    assert not RefreshToken.objects.live().exists()
    assert not AccessToken.objects.live().exists()


@pytest.mark.parametrize("which", EVERY_TOKEN)
def test_token_of_another_application_is_refused_and_changes_nothing(held, which):
    before = everything()

    with pytest.raises(InvalidGrant) as refusal:
        revoke_token(ApplicationFactory(), held[which])

    assert refusal.value.reason == "The token was issued to another application."
    assert everything() == before


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
def test_text_that_is_no_token_of_ours_changes_nothing(client_app, text):
    before = everything()

    revoke_token(client_app.application, text)

    assert everything() == before


def test_forged_refresh_token_of_a_known_grant_changes_nothing(client_app):
    before = everything()

    revoke_token(
        client_app.application,
        crypto.mint_refresh_token(public_id=client_app.grant.public_id, generation=1, mac_key=bytes(32), prefix="ort_"),
    )

    assert everything() == before


def test_access_token_may_be_revoked_alone(settings, client_app):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "REVOKE_GRANT_WITH_ACCESS_TOKEN": False}

    revoke_token(client_app.application, client_app.access_token)

    assert not AccessToken.objects.live().exists()
    assert RefreshToken.objects.live().exists()


def test_access_token_that_was_revoked_alone_keeps_its_time(settings, client_app, time_machine):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "REVOKE_GRANT_WITH_ACCESS_TOKEN": False}
    revoke_token(client_app.application, client_app.access_token)
    before = everything()
    time_machine.move_to(timezone.now() + timedelta(minutes=1))

    revoke_token(client_app.application, client_app.access_token)

    assert everything() == before


def test_refresh_token_revokes_its_grant_even_where_access_tokens_are_revoked_alone(settings, client_app):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "REVOKE_GRANT_WITH_ACCESS_TOKEN": False}

    revoke_token(client_app.application, client_app.refresh_token)

    assert not Grant.objects.live().exists()


def test_revoking_a_grant_records_when_why_and_by_whom(time_machine):
    grant, operator = GrantFactory(), UserFactory()
    now = timezone.now() + timedelta(minutes=1)
    time_machine.move_to(now, tick=False)

    assert revoke_grant(grant, reason="lost device", by=operator) is True

    grant.refresh_from_db()
    assert (grant.revoked_at, grant.revoked_reason, grant.revoked_by) == (now, "lost device", operator)
    assert grant.revocation_id is not None


def test_first_revocation_of_a_grant_stands():
    grant = GrantFactory()
    revoke_grant(grant, reason="lost device")
    before = everything()

    assert revoke_grant(grant, reason="second thoughts") is False

    assert everything() == before


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
    spared, operator = GrantFactory(), UserFactory()
    selector = Q(pk__in=[grant.pk for grant in grants])

    with django_assert_num_queries(1):
        revocation = revoke_grants(selector, reason="breach", by=operator)

    assert revocation.count == 3
    assert set(Grant.objects.filter(revocation_id=revocation.revocation_id)) == set(grants)
    assert set(Grant.objects.values_list("revoked_reason", "revoked_by")) == {("breach", operator.pk), ("", None)}
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
def test_set_holds_every_grant_that_may_still_matter(state, count):
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


def test_revoked_grant_is_told_after_commit(django_capture_on_commit_callbacks):
    grant, operator = GrantFactory(), UserFactory()

    with heard(grant_revoked) as told, django_capture_on_commit_callbacks(execute=True):
        revoke_grant(grant, reason="lost device", by=operator)
        told_before_commit = list(told)

    assert told_before_commit == []
    assert told == [{"grant": grant, "reason": "lost device", "by": operator}]


def test_revoked_set_is_told_once_after_commit(django_capture_on_commit_callbacks):
    GrantFactory.create_batch(2)
    selector = Q(grant_type="password")

    with heard(grants_revoked) as told, django_capture_on_commit_callbacks(execute=True):
        revocation = revoke_grants(selector, reason="breach")
        told_before_commit = list(told)

    assert told_before_commit == []
    assert told == [
        {
            "selector": selector,
            "count": 2,
            "reason": "breach",
            "by": None,
            "revocation_id": revocation.revocation_id,
        }
    ]


def test_revocation_that_ends_nothing_tells_nobody(django_capture_on_commit_callbacks):
    grant = GrantFactory(revoked=True)

    with heard(grant_revoked) as one, heard(grants_revoked) as many, django_capture_on_commit_callbacks(execute=True):
        revoke_grant(grant, reason="breach")
        revoke_grants(EVERY_GRANT, reason="breach")

    assert one == many == []


@pytest.mark.django_db(transaction=True)
def test_revocation_may_be_part_of_a_transaction_that_is_undone():
    grant = GrantFactory()

    with heard(grant_revoked) as told, transaction.atomic():
        revoke_grant(grant, reason="lost device")
        transaction.set_rollback(True)

    assert Grant.objects.live().exists()
    assert told == []


def test_expired_access_token_still_revokes_its_grant():
    raw = crypto.mint_opaque_token(prefix="oat_")
    token = AccessTokenFactory(raw=raw, expired=True)

    revoke_token(token.application, raw)

    assert Grant.objects.get().revoked_reason == "client_request"


@pytest.mark.django_db(transaction=True)
def test_revocation_that_falls_victim_to_a_deadlock_tries_once_more():
    grant = GrantFactory()

    with fails_once("UPDATE") as tried:
        revoke_grant(grant, reason="lost device")

    assert len(tried) == 2
    assert not Grant.objects.live().exists()


@pytest.mark.django_db(transaction=True)
def test_revocation_inside_a_transaction_leaves_the_second_try_to_its_owner():
    grant = GrantFactory()

    with fails_once("UPDATE") as tried, pytest.raises(OperationalError), transaction.atomic():
        revoke_grant(grant, reason="lost device")

    assert len(tried) == 1
