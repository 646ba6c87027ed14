"""The list of grants: what it says of each, what it can be sorted by, and which it leaves out."""

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
import time_machine
from django.utils import timezone

from oauth_refresh.models import Grant, RevocationReason
from tests.admin.pages import admin_url, browser, column, links, page_text, staff
from tests.factories import ApplicationFactory, AuthorizationCodeFactory, GrantEventFactory, GrantFactory, UserFactory

NOW = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
BEFORE = NOW - timedelta(days=1)

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def cell(admin_browser, name):
    """Return the one cell of a list of one grant."""
    (text,) = column(admin_browser.get(admin_url("grant_changelist")), name)
    return text


STATES = [
    ({}, "active"),
    ({"without_user": True}, "active"),
    ({"revoked": True}, "revoked"),
    ({"revoked": True, "expired": True}, "revoked"),
    ({"expired": True}, "expired"),
    ({"idle_expires_at": NOW, "created_at": BEFORE}, "expired"),
    ({"expires_at": NOW, "created_at": BEFORE}, "expired"),
    ({"expires_at": None}, "active"),
    ({"application__is_active": False}, "blocked application inactive"),
    ({"user__is_active": False}, "blocked user inactive"),
    ({"password_fingerprint": "0" * 64}, "blocked password changed"),
    ({"expired": True, "user__is_active": False}, "expired"),
]


@pytest.mark.parametrize(("bent", "badge"), STATES)
def test_badge_says_the_state_of_a_grant(admin_browser, bent, badge):
    grant = GrantFactory(**bent)

    response = admin_browser.get(admin_url("grant_changelist"))

    assert column(response, "state") == [badge]
    assert grant.is_live == (badge == "active")


@pytest.mark.parametrize(
    ("bent", "look"),
    [
        ({}, "active"),
        ({"revoked": True}, "revoked"),
        ({"expired": True}, "expired"),
        ({"user__is_active": False}, "blocked"),
    ],
)
def test_badge_has_the_look_of_the_state(admin_browser, bent, look):
    GrantFactory(**bent)

    response = admin_browser.get(admin_url("grant_changelist"))

    assert re.findall(r'<span class="oauth-badge oauth-(\w+)">(\w+)</span>', response.content.decode()) == [
        (look, look)
    ]


def test_list_says_whose_each_grant_is(admin_browser):
    GrantFactory(user__username="alice", application__name="Notes")

    assert cell(admin_browser, "user_and_application") == "alice Notes"


def test_list_says_that_an_application_acts_for_itself(admin_browser):
    GrantFactory(without_user=True, application__name="Cron")

    assert cell(admin_browser, "user_and_application") == "the application itself Cron"


def test_application_without_a_name_goes_by_its_client_id(admin_browser):
    GrantFactory(user__username="alice", application__name="", application__client_id="web")

    assert cell(admin_browser, "user_and_application") == "alice web"


@pytest.mark.parametrize(
    ("grant_type", "how"),
    [
        ("authorization_code", "by authorization_code"),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", "by jwt-bearer"),
        ("operator", "by staff"),
    ],
)
def test_list_says_when_and_how_each_grant_started(admin_browser, grant_type, how):
    GrantFactory(grant_type=grant_type)

    assert cell(admin_browser, "started") == f"2026-03-01 12:30:15 {how}"


def test_times_are_those_of_the_site(admin_browser):
    GrantFactory(revoked=True, refreshed=True)

    with timezone.override("Asia/Kolkata"):
        response = admin_browser.get(admin_url("grant_changelist"))

    assert [column(response, name)[0][:19] for name in ("started", "last_refreshed", "revocation")] == [
        "2026-03-01 18:00:15"
    ] * 3


@pytest.mark.parametrize(
    ("bent", "text"),
    [
        ({}, "never refreshed"),
        ({"refreshed": True}, "2026-03-01 12:30:15 refreshed 1 time"),
        ({"generation": 42, "refreshed_at": BEFORE}, "2026-02-28 12:30:15 refreshed 41 times"),
        ({"refreshed_at": BEFORE}, "2026-02-28 12:30:15 refreshed"),
    ],
)
def test_list_says_when_and_how_often_each_grant_was_refreshed(admin_browser, bent, text):
    GrantFactory(**bent)

    assert cell(admin_browser, "last_refreshed") == text


@pytest.mark.parametrize(("scope", "text"), [("notes:read notes:write", "notes:read notes:write"), ("", "-")])
def test_list_says_the_scope_of_each_grant(admin_browser, scope, text):
    GrantFactory(scope=scope)

    assert cell(admin_browser, "scope") == text


