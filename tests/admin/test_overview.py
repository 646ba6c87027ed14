"""The overview: what happened, who is affected, and who is being robbed without an alarm."""

import re
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import pairwise

import pytest
from django.contrib.admin import site
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from oauth_refresh.admin.links import row_url
from oauth_refresh.crypto import digest
from oauth_refresh.models import Application, Grant, GrantEvent, PruneRun, RefreshToken, RevocationReceiver
from oauth_refresh.services import prune, upkeep
from oauth_refresh.services.overview import PERIODS, period_limits
from tests.admin.incident import ALARMED, SILENT, THIEF, make_incident
from tests.admin.pages import admin_url, browser, definitions, links, page_text, plain_text, staff
from tests.factories import (
    GrantEventFactory,
    GrantFactory,
    RefreshTokenFactory,
    RevocationNoticeFactory,
    RevocationReceiverFactory,
)

pytestmark = pytest.mark.django_db


def overview(client, **query):
    response = client.get(admin_url("overview_changelist", **query))
    assert response.status_code == HTTPStatus.OK
    return response


def section(response, name):
    """Return the HTML of a section of the page."""
    found = re.search(
        rf'<section [^>]*aria-labelledby="oauth-{name}">(.*?)</section>', response.content.decode(), re.DOTALL
    )
    return found[1]


def totals(response):
    """Return the number of each chart by its title."""
    pairs = re.findall(
        r'<h2 id="oauth-chart-\w+">(.*?)</h2>\s*<p class="oauth-total">(.*?)</p>', response.content.decode()
    )
    return {title: int(plain_text(number)) for title, number in pairs}


def test_overview_shows_all_seven_thefts_with_and_without_an_alarm(admin_browser):
    incident = make_incident()

    response = overview(admin_browser, period="hour")

    alarms, suspects = section(response, "alarms"), section(response, "suspects").partition("<details>")[0]
    urls = [admin_url("grant_change", grant.pk) for grant in incident.stolen]
    assert [urls.index(url) for url in links_in(alarms) if url in urls] == list(ALARMED)
    assert sorted(urls.index(url) for url in links_in(suspects) if url in urls) == list(SILENT)
    assert suspects.count("<tr>") == 1 + len(SILENT)


def links_in(html):
    return re.findall(r'<a href="([^"]*)"', html)


def test_charts_count_what_happened_in_the_period(admin_browser, stopped_clock):
    now, minute = timezone.now(), timedelta(minutes=1)
    for age in (10 * minute, 50 * minute, 90 * minute):
        GrantFactory(created_at=now - age)
        GrantFactory(created_at=now - timedelta(days=40), revoked=True, revoked_at=now - age)
        refreshed = GrantFactory(created_at=now - timedelta(days=40), generation=2, idle_expires_at=now + age)
        RefreshTokenFactory(grant=refreshed, generation=2, created_at=now - age)
        RefreshTokenFactory(grant=refreshed, generation=1, created_at=now - age, digest=f"{age}")
        for kind in GrantEvent.Kind.values:
            GrantEventFactory(grant=refreshed, kind=kind, at=now - age)
    GrantFactory(generation=0, created_at=now - minute)

    expected = {"Alarms": 2, "Refused retries": 2, "Refreshes": 2, "New grants": 2, "Revoked grants": 2}
    assert totals(overview(admin_browser, period="hour")) == {**expected, "Failed client authentications": 0}
    for period in ("day", "week", "month"):
        three = dict.fromkeys(expected, 3)
        assert totals(overview(admin_browser, period=period)) == {**three, "Failed client authentications": 0}


