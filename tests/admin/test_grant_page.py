"""The page of a grant: what it is, and which access tokens it has."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from oauth_refresh.models import Grant
from tests.admin.pages import admin_url, page_text, plain_text, readonly_fields
from tests.factories import AccessTokenFactory, GrantFactory, UserFactory

START = datetime(2026, 3, 1, 8, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(START + timedelta(hours=12), tick=False) as traveller:
        yield traveller


def at(hours, minutes=0):
    return START + timedelta(hours=hours, minutes=minutes)


def access_tokens(admin_browser, grant):
    """Return the rows of the table of access tokens."""
    html = admin_browser.get(admin_url("grant_change", grant.pk)).content.decode()
    table = html[html.index('<h2 id="oauth-access">') :]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]
    return [[plain_text(cell) for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)] for row in rows]


def test_access_tokens_are_listed_with_state_and_scope(admin_browser):
    grant = GrantFactory(generation=2, access_floor=2, created_at=START)
    AccessTokenFactory(grant=grant, generation=1, created_at=at(0), scope="")
    AccessTokenFactory(grant=grant, created_at=at(11, 30), scope="notes:read")
    AccessTokenFactory(grant=grant, created_at=at(11, 40), revoked=True)

    assert access_tokens(admin_browser, grant) == [
        ["revoked", "2", "notes:read notes:write", "2026-03-01 19:40:00", "2026-03-01 20:40:00"],
        ["active", "2", "notes:read", "2026-03-01 19:30:00", "2026-03-01 20:30:00"],
        ["expired", "1", "-", "2026-03-01 08:00:00", "2026-03-01 09:00:00"],
    ]


def test_newest_access_tokens_are_listed(admin_browser):
    grant = GrantFactory(generation=30)
    for generation in range(1, 31):
        AccessTokenFactory(grant=grant, generation=generation)

    assert [row[1] for row in access_tokens(admin_browser, grant)] == [str(number) for number in range(30, 5, -1)]


def test_page_says_that_no_access_token_is_stored(admin_browser):
    assert "Newest access tokens No access token is stored." in page_text(
        admin_browser.get(admin_url("grant_change", GrantFactory().pk))
    )


@pytest.mark.parametrize(
    ("bent", "title"),
    [
        ({"user__username": "alice"}, "Notes for alice"),
        ({"without_user": True}, "Notes for the application itself"),
        ({"application__name": "100%(s)s", "user__username": "bob"}, "100%(s)s for bob"),
    ],
)
def test_page_is_titled_by_application_and_user(admin_browser, bent, title):
    grant = GrantFactory(**{"application__name": "Notes", **bent})

    assert admin_browser.get(admin_url("grant_change", grant.pk)).context["title"] == title


def test_page_shows_every_fact_of_a_grant(admin_browser, superuser):
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

    assert readonly_fields(admin_browser.get(admin_url("grant_change", grant.pk))) == {
        "Public ID": str(grant.public_id),
        "Application": "Notes",
        "User": "alice",
        "Scope": "notes:read notes:write",
        "Resources": "-",
        "The user was asked": "",
        "Started": "2026-03-01 08:00:00 by password",
        "Last refreshed": "2026-03-01 09:00:00 refreshed 1 time",
        "Expires unless refreshed": "2026-03-15 08:00:00",
        "Expires": "2026-05-30 08:00:00",
        "Generation": "2",
        "Oldest valid access token generation": "2",
        "Address": "192.0.2.1",
        "User agent": "NotesApp/1",
        "Revoked": "2026-03-01 10:00:00 the user disconnected the application, by boss",
        "Revocation": "66666666-7777-4888-9999-aaaaaaaaaaaa",
    }


def test_page_of_an_active_grant_has_no_revocation(admin_browser):
    page = admin_browser.get(admin_url("grant_change", GrantFactory().pk))

    assert (readonly_fields(page)["Revoked"], readonly_fields(page)["Revocation"]) == ("-", "-")


@pytest.mark.parametrize(
    ("bent", "badge"),
    [
        ({}, "active"),
        ({"revoked": True}, "revoked"),
        ({"expired": True}, "expired"),
        ({"user__is_active": False}, "blocked user inactive"),
    ],
)
def test_state_stands_above_the_timeline(admin_browser, bent, badge):
    text = page_text(admin_browser.get(admin_url("grant_change", GrantFactory(**bent).pk)))

    assert f"Timeline {badge} " in text


def test_looking_at_a_grant_changes_nothing(admin_browser):
    grant = GrantFactory()
    before = Grant.objects.values().get()

    admin_browser.get(admin_url("grant_change", grant.pk))

    assert Grant.objects.values().get() == before
