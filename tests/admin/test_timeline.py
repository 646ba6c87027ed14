"""The timeline on the page of a grant, on which a theft is marked."""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
import time_machine
from django.utils import timezone

from oauth_refresh.models import RefreshToken
from tests.admin.pages import admin_url, browser, plain_text, staff
from tests.factories import GrantEventFactory, GrantFactory, RefreshTokenFactory

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
NOWHERE = {"address": None, "user_agent": ""}
HOME = {"address": "192.0.2.1", "user_agent": "NotesApp/1"}
THIEF = {"address": "203.0.113.66", "user_agent": "curl/8.5"}

pytestmark = pytest.mark.django_db


class Line(NamedTuple):
    """An entry of the timeline: its look, and its text with the origin; folded entries are left out."""

    look: str
    text: str


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(START + timedelta(hours=12), tick=False) as traveller:
        yield traveller


def at(hours, minutes=0):
    return START + timedelta(hours=hours, minutes=minutes)


def grant_of(generation=1, **fields):
    """Return a grant that was started at 8 o'clock, with its first refresh token."""
    grant = GrantFactory(
        **{"created_at": START, "generation": generation, "access_floor": generation, **HOME, **fields}
    )
    RefreshTokenFactory(grant=grant, generation=1, created_at=START, **HOME)
    return grant


def refreshed(grant, generation, time, place=HOME):
    RefreshTokenFactory(grant=grant, generation=generation, created_at=time, **place)


def page(admin_browser, grant):
    return admin_browser.get(admin_url("grant_change", grant.pk))


def lines(admin_browser, grant):
    """Return the timeline, as it is read from the top."""
    html = page(admin_browser, grant).content.decode()
    body = re.search(r'<ol class="oauth-timeline">(.*?)</ol>', html, re.DOTALL)[1]
    body = re.sub(r"<details>.*?</details>", "", body, flags=re.DOTALL)
    return [
        Line(look, plain_text(text))
        for look, text in re.findall(r'<li class="oauth-([\w -]+)">(.*?)</li>', body, re.DOTALL)
    ]


STARTED = Line("started", "2026-03-01 08:00:00 Started by password 192.0.2.1 NotesApp/1")


def test_timeline_begins_with_the_start(admin_browser):
    assert lines(admin_browser, grant_of()) == [STARTED]