@pytest.mark.parametrize("period", ["hour", "day", "week", "month"])
def test_every_number_is_a_link_to_a_list_of_so_many_rows(admin_browser, stopped_clock, period):
    now = timezone.now()
    for age in (timedelta(minutes=3), timedelta(minutes=20), timedelta(minutes=21)):
        grant = GrantFactory(created_at=now - age, revoked=True, revoked_at=now - age, generation=2, refreshed_at=now)
        RefreshTokenFactory(grant=grant, generation=1, created_at=now - age)
        RefreshTokenFactory(grant=grant, created_at=now - age)
        for kind in (GrantEvent.Kind.REUSED, GrantEvent.Kind.REFUSED):
            GrantEventFactory(grant=grant, kind=kind, at=now - age, address="192.0.2.1")

    html = overview(admin_browser, period=period).content.decode()

    charts, *_rest = html.split('aria-labelledby="oauth-alarms"')
    numbers = re.findall(r'<a href="([^"]*)"[^>]*>(\d+)</a>', charts)
    largest = re.findall(r'<a href="([^"]*)">(\d+)<span', html)
    assert len(numbers) >= 5 * 2
    assert len(largest) == 3 + 3 + 1
    for url, count in [*numbers, *largest]:
        response = admin_browser.get(url.replace("&amp;", "&"))
        assert response.context["cl"].result_count == int(count), url


def test_bars_are_as_high_as_their_numbers(admin_browser, stopped_clock):
    now = timezone.now()
    for age, count in ((2, 4), (22, 1)):
        for _number in range(count):
            GrantFactory(created_at=now - timedelta(minutes=age))

    html = section(overview(admin_browser, period="hour"), "chart-started")

    bars = re.findall(r'<rect x="(\d+)" y="(\d+)" width="8" height="(\d+)"><title>([^<]*)</title></rect>', html)
    assert [(y, height, title.rpartition(" ")[2]) for _x, y, height, title in bars] == [
        ("30", "10", "1"),
        ("0", "40", "4"),
    ]
    assert int(bars[0][0]) < int(bars[1][0])
    assert [plain_text(cell) for cell in re.findall(r"<td>(.*?)</td>", html)][1::2].count("0") == 10


def test_one_event_beside_thousands_is_seen(admin_browser, stopped_clock):
    now = timezone.now()
    grant = GrantFactory(generation=1_000, created_at=now - timedelta(days=2))
    tokens = [
        RefreshTokenFactory.build(grant=grant, generation=number, created_at=now, raw=f"{number}")
        for number in range(2, 500)
    ]
    RefreshToken.objects.bulk_create(tokens)
    RefreshTokenFactory(grant=grant, generation=501, created_at=now - timedelta(minutes=30))

    assert 'height="1"' in section(overview(admin_browser, period="hour"), "chart-refreshes")


def test_failed_client_authentications_are_counted(admin_browser, client_app, stopped_clock):
    client_app.secret = "wrong"
    for seconds in (0, 600, 7200):
        stopped_clock.shift(seconds)
        client_app.refresh()

    assert totals(overview(admin_browser, period="hour"))["Failed client authentications"] == 1
    response = overview(admin_browser, period="day")
    assert totals(response)["Failed client authentications"] == 3
    assert "The log names the clients" in section(response, "chart-failures")


def test_unknown_period_is_the_day(admin_browser):
    for period in ("", "decade", "\0", "hour "):
        assert 'href="?period=day" aria-current="page"' in overview(admin_browser, period=period).content.decode()


def test_alarm_says_from_where_the_token_was_used_first_and_again(admin_browser):
    incident = make_incident(grants=20)

    alarms = plain_text(section(overview(admin_browser), "alarms"))

    first, *_others = alarms.split("2026" if "2026" in alarms else str(timezone.now().year))[1:]
    assert f"{THIEF} curl/8.9.1 10.0.0.1 Firefox on Linux Mozilla/5.0" in alarms
    assert "Treat it as theft: revoke, and call the user" in first
    assert incident.stolen[0].user.username in first


def test_grants_that_only_changed_their_network_are_named_apart(admin_browser):
    make_incident(grants=150)

    html = section(overview(admin_browser), "suspects")

    assert "30 grants moved to a new address with the same program, as phones do" in html
    assert "Suspects without an alarm (2)" in html


