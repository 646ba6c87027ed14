"""A thief uses a copy of the owner's token: when the grant is revoked, and what signals show inside the window."""

from datetime import timedelta

import pytest
import time_machine

from tests.faults.theft import BEGIN, Theft, simulate_theft
from tests.oauth import OAuthClient

HOURS = 6
SECONDS, MINUTES = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def start_grant(public_application, user):
    """Return a function that starts a grant of an application with this retry window."""

    def start(window):
        public_application.retry_window = window
        public_application.save()
        return OAuthClient(public_application).start(user=user)

    with time_machine.travel(BEGIN, tick=False):
        yield start


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("window", [0 * SECONDS, 30 * SECONDS])
@pytest.mark.parametrize("delay", [-10 * MINUTES, 10 * MINUTES, 70 * MINUTES])
def test_use_outside_the_window_revokes_the_grant_when_a_token_is_used_twice(start_grant, window, delay):
    outcome = simulate_theft(Theft(delay=delay), start_grant(window), hours=HOURS)

    assert outcome.refreshes == (2 if abs(delay) < timedelta(hours=1) else 3)
    assert (outcome.reuse_detected, outcome.retries_by_same_caller) == (1, [])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("delay", [-10 * SECONDS, 10 * SECONDS])
def test_without_a_window_a_quick_thief_is_detected_too(start_grant, delay):
    outcome = simulate_theft(Theft(delay=delay), start_grant(0 * SECONDS), hours=HOURS)

    assert (outcome.refreshes, outcome.reuse_detected) == (2, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("delay", [-10 * SECONDS, 10 * SECONDS])
@pytest.mark.parametrize("disguised", [False, True])
def test_use_inside_every_window_is_not_detected_and_the_signal_compares_the_callers(start_grant, delay, disguised):
    outcome = simulate_theft(Theft(delay=delay, disguised=disguised), start_grant(30 * SECONDS), hours=HOURS)

    assert (outcome.refreshes, outcome.ended_after, outcome.reuse_detected) == (2 * HOURS, None, 0)
    assert outcome.retries_by_same_caller == [disguised] * HOURS


@pytest.mark.django_db(transaction=True)
def test_use_outside_one_window_revokes_the_grant(start_grant):
    outcome = simulate_theft(Theft(delay=10 * SECONDS, late_in_hour=3), start_grant(30 * SECONDS), hours=HOURS)

    assert (outcome.refreshes, outcome.reuse_detected, len(outcome.retries_by_same_caller)) == (6, 1, 2)
