"""What a user reads about connections that ended lately."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from oauth_refresh.models import RevocationReason
from tests.factories import AuthorizationCodeFactory, GrantFactory, UserFactory
from tests.user_pages.pages import list_page, text_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADVICE = "If you did not connect it yourself, change your password."


@pytest.fixture(autouse=True)
def noon():
    with time_machine.travel(NOW, tick=False):
        yield


def ended_on(browser):
    """Return the entries of the list of what ended: those of an alarm begin with an exclamation mark."""
    _before, _found, section = list_page(browser).content.decode().partition('<h2 id="ended">')
    entries = re.findall(r"<li( class=\"oauth-alarm\")?>(.*?)</li>", section.partition("</section>")[0], re.DOTALL)
    return [f"{'! ' if alarm else ''}{' '.join(re.sub(r'<[^>]*>', ' ', text).split())}" for alarm, text in entries]


def ended(user, reason, *, name="Notebook", ago=timedelta(hours=1)):
    return GrantFactory(
        user=user,
        application__name=name,
        created_at=NOW - timedelta(days=40),
        idle_expires_at=NOW + timedelta(days=1),
        revoked_at=NOW - ago,
        revoked_reason=reason,
    )


REASONS = {
    "user_request": "You disconnected it.",
    "client_request": "The application ended it.",
    "password_changed": "Your password was changed.",
    "user_deactivated": "Your account was deactivated.",
    "application_deactivated": "This site does not allow the application any more.",
    "credentials_withdrawn": "This site withdrew the password or key of the application.",
    "operator_request": "The staff of this site ended it.",
    "see ticket 4711: a thief": "The staff of this site ended it.",
}


@pytest.mark.parametrize(("reason", "text"), REASONS.items(), ids=REASONS)
def test_user_reads_why_a_connection_ended(user, browser, reason, text):
    ended(user, reason)

    assert ended_on(browser) == [f"Notebook March 1, 2026, 11 a.m. UTC {text}"]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (
            RevocationReason.REUSE_DETECTED,
            "An access code that had already been used was sent again, so someone may have copied it.",
        ),
        (RevocationReason.CODE_REPLAYED, "Its sign-in code was used twice, so a copy may have been stolen."),
    ],
)
def test_connection_that_an_alarm_ended_is_marked_and_comes_with_advice(user, browser, reason, text):
    ended(user, reason)

    (entry,) = ended_on(browser)
    why = f"{text} It was ended for your safety. {ADVICE}"
    assert entry == f"! Notebook March 1, 2026, 11 a.m. UTC {why}"


@pytest.mark.parametrize(
    ("idle", "last", "text"),
    [
        (timedelta(0), timedelta(days=1), "It was not used for long."),
        (timedelta(0), None, "It was not used for long."),
        (timedelta(days=1), timedelta(0), "It had lasted as long as a connection may."),
        (timedelta(0), timedelta(0), "It had lasted as long as a connection may."),
    ],
)
def test_user_reads_that_a_connection_expired(user, browser, idle, last, text):
    GrantFactory(
        user=user,
        application__name="Notebook",
        created_at=NOW - timedelta(days=90),
        idle_expires_at=NOW + idle,
        expires_at=None if last is None else NOW + last,
    )

    (entry,) = ended_on(browser)
    assert entry.startswith(f"Notebook March 1, 2026, noon UTC {text}")


def test_newest_ends_of_the_last_thirty_days_are_shown(user, browser):
    ended(user, "user_request", name="Old", ago=timedelta(days=30))
    ended(user, "user_request", name="Second", ago=timedelta(days=29))
    ended(user, "user_request", name="First", ago=timedelta(seconds=1))
    ended(UserFactory(), "user_request", name="Of another")
    GrantFactory(user=user)
    AuthorizationCodeFactory(grant__user=user, grant__revoked=True)

    assert [entry.split()[0] for entry in ended_on(browser)] == ["First", "Second"]


def test_at_most_ten_are_shown(user, browser):
    for minutes in range(12):
        ended(user, "user_request", ago=timedelta(minutes=minutes + 1))

    assert len(ended_on(browser)) == 10


def test_nothing_is_said_where_nothing_ended(user, browser):
    GrantFactory(user=user)

    assert "Recently ended" not in text_of(list_page(browser))


def test_only_the_first_page_shows_what_ended(user, browser):
    ended(user, "user_request")
    GrantFactory.create_batch(26, user=user)

    assert ["Recently ended" in text_of(list_page(browser, page=number)) for number in "12"] == [True, False]