def test_overview_says_when_it_was_pruned_and_what_is_due(admin_browser):
    assert definitions(overview(admin_browser))["Last pruned"] == "never, as far as is known"
    long_ago = timezone.now() - timedelta(days=40)
    grant = GrantFactory(generation=4, created_at=long_ago, idle_expires_at=timezone.now() + timedelta(days=1))
    for generation in range(1, 5):
        RefreshTokenFactory(grant=grant, generation=generation)
    assert definitions(overview(admin_browser))["Spent refresh tokens that can be pruned"] == "2"

    prune()

    found = definitions(overview(admin_browser))
    assert found["Last pruned"].endswith(", 2 rows deleted")
    assert found["Spent refresh tokens that can be pruned"] == "0"


def test_last_prune_is_named_by_its_time():
    prune()

    assert str(PruneRun.objects.get()) == str(PruneRun.objects.get().finished_at)


def test_overview_says_that_a_prune_did_not_come_to_its_end(admin_browser):
    GrantFactory.create_batch(3, expired=True)

    prune(max_seconds=1e-9, batch_size=1, retain=timedelta(0))

    assert definitions(overview(admin_browser))["Last pruned"].endswith("stopped when its time was up")


def test_too_many_due_rows_are_not_counted(admin_browser, monkeypatch):
    monkeypatch.setattr(upkeep, "MOST_DUE", 1)
    long_ago = timezone.now() - timedelta(days=40)
    grant = GrantFactory(generation=5, created_at=long_ago, idle_expires_at=timezone.now() + timedelta(days=1))
    for generation in range(1, 4):
        RefreshTokenFactory(grant=grant, generation=generation)

    assert definitions(overview(admin_browser))["Spent refresh tokens that can be pruned"] == "more than 1"


def test_overview_names_receivers_that_lack_revocations(admin_browser, oauth_settings):
    url = "https://api.example/revocations"
    oauth_settings(REVOCATION_RECEIVERS=[{"url": url, "secret": "s" * 32}])
    receiver = RevocationReceiverFactory(url_digest=digest(url), attempts=2)
    RevocationNoticeFactory(created_at=timezone.now() - timedelta(hours=1))

    response = overview(admin_browser)

    assert definitions(response)["Receiver api.example"] == "1 revocation not delivered"
    assert definitions(response)["Revocations in the feed in this period"] == "1"
    assert admin_url("revocationreceiver_changelist") in links(response)
    RevocationReceiver.objects.filter(pk=receiver.pk).update(attempts=0, position=10**9)
    assert "Receiver api.example" not in definitions(overview(admin_browser))


EVERYTHING = ("view_overview", "view_grant", "view_grantevent", "view_refreshtoken", "view_user")


def test_overview_needs_its_own_permission(client):
    others = browser(staff(*EVERYTHING[1:]))

    assert others.get(admin_url("overview_changelist")).status_code == HTTPStatus.FORBIDDEN
    assert admin_url("overview_changelist") not in links(others.get(reverse("admin:index")))
    assert client.get(admin_url("overview_changelist")).status_code == HTTPStatus.FOUND


def test_overview_is_the_first_page_of_the_app(admin_browser):
    response = admin_browser.get(reverse("admin:app_list", args=["oauth_refresh"]))

    models = response.context["app_list"][0]["models"]
    assert (models[0]["name"].strip(), models[0]["admin_url"]) == ("Overview", admin_url("overview_changelist"))


def test_staff_who_may_not_view_grants_see_no_user_and_no_address():
    make_incident(grants=150)

    response = overview(browser(staff("view_overview")))

    text = page_text(response)
    assert totals(response)["Alarms"] == 5
    assert "Alarms and suspects are shown to staff who may view grants." in text
    assert re.findall(r"\bperson\d|10\.\d+\.\d+\.\d|198\.51", text) == []
    assert [url for url in links(response) if "/grant" in url or "/refreshtoken" in url] == []


@pytest.mark.parametrize(
    ("missing", "page"), {"view_grantevent": "grantevent", "view_refreshtoken": "refreshtoken"}.items()
)
def test_number_is_no_link_for_staff_who_may_not_view_the_list(missing, page):
    make_incident(grants=20)

    response = overview(browser(staff(*[name for name in EVERYTHING if name != missing])))

    assert totals(response)["Alarms"] == 5
    assert [url for url in links(response) if f"/{page}/" in url] == []