@pytest.mark.parametrize(
    ("bent", "text"),
    [
        ({}, "-"),
        ({"address": "192.0.2.1"}, "192.0.2.1"),
        ({"address": "2001:db8::1", "user_agent": "curl/8.5"}, "2001:db8::1 curl/8.5"),
        ({"user_agent": "<script>alert(1)</script>"}, "<script>alert(1)</script>"),
        ({"user_agent": FIREFOX}, f"Firefox on Windows {FIREFOX}"),
        ({"user_agent": "x" * 200}, "x" * 39 + "… " + "x" * 200),
    ],
)
def test_list_says_from_where_each_grant_was_started(admin_browser, bent, text):
    GrantFactory(**bent)

    assert cell(admin_browser, "origin") == text


def test_long_user_agent_opens_from_the_name_of_its_program(admin_browser):
    GrantFactory(user_agent=FIREFOX)

    html = admin_browser.get(admin_url("grant_changelist")).content.decode()

    assert f"<summary>Firefox on Windows</summary><bdi>{FIREFOX}</bdi></details>" in html


REVOKED = {"revoked_at": BEFORE, "revoked_reason": "laptop was stolen"}
WHEN = "2026-02-28 12:30:15"


@pytest.mark.parametrize(
    ("bent", "text"),
    [
        ({}, "-"),
        (REVOKED, f"{WHEN} laptop was stolen"),
        ({**REVOKED, "revoked_reason": "reuse_detected"}, f"{WHEN} a spent refresh token was used again"),
        ({**REVOKED, "revoked_reason": "<b>x</b>"}, f"{WHEN} <b>x</b>"),
        ({**REVOKED, "revoked_reason": "y" * 255}, f"{WHEN} {'y' * 59}…"),
    ],
)
def test_list_says_when_and_why_each_grant_was_revoked(admin_browser, bent, text):
    GrantFactory(**bent)

    assert cell(admin_browser, "revocation") == text


def test_list_says_who_revoked_a_grant(admin_browser, superuser):
    GrantFactory(**REVOKED, revoked_by=superuser)

    assert cell(admin_browser, "revocation") == f"{WHEN} laptop was stolen, by boss"


@pytest.mark.parametrize("reason", RevocationReason)
def test_every_reason_of_the_app_has_a_label(admin_browser, reason):
    GrantFactory(**{**REVOKED, "revoked_reason": reason.value})

    assert cell(admin_browser, "revocation") == f"{WHEN} {reason.label}"


CONCURRENT = {"seconds_since_spent": 2, "same_caller": True}
THEFT = {"seconds_since_spent": 2, "same_caller": False}


@pytest.mark.parametrize(
    ("alarms", "meaning"),
    [
        ([CONCURRENT], "the client most likely refreshed twice at once; if so, give it a retry window"),
        ([THEFT], "treat it as theft: revoke, and call the user"),
        ([{}], "treat it as theft: revoke, and call the user"),
        ([THEFT, CONCURRENT], "the client most likely refreshed twice at once; if so, give it a retry window"),
        ([CONCURRENT, THEFT], "treat it as theft: revoke, and call the user"),
    ],
)
def test_list_says_what_the_alarm_that_revoked_a_grant_means(admin_browser, alarms, meaning):
    grant = GrantFactory(revoked_at=BEFORE, revoked_reason="reuse_detected")
    for alarm in alarms:
        GrantEventFactory(grant=grant, **alarm)
    GrantEventFactory(kind="retried", grant=grant, **CONCURRENT)

    assert cell(admin_browser, "revocation") == f"{WHEN} a spent refresh token was used again: {meaning}"


@pytest.fixture
def unstarted():
    """A grant whose code was not redeemed yet."""
    return AuthorizationCodeFactory().grant


def test_grant_that_has_not_started_is_not_listed(admin_browser, unstarted):
    started = GrantFactory()

    response = admin_browser.get(admin_url("grant_changelist"))

    assert list(response.context["cl"].result_list) == [started]


@pytest.mark.parametrize("page", ["grant_change", "grant_history"])
def test_grant_that_has_not_started_has_no_page(admin_browser, unstarted, page):
    response = admin_browser.get(admin_url(page, unstarted.pk))

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, "/admin/")


def test_grant_that_has_not_started_cannot_be_revoked_by_itself(admin_browser, unstarted):
    response = admin_browser.get(admin_url("grant_revoke", unstarted.pk))

    assert response.status_code == HTTPStatus.NOT_FOUND


