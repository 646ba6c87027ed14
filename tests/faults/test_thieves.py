"""A thief beside the owner: the sooner the session ends, the better; what the window hides, a signal tells."""

from datetime import timedelta

import pytest
import time_machine

from tests.faults.thieves import BEGIN, Theft, run
from tests.oauth import OAuthClient

HOURS = 6
SECONDS, MINUTES = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def begin_session(public_application, user):
    """Return a function that begins a session whose application has a window."""

    def begin(window):
        public_application.retry_window = window
        public_application.save()
        return OAuthClient(public_application).start(user=user)

    with time_machine.travel(BEGIN, tick=False):
        yield begin


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("window", [0 * SECONDS, 30 * SECONDS])
@pytest.mark.parametrize("delay", [-10 * MINUTES, 10 * MINUTES, 70 * MINUTES])
def test_thief_who_comes_outside_the_window_ends_the_session_at_the_second_use_of_a_token(begin_session, window, delay):
    course = run(Theft(delay=delay), begin_session(window), hours=HOURS)

    assert course.refreshes == (2 if abs(delay) < timedelta(hours=1) else 3)
    assert (course.alarms, course.retries_by_same_caller) == (1, [])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("delay", [-10 * SECONDS, 10 * SECONDS])
def test_without_a_window_haste_does_not_help_a_thief(begin_session, delay):
    course = run(Theft(delay=delay), begin_session(0 * SECONDS), hours=HOURS)

    assert (course.refreshes, course.alarms) == (2, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("delay", [-10 * SECONDS, 10 * SECONDS])
@pytest.mark.parametrize("disguised", [False, True])
def test_thief_inside_every_window_shares_the_session_and_the_signal_says_how_the_caller_looked(
    begin_session, delay, disguised
):
    course = run(Theft(delay=delay, disguised=disguised), begin_session(30 * SECONDS), hours=HOURS)

    assert (course.refreshes, course.ended_after, course.alarms) == (2 * HOURS, None, 0)
    assert course.retries_by_same_caller == [disguised] * HOURS


@pytest.mark.django_db(transaction=True)
def test_thief_who_misses_one_window_ends_the_session(begin_session):
    course = run(Theft(delay=10 * SECONDS, late_in_hour=3), begin_session(30 * SECONDS), hours=HOURS)

    assert (course.refreshes, course.alarms, len(course.retries_by_same_caller)) == (6, 1, 2)
