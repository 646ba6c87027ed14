"""Lists filtered by time, to the minute: what was started, refreshed, revoked or alarmed."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.utils import timezone

from oauth_refresh.models import GrantEvent
from tests.admin.pages import Forms, admin_url, column, links, messages_on, page_text
from tests.factories import AccessTokenFactory, GrantEventFactory, GrantFactory, RefreshTokenFactory

pytestmark = pytest.mark.django_db

NOW = "2026-01-01T00:00"  # that of the stopped clock
WRONG = "Nothing is listed: write times as 2026-11-30 14:05, with or without a time zone."


@pytest.fixture
def grants(stopped_clock):
    """Two grants for each time: at NOW and a day before. All else happened long before."""
    now, long_ago = timezone.now(), timezone.now() - timedelta(days=90)
    old = {"created_at": long_ago, "idle_expires_at": now + timedelta(days=9), "generation": 3}
    made = {}
    for age in (timedelta(0), timedelta(days=1)):
        refreshed = GrantFactory(**old)
        RefreshTokenFactory(grant=refreshed, generation=2, created_at=now - age)
        grants = {
            "started": GrantFactory(created_at=now - age),
            "refreshed": refreshed,
            "revoked": GrantFactory(**old, revoked=True, revoked_at=now - age),
            "alarmed": GrantEventFactory(grant=GrantFactory(**old), at=now - age).grant,
        }
        GrantEventFactory(grant=grants["revoked"], kind=GrantEvent.Kind.RETRIED, at=now - age)
        RefreshTokenFactory(grant=grants["started"], generation=1, created_at=now - age)
        made[age] = grants
    return made[timedelta(0)]


def listed(client, name="grant", **query):
    response = client.get(admin_url(f"{name}_changelist", **query))
    assert response.status_code == HTTPStatus.OK
    return list(response.context["cl"].result_list)


@pytest.mark.parametrize("time", ["started", "refreshed", "revoked", "alarmed"])
def test_grants_are_listed_by_what_happened_in_a_minute(admin_browser, grants, time):
    assert listed(admin_browser, time=time, **{"from": NOW, "until": NOW}) == [grants[time]]
    assert len(listed(admin_browser, time=time, **{"from": "2025-12-31T00:00"})) == 2
    assert len(listed(admin_browser, time=time, until="2025-12-31T00:00")) == 1 + (time == "started") * 6
    assert listed(admin_browser, time=time, **{"from": "2026-01-01T00:01"}) == []


def test_grants_without_rotation_are_listed_by_their_last_refresh(admin_browser, stopped_clock):
    grant = GrantFactory(refreshed_at=timezone.now())
    GrantFactory(refreshed_at=timezone.now() - timedelta(days=2))

    assert listed(admin_browser, time="refreshed", **{"from": NOW}) == [grant]


def test_what_happened_is_when_it_was_started_unless_it_is_named(admin_browser, grants):
    assert listed(admin_browser, **{"from": NOW}) == [grants["started"]]


@pytest.mark.parametrize(
    ("time", "fields"),
    {
        "started": ("created_at", {}),
        "refreshed": ("refreshed_at", {}),
        "revoked": ("revoked_at", {"revoked": True}),
    }.items(),
)
def test_newest_are_listed_first(admin_browser, stopped_clock, time, fields):
    name, others = fields
    now = timezone.now()
    grants = {hours: GrantFactory(**others, **{name: now - timedelta(hours=hours)}) for hours in (3, 1, 2)}

    assert listed(admin_browser, time=time, **{"from": "2025-12-01"}) == [grants[1], grants[2], grants[3]]


@pytest.mark.parametrize(
    ("name", "factory", "field"),
    [("refreshtoken", RefreshTokenFactory, "created_at"), ("accesstoken", AccessTokenFactory, "created_at"),
     ("grantevent", GrantEventFactory, "at")],
)  # fmt: skip
def test_tokens_and_events_are_listed_by_time(admin_browser, stopped_clock, name, factory, field):
    now = timezone.now()
    row, _older = (factory(**{field: now - age}) for age in (timedelta(0), timedelta(minutes=1)))

    assert listed(admin_browser, name, **{"from": NOW}) == [row]


@pytest.mark.parametrize(
    "query",
    [{"from": "yesterday"}, {"until": "24:00"}, {"from": NOW, "until": "2026-02-30"},
     {"time": "sold"}, {"time": "sold", "from": NOW}],
    ids=str,
)  # fmt: skip
def test_wrong_time_lists_nothing_and_says_what_to_write(admin_browser, grants, query):
    response = admin_browser.get(admin_url("grant_changelist", **query))

    assert (list(response.context["cl"].result_list), messages_on(response)) == ([], [("warning", WRONG)])
    assert "Nothing to revoke" in page_text(admin_browser.get(admin_url("grant_revoke_list", **query)))


def test_time_is_of_the_zone_of_the_site_which_is_named(admin_browser, grants, settings):
    settings.TIME_ZONE = "America/New_York"

    response = admin_browser.get(
        admin_url("grant_changelist", time="revoked", **{"from": "2025-12-31T19:00", "until": "2025-12-31T19:00"})
    )

    assert list(response.context["cl"].result_list) == [grants["revoked"]]
    assert "Time zone: America/New_York (UTC-05:00)" in page_text(response)
    assert column(response, "revocation")[0].startswith("2025-12-31 19:00:00")


def test_zone_of_a_project_without_zones_is_named(admin_browser, settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
    # Rows that were stored with a zone cannot be shown without: so look at a list without rows.
    assert "Time zone: Europe/Berlin" in page_text(admin_browser.get(admin_url("grantevent_changelist")))


def test_last_hour_is_offered_for_what_was_chosen(admin_browser, grants):
    response = admin_browser.get(admin_url("grant_changelist", time="revoked", until=NOW, state="revoked"))

    offered = [url for url in links(response) if "from=" in url]
    assert offered[0] == "?from=2025-12-31T23%3A00&state=revoked&time=revoked"
    assert len(offered) == 3


def test_form_keeps_what_was_typed(admin_browser, grants):
    response = admin_browser.get(admin_url("grant_changelist", time="alarmed", until=NOW, state="active"))

    [form] = [form for form in Forms(response.content.decode()).forms if "from" in form]
    assert form == {"state": ["active"], "time": ["alarmed"], "from": [""], "until": [NOW]}


@pytest.mark.parametrize("name", ["refreshtoken", "grantevent"])
def test_times_are_shown_to_the_second(admin_browser, stopped_clock, name):
    RefreshTokenFactory()
    GrantEventFactory(at=timezone.now())

    response = admin_browser.get(admin_url(f"{name}_changelist"))

    assert column(response, "created_at" if name == "refreshtoken" else "at") == ["2026-01-01 00:00:00"]