@pytest.fixture
def three():
    """Three grants, started a, b, c; c was revoked first, then a; b is active and was refreshed last."""
    hours = {"a": 5, "b": 4, "c": 3}
    grants = {name: GrantFactory(scope=name, created_at=NOW - timedelta(hours=ago)) for name, ago in hours.items()}
    for name, ago in {"c": 2, "a": 1}.items():
        Grant.objects.filter(pk=grants[name].pk).update(revoked_at=NOW - timedelta(hours=ago), revoked_reason="x")
    Grant.objects.filter(scope="b").update(refreshed_at=NOW)
    return grants


COLUMNS = ["state", "user_and_application", "started", "last_refreshed", "scope", "origin", "revocation"]


@pytest.mark.parametrize(("order", "listed"), [(None, "cba"), ("3", "abc"), ("-3", "cba"), ("99", "cba"), ("x", "cba")])
def test_list_is_sorted_by_start(admin_browser, three, order, listed):
    response = admin_browser.get(admin_url("grant_changelist"), {} if order is None else {"o": order})

    assert "".join(column(response, "scope")) == listed


@pytest.mark.parametrize("query", [{"state": "revoked"}, {"reason": "other"}], ids=str)
def test_list_of_revoked_grants_begins_with_the_last_revocation(admin_browser, three, query):
    response = admin_browser.get(admin_url("grant_changelist", **query))

    assert "".join(column(response, "scope")) == "ac"


def test_only_the_start_has_a_header_to_sort_by(admin_browser, three):
    html = admin_browser.get(admin_url("grant_changelist")).content.decode()

    assert re.findall(r'class="column-(\w+)|class="sortable column-(\w+)', html) == [
        (name, "") if name != "started" else ("", name) for name in COLUMNS
    ]


def test_list_leads_to_the_pages(admin_browser):
    grant = GrantFactory()

    response = admin_browser.get(admin_url("grant_changelist"))

    assert admin_url("grant_change", grant.pk) in links(response)


def test_list_offers_to_find_a_leaked_token(admin_browser):
    text = page_text(admin_browser.get(admin_url("grant_changelist")))

    assert "Leaked token Find its grant Paste a token, or the lines of a log that hold some." in text


@pytest.mark.parametrize(("count", "labels"), [(0, []), (1, ["Revoke the one listed…"]), (2, ["Revoke all 2 listed…"])])
def test_list_offers_to_revoke_what_it_shows(admin_browser, count, labels):
    GrantFactory.create_batch(count, revoked=True)

    response = admin_browser.get(admin_url("grant_changelist", state="revoked"))

    assert re.findall(r"Revoke (?:the one|all \d+) listed…", page_text(response)) == labels
    assert (admin_url("grant_revoke_list", state="revoked") in links(response)) == bool(labels)


def test_list_that_nothing_narrows_does_not_offer_to_revoke_everything(admin_browser):
    GrantFactory.create_batch(2)

    queries = [{}, {"p": "1"}, {"o": "3"}, {"address": ""}, {"q": " ", "state": ""}]
    queries.append({"time": "started", "from": "", "until": " "})
    pages = [admin_browser.get(admin_url("grant_changelist", **query)) for query in queries]

    assert [column(page, "state") for page in pages if column(page, "state") != ["active"] * 2] == []
    assert [re.findall(r"Revoke (?:the one|all \d+) listed…", page_text(page)) for page in pages] == [[]] * 6


def test_row_opens_by_its_state_and_by_its_user(admin_browser):
    grant = GrantFactory()

    assert links(admin_browser.get(admin_url("grant_changelist"))).count(admin_url("grant_change", grant.pk)) == 2


def test_empty_list_is_a_page(admin_browser):
    assert column(admin_browser.get(admin_url("grant_changelist")), "state") == []


def test_list_is_paginated(admin_browser):
    user, application = UserFactory(), ApplicationFactory()
    Grant.objects.bulk_create(GrantFactory.build_batch(101, user=user, application=application))

    pages = [admin_browser.get(admin_url("grant_changelist", p=number)) for number in (1, 2)]

    assert [len(column(page, "state")) for page in pages] == [100, 1]


def test_staff_with_the_permission_to_view_grants_see_the_list():
    GrantFactory()

    response = browser(staff("view_grant")).get(admin_url("grant_changelist"))

    assert column(response, "state") == ["active"]
