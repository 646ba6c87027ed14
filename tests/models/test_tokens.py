"""Refresh and access tokens: rows and querysets agree on every state that makes a token invalid."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from oauth_refresh.models import AccessToken, Grant, GrantEvent, RefreshToken
from oauth_refresh.models.retry_slots import RetrySlot, pack_slots
from oauth_refresh.models.tokens import LOOKS_CONCURRENT
from tests.factories import AccessTokenFactory, GrantEventFactory, RefreshTokenFactory
from tests.models.states import ACTIVE_GRANTS, INACTIVE_GRANTS, PAST

KINDS = {"refresh token": RefreshTokenFactory, "access token": AccessTokenFactory}


def of_grant(state):
    return {f"grant__{name}": value for name, value in state.items()}


OF_ACTIVE_GRANTS = {f"of a grant {name}": of_grant(state) for name, state in ACTIVE_GRANTS.items()}
OF_INACTIVE_GRANTS = {f"of a grant {name}": of_grant(state) for name, (state, _why) in INACTIVE_GRANTS.items()}

VALID = [
    *[(kind, name, state) for kind in KINDS for name, state in OF_ACTIVE_GRANTS.items()],
    ("access token", "kept when the grant was refreshed", {"grant__refreshed": True, "grant__access_floor": 1}),
    (
        "access token",
        "older, but not below the floor",
        {"grant__generation": 3, "grant__access_floor": 2, "generation": 2},
    ),
]
INVALID = [
    *[(kind, name, state) for kind in KINDS for name, state in OF_INACTIVE_GRANTS.items()],
    ("refresh token", "spent", {"spent": True}),
    ("refresh token", "ahead of its grant", {"generation": 2}),
    ("refresh token", "expired", {"expired": True}),
    ("access token", "below the floor", {"grant__refreshed": True, "generation": 1}),
    ("access token", "expired", {"expired": True}),
    ("access token", "revoked itself", {"revoked": True}),
]

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("kind", "name", "state"), VALID)
def test_row_and_queryset_agree_that_a_token_is_valid(kind, name, state):
    token = KINDS[kind](**state)

    assert token.is_live
    assert list(type(token).objects.live()) == [token]


@pytest.mark.parametrize(("kind", "name", "state"), INVALID)
def test_row_and_queryset_agree_that_a_token_is_invalid(kind, name, state):
    token = KINDS[kind](**state)

    assert not token.is_live
    assert list(type(token).objects.live()) == []


@pytest.mark.parametrize("token_factory", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(("seconds_left", "is_valid"), [(1, True), (0, False), (-1, False)])
def test_row_and_queryset_agree_to_the_second_when_it_expires(token_factory, seconds_left, is_valid):
    forever = {"grant__idle_expires_at": datetime(2100, 1, 1, tzinfo=UTC), "grant__expires_at": None}
    token = token_factory(**forever, expires_at=datetime(2099, 1, 1, tzinfo=UTC))
    now = token.expires_at - timedelta(seconds=seconds_left)

    assert token.is_live_at(now) is is_valid
    assert type(token).objects.live(now).exists() is is_valid


@pytest.mark.parametrize("token_factory", KINDS.values(), ids=KINDS)
def test_only_the_row_knows_that_the_password_changed(token_factory):
    token = token_factory(grant__password_fingerprint="0" * 64)

    assert not token.is_live
    assert list(type(token).objects.live()) == [token]


REPLACED = {"grant__refreshed": True, "generation": 1}
WINDOW = {"grant__application__retry_window": timedelta(seconds=30)}


@pytest.mark.parametrize(
    ("state", "seconds_ago", "is_live"),
    [
        (WINDOW, 0, True),
        (WINDOW, 29.999, True),
        (WINDOW, -29.999, True),  # by the clock of a machine that is late
        (WINDOW, 30, False),
        (WINDOW, -30, False),
        (WINDOW | {"generation": 0}, 0, False),
        ({}, 0, False),
        (WINDOW | {"revoked": True}, 0, False),
        (WINDOW | {"expired": True}, 0, False),
        (WINDOW | {"grant__application__is_active": False}, 0, False),
    ],
)
def test_replaced_access_token_is_live_inside_the_retry_window_and_no_query_lists_it(state, seconds_ago, is_live):
    token, now = AccessTokenFactory(**REPLACED | state), timezone.now()
    spent_at = now - timedelta(seconds=seconds_ago)
    token.grant.retry_slots = pack_slots([RetrySlot(generation=1, spent_at=spent_at, salt=bytes(32))])

    assert token.is_live_at(now) is is_live
    assert list(AccessToken.objects.live()) == []


@pytest.mark.parametrize("slots", [None, b"", b"cut off", b"x" * 44])
def test_replaced_access_token_is_not_live_without_a_slot_that_can_be_read(slots):
    token = AccessTokenFactory(**REPLACED | WINDOW, grant__retry_slots=slots)

    assert not token.is_live


@pytest.mark.parametrize(("state", "spent"), [({}, False), ({"spent": True}, True), ({"generation": 2}, False)])
def test_refresh_token_is_spent_once_a_rotation_has_replaced_it(state, spent):
    assert RefreshTokenFactory(**state).is_spent is spent


def test_access_token_leads_to_its_application_and_scopes():
    token = AccessTokenFactory(scope="notes:read notes:write")

    assert token.application == token.grant.application
    assert token.scopes == ("notes:read", "notes:write")


def test_database_refuses_a_forked_family():
    token = RefreshTokenFactory()

    with pytest.raises(IntegrityError), transaction.atomic():
        RefreshTokenFactory(grant=token.grant)


def test_grant_may_have_several_access_tokens_of_one_generation():
    token = AccessTokenFactory()

    AccessTokenFactory(grant=token.grant)

    assert AccessToken.objects.live().count() == 2


@pytest.mark.parametrize("token_factory", KINDS.values(), ids=KINDS)
def test_database_refuses_a_second_token_of_the_same_digest(token_factory):
    token = token_factory()

    with pytest.raises(IntegrityError), transaction.atomic():
        token_factory(digest=token.digest)


@pytest.mark.parametrize(
    ("token_factory", "constraint"),
    [
        (RefreshTokenFactory, "oauth_refresh_token_expires_later"),
        (AccessTokenFactory, "oauth_access_token_expires_later"),
    ],
)
def test_database_refuses_a_token_that_expires_before_its_creation(token_factory, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        token_factory(created_at=PAST, expires_at=PAST)


def test_deleting_a_grant_deletes_its_tokens():
    AccessTokenFactory(grant=RefreshTokenFactory().grant)

    Grant.objects.get().delete()

    assert not AccessToken.objects.exists()
    assert not RefreshToken.objects.exists()


def test_tokens_show_their_grant_and_no_digest():
    refresh_token = RefreshTokenFactory()
    access_token = AccessTokenFactory(grant=refresh_token.grant)

    assert repr(refresh_token) == f"<RefreshToken: refresh token 1 of grant {refresh_token.grant_id}>"
    assert repr(access_token) == f"<AccessToken: access token of generation 1 of grant {refresh_token.grant_id}>"


@pytest.mark.parametrize("kind", GrantEvent.Kind)
@pytest.mark.parametrize(
    ("seconds", "same_caller", "concurrent"),
    [
        (0, True, True),
        (59.999, True, True),
        (-59.999, True, True),
        (60, True, False),
        (-60, True, False),
        (None, True, False),
        (0, False, False),
        (0, None, False),
        (None, None, False),
    ],
)
def test_row_and_query_agree_which_event_looks_concurrent(kind, seconds, same_caller, concurrent):
    event = GrantEventFactory(kind=kind, seconds_since_spent=seconds, same_caller=same_caller)

    assert event.looks_concurrent is concurrent
    assert GrantEvent.objects.filter(LOOKS_CONCURRENT).exists() is concurrent
