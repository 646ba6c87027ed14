"""Races for one refresh token against a server of several processes: no family forks, and no revocation is outrun.

``RACE_ROUNDS`` in the environment says how often each is run.
"""

from collections import Counter
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.db.models import Q

from oauth_refresh.models import Grant
from oauth_refresh.services import revoke_grants
from tests.races.course import race
from tests.races.invariants import (
    require_alive,
    require_dead,
    require_no_fault,
    require_one_lineage,
    tokens_of,
)
from tests.races.sessions import begin

RACERS = 8
WINDOW = timedelta(seconds=30)
CHAIN = 3
"""How often a client refreshes on end while something happens to its session."""


def test_parallel_refreshes_have_one_winner_and_leave_nothing_alive(course, tally):
    for _round in tally:
        application, first = begin()

        answers = race(*[lambda a=application, t=first: course.refresh(a.client_id, t.refresh_token)] * RACERS)

        tally.count(answers)
        assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: RACERS - 1}
        require_one_lineage(first.grant)
        access, refresh = tokens_of(answers)
        tokens = {"access": [first.access_token, *access], "refresh": [first.refresh_token, *refresh]}
        require_dead(course, first.grant, client_id=application.client_id, **tokens)


@pytest.mark.parametrize("racers", [4, RACERS])
def test_parallel_refreshes_inside_the_retry_window_hand_out_one_pair(course, tally, racers):
    """As many as the limit of retries and one more are served; to the rest it is a refusal, and no alarm."""
    for _round in tally:
        application, first = begin(retry_window=WINDOW)

        answers = race(*[lambda a=application, t=first: course.refresh(a.client_id, t.refresh_token)] * racers)

        tally.count(answers)
        require_no_fault(answers)
        require_one_lineage(first.grant)
        access, refresh = tokens_of(answers)
        assert len(access) == 4, f"{len(access)} of {racers} racers were served; one refresh and 3 retries could be."
        assert len({*access}) == len({*refresh}) == 1, "The racers were served different pairs."
        require_alive(course, client_id=application.client_id, access_token=access[0], refresh_token=refresh[0])


def revoked_by_its_refresh_token(course, application, first):
    return course.revoke(application.client_id, first.refresh_token)


def revoked_by_its_access_token(course, application, first):
    return course.revoke(application.client_id, first.access_token)


def revoked_in_bulk(course, application, first):
    assert revoke_grants(Q(application=application), reason="incident").count == 1


def user_deactivated(course, application, first):
    first.grant.user.is_active = False
    first.grant.user.save()


def application_deactivated(course, application, first):
    application.is_active = False
    application.save()


def user_signed_out_by_a_new_password(course, application, first):
    first.grant.user.set_password("another password, as long")
    first.grant.user.save()


@pytest.mark.parametrize(
    "end",
    [
        revoked_by_its_refresh_token,
        revoked_by_its_access_token,
        revoked_in_bulk,
        user_deactivated,
        user_signed_out_by_a_new_password,
        application_deactivated,
    ],
)
@pytest.mark.parametrize("retry_window", [None, WINDOW], ids=["strict", "retry window"])
def test_nothing_lives_after_a_session_ended_that_was_refreshed_meanwhile(course, tally, end, retry_window):
    for _round in tally:
        application, first = begin(retry_window=retry_window)

        answers, ended = race(
            lambda a=application, t=first: course.keep_refreshing(a.client_id, t.refresh_token, times=CHAIN),
            lambda a=application, t=first: end(course, a, t),
        )

        tally.count(answers)
        require_no_fault(answers)
        assert ended is None or ended.status == HTTPStatus.OK, f"The revocation was answered {ended}."
        require_one_lineage(first.grant)
        assert Grant.objects.get(pk=first.grant.pk).revoked_at is not None, "The session was not revoked."
        access, refresh = tokens_of(answers)
        tokens = {"access": [first.access_token, *access], "refresh": [first.refresh_token, *refresh]}
        require_dead(course, first.grant, client_id=application.client_id, **tokens)
