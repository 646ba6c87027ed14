"""Grants that moved to an address where they never were, without an alarm."""

from datetime import timedelta

import pytest
from django.utils import timezone

from oauth_refresh.models import STAFF, GrantEvent
from oauth_refresh.services import suspects
from oauth_refresh.services.suspects import find_suspects
from tests.factories import GrantEventFactory, GrantFactory, RefreshTokenFactory

pytestmark = pytest.mark.django_db

HOME, WORK, ELSEWHERE = "192.0.2.1", "2001:db8::1", "198.51.100.7"
APP, CURL = "Notes/1.0", "curl/8.9"
HOUR = timedelta(hours=1)


def refreshed(*origins, **fields):
    """Store a grant whose tokens were issued to these origins, the last one just now and each an hour after another."""
    now = timezone.now()
    fields = {"created_at": now - len(origins) * HOUR, "idle_expires_at": now + HOUR} | fields
    grant = GrantFactory(generation=len(origins), **fields)
    for generation, (address, user_agent) in enumerate(origins, start=1):
        at = now - (len(origins) - generation) * HOUR
        expires_at = now + HOUR
        RefreshTokenFactory(
            grant=grant,
            generation=generation,
            created_at=at,
            expires_at=expires_at,
            address=address,
            user_agent=user_agent,
        )
    return grant


def found(hours=24):
    return [suspect.token.grant for suspect in find_suspects(timezone.now() - hours * HOUR).found]


def test_grant_that_moved_to_a_new_address_is_a_suspect():
    grant = refreshed((HOME, APP), (HOME, APP), (ELSEWHERE, CURL))

    [suspect] = find_suspects(timezone.now() - HOUR).found

    assert (suspect.token.grant, suspect.token.generation, suspect.token.address) == (grant, 3, ELSEWHERE)
    assert (suspect.usual_address, suspect.usual_user_agent, suspect.is_another_program) == (HOME, APP, True)


def test_suspect_stays_one_while_the_thief_refreshes_on():
    grant = refreshed((HOME, APP), (ELSEWHERE, CURL), (ELSEWHERE, CURL), (ELSEWHERE, CURL))

    [suspect] = find_suspects(timezone.now() - 24 * HOUR).found

    assert (suspect.token.grant, suspect.token.generation) == (grant, 2)
    assert found(hours=1) == []  # it moved before


UNSUSPECTED = {
    "always at home": [(HOME, APP), (HOME, APP)],
    "another program at home": [(HOME, APP), (HOME, CURL)],
    "back at home": [(HOME, APP), (WORK, APP), (HOME, APP)],
    "only started elsewhere": [(HOME, APP)],
    "address not recorded before": [(None, ""), (HOME, APP)],
    "address not recorded since": [(HOME, APP), (None, "")],
    "at work again": [(HOME, APP), (WORK, APP), (HOME, APP), (WORK, APP)],
}


@pytest.mark.parametrize("origins", UNSUSPECTED.values(), ids=UNSUSPECTED)
def test_grant_is_no_suspect(origins):
    refreshed(*origins)

    assert found() == []


@pytest.mark.parametrize(
    "fields",
    [{"revoked": True}, {"application__is_active": False}, {"user__is_active": False}, {"address": ELSEWHERE}],
    ids=str,
)  # fmt: skip
def test_grant_that_cannot_be_used_or_was_started_there_is_no_suspect(fields):
    refreshed((HOME, APP), (ELSEWHERE, CURL), **fields)

    assert found() == []


def test_grant_with_an_alarm_is_no_suspect_any_more():
    alarmed = refreshed((HOME, APP), (ELSEWHERE, CURL))
    retried = refreshed((HOME, APP), (ELSEWHERE, CURL))
    GrantEventFactory(grant=alarmed)
    GrantEventFactory(grant=retried, kind=GrantEvent.Kind.RETRIED)

    assert found() == [retried]


def test_first_refresh_of_a_grant_that_staff_issued_is_not_compared_with_them():
    refreshed((WORK, APP), (HOME, APP), grant_type=STAFF)
    stolen = refreshed((WORK, APP), (HOME, APP), (ELSEWHERE, CURL), grant_type=STAFF)

    assert found() == [stolen]


def test_other_programs_come_first_and_then_the_newest():
    travelled = refreshed((HOME, APP), (ELSEWHERE, APP))
    older = refreshed((HOME, APP), (ELSEWHERE, CURL), (ELSEWHERE, CURL))
    newer = refreshed((HOME, APP), (ELSEWHERE, CURL))

    assert found() == [newer, older, travelled]


def test_only_the_newest_refreshes_are_compared(monkeypatch):
    monkeypatch.setattr(suspects, "MOST_COMPARED", 2)
    refreshed((HOME, APP), (ELSEWHERE, CURL), (ELSEWHERE, CURL), (ELSEWHERE, CURL))
    since = timezone.now() - 24 * HOUR

    result = find_suspects(since)

    assert result.found == ()
    assert result.compared_since > since
    monkeypatch.setattr(suspects, "MOST_COMPARED", 4)
    assert find_suspects(since).compared_since == since
    assert len(find_suspects(since).found) == 1


def test_suspects_are_found_by_three_statements(django_assert_num_queries):
    for _number in range(5):
        refreshed((HOME, APP), (ELSEWHERE, CURL))

    with django_assert_num_queries(3):
        suspects_found = find_suspects(timezone.now() - HOUR).found
        names = {str(one.token.grant.user) + str(one.token.grant.application) for one in suspects_found}
    assert len(names) == 5
