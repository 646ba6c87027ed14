"""The page of a grant: what it is, and which access tokens it has."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from oauth_refresh.models import Grant
from tests.admin.pages import address, read_only, text_of, words
from tests.factories import AccessTokenFactory, GrantFactory, UserFactory

START = datetime(2026, 3, 1, 8, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(START + timedelta(hours=12), tick=False) as traveller:
        yield traveller


def at(hours, minutes=0):
    return START + timedelta(hours=hours, minutes=minutes)


def access_tokens(operator, grant):
    """Return the rows of the table of access tokens."""
    html = operator.get(address("grant_change", grant.pk)).content.decode()
    table = html[html.index('<h2 id="oauth-access">') :]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]
    return [[words(cell) for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)] for row in rows]


def test_access_tokens_are_listed_with_what_they_may_and_whether_they_live(operator):
    grant = GrantFactory(generation=2, access_floor=2, created_at=START)
    AccessTokenFactory(grant=grant, generation=1, created_at=at(0), scope="")
    AccessTokenFactory(grant=grant, created_at=at(11, 30), scope="notes:read")
    AccessTokenFactory(grant=grant, created_at=at(11, 40), revoked=True)

    assert access_tokens(operator, grant) == [
        ["dead", "2", "notes:read notes:write", "2026-03-01 19:40:00", "2026-03-01 20:40:00"],
        ["live", "2", "notes:read", "2026-03-01 19:30:00", "2026-03-01 20:30:00"],
        ["dead", "1", "-", "2026-03-01 08:00:00", "2026-03-01 09:00:00"],
    ]


def test_newest_access_tokens_are_listed(operator):
    grant = GrantFactory(generation=30)
    for generation in range(1, 31):
        AccessTokenFactory(grant=grant, generation=generation)

    assert [row[1] for row in access_tokens(operator, grant)] == [str(number) for number in range(30, 5, -1)]


def test_page_says_that_no_access_token_is_stored(operator):
    assert "Newest access tokens None is stored." in text_of(operator.get(address("grant_change", GrantFactory().pk)))


@pytest.mark.parametrize(
    ("bent", "title"),
    [
        ({"user__username": "alice"}, "Notes for alice"),
        ({"without_user": True}, "Notes for the application itself"),
        ({"application__name": "100%(s)s", "user__username": "bob"}, "100%(s)s for bob"),
    ],
)
def test_page_is_titled_by_application_and_user(operator, bent, title):
    grant = GrantFactory(**{"application__name": "Notes", **bent})

    assert operator.get(address("grant_change", grant.pk)).context["title"] == title


def test_page_shows_every_fact_of_a_grant(operator, superuser):
    grant = GrantFactory(
        created_at=START,
        address="192.0.2.1",
        user_agent="NotesApp/1",
        access_floor=2,
        user=UserFactory(username="alice"),
        application__name="Notes",
        generation=2,
        refreshed_at=at(1),
        revoked_at=at(2),
        revoked_reason="user_request",
        revoked_by=superuser,
        revocation_id="66666666-7777-4888-9999-aaaaaaaaaaaa",
    )

    assert read_only(operator.get(address("grant_change", grant.pk))) == {
        "Public ID": str(grant.public_id),
        "Application": "Notes",
        "User": "alice",
        "Scope": "notes:read notes:write",
        "Started by": "password",
        "The user was asked": "",
        "Started": "March 1, 2026, 8 a.m.",
        "Last refreshed": "March 1, 2026, 9 a.m.",
        "Expires unless refreshed": "March 15, 2026, 8 a.m.",
        "Expires": "May 30, 2026, 8 a.m.",
        "Generation": "2",
        "Oldest live access token generation": "2",
        "Address": "192.0.2.1",
        "User agent": "NotesApp/1",
        "Revoked": "March 1, 2026, 10 a.m.",
        "Reason": "the user signed the application out",
        "Revoked by": "boss",
        "Revocation": "66666666-7777-4888-9999-aaaaaaaaaaaa",
    }


def test_page_of_a_live_grant_gives_no_reason(operator):
    page = operator.get(address("grant_change", GrantFactory().pk))

    assert read_only(page)["Reason"] == "-"


@pytest.mark.parametrize(
    ("bent", "badge"),
    [
        ({}, "live"),
        ({"revoked": True}, "revoked"),
        ({"expired": True}, "expired"),
        ({"user__is_active": False}, "user inactive"),
    ],
)
def test_state_stands_above_the_timeline(operator, bent, badge):
    text = text_of(operator.get(address("grant_change", GrantFactory(**bent).pk)))

    assert f"What happened {badge} " in text


def test_looking_at_a_grant_changes_nothing(operator):
    grant = GrantFactory()
    before = Grant.objects.values().get()

    operator.get(address("grant_change", grant.pk))

    assert Grant.objects.values().get() == before