def test_start_says_how_and_from_where(admin_browser):
    grant = GrantFactory(created_at=START, grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", **THIEF)

    assert lines(admin_browser, grant) == [
        Line("started", "2026-03-01 08:00:00 Started by jwt-bearer 203.0.113.66 curl/8.5")
    ]


def test_theft_is_marked_on_the_timeline(admin_browser):
    grant = grant_of(generation=3, revoked_at=at(3), revoked_reason="reuse_detected")
    refreshed(grant, 2, at(1), THIEF)
    refreshed(grant, 3, at(2), THIEF)
    GrantEventFactory(
        grant=grant, kind="reused", generation=1, at=at(3), seconds_since_spent=7200, same_caller=False, **HOME
    )

    assert lines(admin_browser, grant) == [
        Line("revoked", "2026-03-01 11:00:00 Revoked a spent refresh token was used again"),
        Line(
            "alarm",
            "2026-03-01 11:00:00 A spent refresh token was used again token 1, spent on 2026-03-01 09:00:00 Later, or "
            "from elsewhere: treat it as theft: revoke, and call the user. 192.0.2.1 NotesApp/1",
        ),
        Line("refreshed oauth-elsewhere", "2026-03-01 10:00:00 Refreshed token 3 elsewhere: 203.0.113.66 curl/8.5"),
        Line("refreshed oauth-elsewhere", "2026-03-01 09:00:00 Refreshed token 2 elsewhere: 203.0.113.66 curl/8.5"),
        STARTED,
    ]


def test_every_kind_of_event_stands_where_it_happened(admin_browser):
    grant = grant_of(generation=3)
    refreshed(grant, 2, at(1))
    GrantEventFactory(grant=grant, kind="retried", generation=1, at=at(1, 1), **HOME)
    GrantEventFactory(grant=grant, kind="refused", generation=1, at=at(1, 2), **THIEF)
    refreshed(grant, 3, at(2))
    GrantEventFactory(grant=grant, kind="reused", generation=2, at=at(3), **THIEF)

    assert lines(admin_browser, grant) == [
        Line(
            "alarm oauth-elsewhere",
            "2026-03-01 11:00:00 A spent refresh token was used again token 2, spent on 2026-03-01 10:00:00 Not known "
            "whether it was the same caller: treat it as theft: revoke, and call the user. elsewhere: 203.0.113.66 "
            "curl/8.5",
        ),
        Line("refreshed", "2026-03-01 10:00:00 Refreshed token 3 192.0.2.1 NotesApp/1"),
        Line(
            "event oauth-elsewhere",
            "2026-03-01 09:02:00 A retry was refused token 1 elsewhere: 203.0.113.66 curl/8.5",
        ),
        Line("event", "2026-03-01 09:01:00 A refresh was repeated token 1 192.0.2.1 NotesApp/1"),
        Line("refreshed", "2026-03-01 09:00:00 Refreshed token 2 192.0.2.1 NotesApp/1"),
        STARTED,
    ]


def test_alarm_does_not_guess_when_a_pruned_token_was_spent(admin_browser):
    grant = grant_of(generation=9)
    GrantEventFactory(grant=grant, kind="reused", generation=4, at=at(3), **HOME)

    assert lines(admin_browser, grant)[0] == Line(
        "alarm",
        "2026-03-01 11:00:00 A spent refresh token was used again token 4 Not known whether it was the same caller: "
        "treat it as theft: revoke, and call the user. 192.0.2.1 NotesApp/1",
    )


CONCURRENT = (
    "Seconds later, same caller: the client most likely refreshed twice at once; if so, give it a retry window."
)
THEFT = "Later, or from elsewhere: treat it as theft: revoke, and call the user."
UNKNOWN = "Not known whether it was the same caller: treat it as theft: revoke, and call the user."


@pytest.mark.parametrize(
    ("seconds", "same_caller", "meaning"),
    [
        (0, True, CONCURRENT),
        (59.9, True, CONCURRENT),
        (-59.9, True, CONCURRENT),
        (60, True, THEFT),
        (-60, True, THEFT),
        (0, False, THEFT),
        (86_400, False, THEFT),
        (0, None, UNKNOWN),
        (None, None, UNKNOWN),
    ],
)
def test_alarm_says_what_it_means_and_leads_to_the_retry_window(admin_browser, seconds, same_caller, meaning):
    grant = grant_of(generation=2)
    GrantEventFactory(
        grant=grant, kind="reused", at=at(3), seconds_since_spent=seconds, same_caller=same_caller, **HOME
    )

    html = page(admin_browser, grant).content.decode()

    (text,) = re.findall(r'<span class="oauth-meaning">(.*?)</span>', html, re.DOTALL)
    link = f'<a href="{admin_url("application_change", grant.application_id)}#id_retry_window">'
    assert plain_text(text).startswith(meaning)
    assert (link in text) is (meaning == CONCURRENT)
    assert (
        'id="id_retry_window"'
        in admin_browser.get(admin_url("application_change", grant.application_id)).content.decode()
    )


def test_alarm_leads_nobody_to_a_page_that_they_may_not_change():
    grant = grant_of(generation=2)
    GrantEventFactory(grant=grant, kind="reused", at=at(3), seconds_since_spent=1, same_caller=True, **HOME)

    html = page(browser(staff("view_grant", "view_application")), grant).content.decode()

    assert CONCURRENT in html
    assert "id_retry_window" not in html


@pytest.mark.parametrize(
    ("same_caller", "detail"),
    [
        (True, "token 1"),
        (None, "token 1"),
        (False, "token 1, by another caller than the refresh"),
    ],
)
@pytest.mark.parametrize(("kind", "title"), [("retried", "A refresh was repeated"), ("refused", "A retry was refused")])
def test_repetition_by_another_caller_is_said_to_be_one(admin_browser, kind, title, same_caller, detail):
    grant = grant_of(generation=2)
    GrantEventFactory(grant=grant, kind=kind, at=at(3), seconds_since_spent=1, same_caller=same_caller, **HOME)

    assert lines(admin_browser, grant)[0].text == f"2026-03-01 11:00:00 {title} {detail} 192.0.2.1 NotesApp/1"


@pytest.mark.parametrize(
    ("place", "look"),
    [
        (HOME, "refreshed"),
        ({**HOME, "address": "192.0.2.2"}, "refreshed oauth-elsewhere"),
        ({**HOME, "user_agent": "NotesApp/2"}, "refreshed oauth-elsewhere"),
        ({**HOME, "address": None}, "refreshed"),
        ({"address": None, "user_agent": ""}, "refreshed"),
    ],
    ids=str,
)
def test_refresh_is_elsewhere_if_it_is_not_from_where_the_client_was_first_seen(admin_browser, place, look):
    grant = grant_of(generation=2)
    refreshed(grant, 2, at(1), place)

    assert lines(admin_browser, grant)[0].look == look


def test_origin_of_the_users_browser_is_not_the_clients(admin_browser):
    grant = grant_of(generation=2, address="198.51.100.7", user_agent="Firefox")
    refreshed(grant, 2, at(1))

    assert [line.look for line in lines(admin_browser, grant)] == ["refreshed", "started"]


def test_origin_of_staff_who_generated_the_tokens_is_not_the_clients(admin_browser):
    grant = grant_of(generation=3, grant_type="operator")
    refreshed(grant, 2, at(1), THIEF)
    refreshed(grant, 3, at(2), HOME)

    assert [line.look for line in lines(admin_browser, grant)] == ["refreshed oauth-elsewhere", "refreshed", "started"]


def test_nothing_is_elsewhere_where_no_place_was_recorded(admin_browser):
    grant = GrantFactory(created_at=START)
    GrantEventFactory(grant=grant, kind="refused", generation=1, at=at(1), **THIEF)

    assert [line.look for line in lines(admin_browser, grant)] == ["event", "started"]


def test_four_like_refreshes_are_folded_into_one(admin_browser):
    grant = grant_of(generation=5)
    for generation in range(2, 6):
        refreshed(grant, generation, at(generation - 1))

    html = page(admin_browser, grant).content.decode()

    assert lines(admin_browser, grant) == [
        Line(
            "refreshed",
            "2026-03-01 12:00:00 Refreshed 4 times since 2026-03-01 09:00:00 192.0.2.1 NotesApp/1",
        ),
        STARTED,
    ]
    (folded,) = re.findall(r"<details>(.*?)</details>", html, re.DOTALL)
    assert plain_text(folded) == "show each " + " ".join(
        f"2026-03-01 {7 + number:02}:00:00 Refreshed token {number}" for number in (5, 4, 3, 2)
    )


def test_three_like_refreshes_are_not_folded(admin_browser):
    grant = grant_of(generation=4)
    for generation in range(2, 5):
        refreshed(grant, generation, at(generation))

    assert [line.look for line in lines(admin_browser, grant)] == [*["refreshed"] * 3, "started"]


@pytest.mark.parametrize(
    "other", [THIEF, {**HOME, "user_agent": "NotesApp/2"}, {**HOME, "address": "192.0.2.2"}], ids=str
)
def test_refresh_from_elsewhere_is_never_folded_away(admin_browser, other):
    grant = grant_of(generation=10)
    for generation in range(2, 11):
        refreshed(grant, generation, at(generation - 1), other if generation == 6 else HOME)

    texts = [line.text.split(" ", 2)[2] for line in lines(admin_browser, grant)]

    assert [text[:24] for text in texts] == [
        "Refreshed 4 times since ",
        "Refreshed token 6 elsewh",
        "Refreshed 4 times since ",
        "Started by password 192.",
    ]


def test_run_of_refreshes_from_elsewhere_is_folded_and_marked(admin_browser):
    grant = grant_of(generation=5)
    for generation in range(2, 6):
        refreshed(grant, generation, at(generation), THIEF)

    assert [line.look for line in lines(admin_browser, grant)] == ["refreshed oauth-elsewhere", "started"]


@pytest.mark.parametrize(
    ("reason", "text"),
    [("laptop was stolen", "laptop was stolen"), ("user_request", "the user disconnected the application")],
)
def test_revocation_stands_with_its_reason_and_author(admin_browser, superuser, reason, text):
    grant = grant_of(revoked_at=at(5), revoked_reason=reason, revoked_by=superuser)

    assert lines(admin_browser, grant)[0] == Line("revoked", f"2026-03-01 13:00:00 Revoked {text}, by boss")


@pytest.mark.parametrize(
    "bent",
    [{"idle_expires_at": at(3)}, {"expires_at": at(3)}, {"idle_expires_at": at(3), "expires_at": at(4)}],
    ids=str,
)
def test_expiry_stands_where_the_grant_ended(admin_browser, bent):
    assert lines(admin_browser, grant_of(**bent)) == [Line("expired", "2026-03-01 11:00:00 Expired"), STARTED]


def test_grant_without_an_end_expires_idle(admin_browser):
    assert lines(admin_browser, grant_of(expires_at=None, idle_expires_at=at(3)))[0].look == "expired"


def test_revoked_grant_did_not_expire(admin_browser):
    grant = grant_of(idle_expires_at=at(3), revoked_at=at(2), revoked_reason="leak")

    assert [line.look for line in lines(admin_browser, grant)] == ["revoked", "started"]


@pytest.mark.parametrize(
    ("generation", "kept", "text"),
    [
        (6, [5, 6], "2026-03-01 13:00:00 3 refreshes are not shown pruned, or too many"),
        (3, [3], "2026-03-01 11:00:00 1 refresh is not shown pruned, or too many"),
        (3, [], "2026-03-01 15:00:00 2 refreshes are not shown pruned, or too many"),
    ],
)
def test_gap_says_how_many_refreshes_were_pruned(admin_browser, generation, kept, text):
    grant = GrantFactory(created_at=START, generation=generation, refreshed_at=at(7), **HOME)
    for number in kept:
        refreshed(grant, number, at(number))

    assert lines(admin_browser, grant)[-2] == Line("gap", text)


def test_nothing_is_missing_where_rotation_is_off(admin_browser):
    grant = grant_of(refreshed_at=at(7))

    assert lines(admin_browser, grant) == [STARTED]


def test_page_of_a_grant_with_a_thousand_refreshes_is_bounded(admin_browser):
    grant = grant_of(generation=1001)
    RefreshToken.objects.bulk_create(
        RefreshTokenFactory.build(grant=grant, generation=number, created_at=START + timedelta(seconds=number), **place)
        for number in range(2, 1002)
        for place in [HOME if number % 2 else THIEF]
    )

    shown = lines(admin_browser, grant)

    assert len(shown) == 202
    assert shown[-2] == Line("gap", "2026-03-01 08:13:22 800 refreshes are not shown pruned, or too many")


def test_page_of_a_grant_with_many_events_is_bounded(admin_browser):
    grant = grant_of()
    GrantEventFactory.create_batch(150, grant=grant, kind="retried", at=at(1), **HOME)

    shown = lines(admin_browser, grant)

    assert [line.look for line in shown] == [*["event"] * 100, "started"]


def test_times_are_those_of_the_site(admin_browser):
    grant = grant_of(generation=2)
    refreshed(grant, 2, at(1))
    GrantEventFactory(grant=grant, kind="reused", generation=1, at=at(3), **HOME)

    with timezone.override("Asia/Kolkata"):
        shown = lines(admin_browser, grant)

    assert [line.text[:19] for line in shown] == ["2026-03-01 16:30:00", "2026-03-01 14:30:00", "2026-03-01 13:30:00"]
    assert "spent on 2026-03-01 14:30:00" in shown[0].text


def test_user_agent_of_a_thief_is_shown_as_text(admin_browser):
    grant = grant_of(generation=2)
    refreshed(grant, 2, at(1), {**THIEF, "user_agent": "<img src=x onerror=alert(1)>"})

    assert "<img src=x" not in page(admin_browser, grant).content.decode()
    assert lines(admin_browser, grant)[0].text.endswith("203.0.113.66 <img src=x onerror=alert(1)>")


def test_refreshes_at_another_server_are_not_on_the_timeline(admin_browser):
    """It did not say when they were; the alarm of a token that was spent there guesses nothing either."""
    grant = grant_of(generation=4, grant_type="imported", **NOWHERE, imported_generation=3)
    for generation in (2, 3):
        RefreshTokenFactory(grant=grant, generation=generation, created_at=at(0))
    refreshed(grant, 4, at(2))
    GrantEventFactory(grant=grant, kind="reused", generation=2, at=at(3), **THIEF)

    assert lines(admin_browser, grant) == [
        Line(
            "alarm oauth-elsewhere",
            "2026-03-01 11:00:00 A spent refresh token was used again token 2 Not known whether it was the same "
            "caller: treat it as theft: revoke, and call the user. elsewhere: 203.0.113.66 curl/8.5",
        ),
        Line("refreshed", "2026-03-01 10:00:00 Refreshed token 4 192.0.2.1 NotesApp/1"),
        Line("started", "2026-03-01 08:00:00 Started by import"),
    ]


def test_pruned_refreshes_of_an_imported_grant_are_counted_from_the_import(admin_browser):
    grant = grant_of(generation=6, grant_type="imported", **NOWHERE, imported_generation=3)
    refreshed(grant, 6, at(2))

    assert [line.text for line in lines(admin_browser, grant)] == [
        "2026-03-01 10:00:00 Refreshed token 6 192.0.2.1 NotesApp/1",
        "2026-03-01 10:00:00 2 refreshes are not shown pruned, or too many",
        "2026-03-01 08:00:00 Started by import",
    ]