@pytest.mark.parametrize("missing", [*EVERYTHING, "revoke_grant"])
def test_overview_offers_to_revoke_only_to_staff_who_may(missing):
    make_incident(grants=20)
    permissions = [name for name in (*EVERYTHING, "revoke_grant") if name != missing]

    response = browser(staff(*permissions)).get(admin_url("overview_changelist"))

    assert (response.status_code == HTTPStatus.FORBIDDEN) == (missing == "view_overview")
    offered = {url.rpartition("/grant/")[2].split("/")[1] for url in links(response) if "/revoke" in url}
    assert offered == (
        set() if missing in {"view_overview", "view_grant", "revoke_grant"} else {"revoke", "revoke-user"}
    )


def test_alarm_of_an_ended_grant_without_a_user_leaves_nothing_to_revoke(admin_browser):
    grant = GrantFactory(without_user=True, revoked=True)
    GrantEventFactory(grant=grant, kind=GrantEvent.Kind.REUSED)

    alarms = section(overview(admin_browser), "alarms")

    assert "the application itself" in alarms
    assert "Revoke" not in alarms


def test_affected_user_is_no_link_for_staff_who_may_not_view_users():
    make_incident(grants=20)
    by_user = [url for url in links(overview(browser(staff(*EVERYTHING)))) if "user=" in url]

    response = overview(browser(staff(*[name for name in EVERYTHING if name != "view_user"])))

    assert len(by_user) == 5
    assert [url for url in links(response) if "user=" in url] == []


@pytest.mark.parametrize("path", ["1/change/", "1/", "add/", "1/delete/", "1/history/"])
def test_overview_has_no_pages_of_rows(admin_browser, path):
    grant = GrantFactory()

    response = admin_browser.get(admin_url("overview_changelist") + path.replace("1", str(grant.pk)))

    assert response.status_code == HTTPStatus.NOT_FOUND


def test_page_of_a_grant_has_no_address_for_staff_who_may_not_view_grants(rf):
    grant = GrantFactory()
    request = rf.get("/")
    request.user = staff("view_overview")

    assert row_url(request, site, grant) is None


def test_grants_are_not_linked_where_their_pages_are_not_registered(admin_browser, monkeypatch):
    make_incident(grants=20)
    monkeypatch.delitem(site._registry, Grant)

    response = overview(admin_browser)

    assert "Alarms and suspects are shown to staff who may view grants." in page_text(response)


def statements_of(client, **query):
    client.get(admin_url("overview_changelist", **query))
    with CaptureQueriesContext(connection) as queries:
        overview(client, **query)
    return len(queries)


def test_overview_costs_the_same_with_any_number_of_rows(admin_browser):
    make_incident(grants=20)
    few = statements_of(admin_browser, period="month")
    make_many_more()

    assert statements_of(admin_browser, period="month") == few == 18


def make_many_more():
    Application.objects.all().delete()
    get_user_model().objects.exclude(is_superuser=True).delete()
    make_incident(grants=300)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati"])
@pytest.mark.parametrize(
    "moment", ["2026-03-29T12:00Z", "2026-10-25T00:59:59Z", "2026-10-25T01:30Z", "2026-06-30T23:59:59.999Z"]
)
@pytest.mark.parametrize("period", ["hour", "day", "week", "month"])
def test_parts_of_a_period_follow_each_other_and_hold_the_present(settings, zone, moment, period):
    now, (length, part) = datetime.fromisoformat(moment), PERIODS[period]
    with timezone.override(zone):
        limits = period_limits(period, now)
        wall = [timezone.localtime(limit) for limit in limits]

    assert limits[-2] <= now < limits[-1]
    assert len(limits) == length // part + 1
    hour = timedelta(hours=1)
    assert all(part - hour <= last - first <= part + hour for first, last in pairwise(limits)), limits
    assert (wall[-1].second, wall[-1].minute % 5) == (0, 0)
    naive = period_limits(period, now.replace(tzinfo=None))
    assert naive[-2] <= now.replace(tzinfo=None) < naive[-1]
    if period == "month":
        assert {(time.hour, time.minute) for time in wall} == {(0, 0)}
