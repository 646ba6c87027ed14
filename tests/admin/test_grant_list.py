"""The list of grants: what it says of each, what it can be sorted by, and whom it leaves out."""

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
import time_machine
from django.utils import timezone

from oauth_refresh.models import Grant, RevocationReason
from tests.admin.pages import address, browser, column, links, staff, text_of
from tests.factories import ApplicationFactory, AuthorizationCodeFactory, GrantFactory, UserFactory

NOW = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
BEFORE = NOW - timedelta(days=1)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def cell(operator, name):
    """Return the one cell of a list of one grant."""
    (text,) = column(operator.get(address("grant_changelist")), name)
    return text


STATES = [
    ({}, "live"),
    ({"without_user": True}, "live"),
    ({"revoked": True}, "revoked"),
    ({"revoked": True, "expired": True}, "revoked"),
    ({"expired": True}, "expired"),
    ({"idle_expires_at": NOW, "created_at": BEFORE}, "expired"),
    ({"expires_at": NOW, "created_at": BEFORE}, "expired"),
    ({"expires_at": None}, "live"),
    ({"application__is_active": False}, "application inactive"),
    ({"user__is_active": False}, "user inactive"),
    ({"password_fingerprint": "0" * 64}, "password changed"),
    ({"expired": True, "user__is_active": False}, "expired"),
]


@pytest.mark.parametrize(("bent", "badge"), STATES)
def test_badge_says_what_became_of_a_grant(operator, bent, badge):
    grant = GrantFactory(**bent)

    response = operator.get(address("grant_changelist"))

    assert column(response, "state") == [badge]
    assert grant.is_live == (badge == "live")


@pytest.mark.parametrize(
    ("bent", "look"), [({}, "live"), ({"revoked": True}, "revoked"), ({"expired": True}, "expired")]
)
def test_badge_has_the_look_of_the_state(operator, bent, look):
    GrantFactory(**bent)

    response = operator.get(address("grant_changelist"))

    assert re.findall(r'<span class="oauth-badge oauth-(\w+)">(\w+)</span>', response.content.decode()) == [
        (look, look)
    ]


def test_list_says_whose_each_grant_is(operator):
    GrantFactory(user__username="alice", application__name="Notes")

    assert cell(operator, "who") == "alice Notes"


def test_list_says_that_an_application_acts_for_itself(operator):
    GrantFactory(without_user=True, application__name="Cron")

    assert cell(operator, "who") == "the application itself Cron"


def test_application_without_a_name_goes_by_its_client_id(operator):
    GrantFactory(user__username="alice", application__name="", application__client_id="web")

    assert cell(operator, "who") == "alice web"


@pytest.mark.parametrize(
    ("grant_type", "how"),
    [
        ("authorization_code", "by authorization_code"),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", "by jwt-bearer"),
        ("operator", "by operator"),
    ],
)
def test_list_says_when_and_how_each_grant_started(operator, grant_type, how):
    GrantFactory(grant_type=grant_type)

    assert cell(operator, "started") == f"2026-03-01 12:30:15 {how}"


def test_times_are_those_of_the_site(operator):
    GrantFactory(revoked=True, refreshed=True)

    with timezone.override("Asia/Kolkata"):
        response = operator.get(address("grant_changelist"))

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
def test_list_says_when_and_how_often_each_grant_was_refreshed(operator, bent, text):
    GrantFactory(**bent)

    assert cell(operator, "last_refreshed") == text


@pytest.mark.parametrize(("scope", "text"), [("notes:read notes:write", "notes:read notes:write"), ("", "-")])
def test_list_says_what_each_grant_may(operator, scope, text):
    GrantFactory(scope=scope)

    assert cell(operator, "granted") == text


@pytest.mark.parametrize(
    ("bent", "text"),
    [
        ({}, "-"),
        ({"address": "192.0.2.1"}, "192.0.2.1"),
        ({"address": "2001:db8::1", "user_agent": "curl/8.5"}, "2001:db8::1 curl/8.5"),
        ({"user_agent": "<script>alert(1)</script>"}, "<script>alert(1)</script>"),
        ({"user_agent": "x" * 200}, "x" * 31 + "…"),
    ],
)
def test_list_says_from_where_each_grant_was_started(operator, bent, text):
    GrantFactory(**bent)

    assert cell(operator, "place") == text


REVOKED = {"revoked_at": BEFORE, "revoked_reason": "laptop was stolen"}
WHEN = "2026-02-28 12:30:15"


@pytest.mark.parametrize(
    ("bent", "text"),
    [
        ({}, "-"),
        (REVOKED, f"{WHEN} laptop was stolen"),
        ({**REVOKED, "revoked_reason": "reuse_detected"}, f"{WHEN} a spent refresh token came back"),
        ({**REVOKED, "revoked_reason": "<b>x</b>"}, f"{WHEN} <b>x</b>"),
        ({**REVOKED, "revoked_reason": "y" * 255}, f"{WHEN} {'y' * 59}…"),
    ],
)
def test_list_says_when_and_why_each_grant_was_revoked(operator, bent, text):
    GrantFactory(**bent)

    assert cell(operator, "revocation") == text


def test_list_says_who_revoked_a_grant(operator, superuser):
    GrantFactory(**REVOKED, revoked_by=superuser)

    assert cell(operator, "revocation") == f"{WHEN} laptop was stolen, by boss"


@pytest.mark.parametrize("reason", RevocationReason)
def test_every_reason_of_our_own_is_told_in_words(operator, reason):
    GrantFactory(**{**REVOKED, "revoked_reason": reason.value})

    assert cell(operator, "revocation") == f"{WHEN} {reason.label}"


@pytest.fixture
def unstarted():
    """A grant whose code was not redeemed yet."""
    return AuthorizationCodeFactory().grant


def test_grant_that_has_not_started_is_not_listed(operator, unstarted):
    started = GrantFactory()

    response = operator.get(address("grant_changelist"))

    assert list(response.context["cl"].result_list) == [started]


@pytest.mark.parametrize("page", ["grant_change", "grant_history"])
def test_grant_that_has_not_started_has_no_page(operator, unstarted, page):
    response = operator.get(address(page, unstarted.pk))

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, "/admin/")


def test_grant_that_has_not_started_cannot_be_revoked_by_itself(operator, unstarted):
    response = operator.get(address("grant_revoke", unstarted.pk))

    assert response.status_code == HTTPStatus.NOT_FOUND


@pytest.fixture
def three():
    """Three grants, started a, b, c; c was revoked first, then a; b lives and was refreshed last."""
    hours = {"a": 5, "b": 4, "c": 3}
    grants = {name: GrantFactory(scope=name, created_at=NOW - timedelta(hours=ago)) for name, ago in hours.items()}
    for name, ago in {"c": 2, "a": 1}.items():
        Grant.objects.filter(pk=grants[name].pk).update(revoked_at=NOW - timedelta(hours=ago), revoked_reason="x")
    Grant.objects.filter(scope="b").update(refreshed_at=NOW)
    return grants


COLUMNS = ["state", "who", "started", "last_refreshed", "granted", "place", "revocation"]


@pytest.mark.parametrize(
    ("order", "listed"),
    [
        (None, "cba"),
        ("3", "abc"),
        ("-3", "cba"),
        ("7", "ca"),
        ("-7", "ac"),
        ("3.7", "ac"),
        ("99", "cba"),
        ("x", "cba"),
        *[(sign + str(number), "cba") for number in (1, 2, 4, 5, 6) for sign in ("", "-")],
    ],
)
def test_list_is_sorted_by_start_or_by_revocation_and_nothing_else(operator, three, order, listed):
    response = operator.get(address("grant_changelist"), {} if order is None else {"o": order})

    assert "".join(column(response, "granted")) == listed


def test_only_start_and_revocation_have_a_header_to_sort_by(operator, three):
    html = operator.get(address("grant_changelist")).content.decode()

    assert re.findall(r'class="column-(\w+)|class="sortable column-(\w+)', html) == [
        (name, "") if name not in {"started", "revocation"} else ("", name) for name in COLUMNS
    ]


def test_list_sorted_by_revocation_revokes_nothing_that_it_does_not_show(operator, three):
    response = operator.get(address("grant_revoke_list", o="7"))

    assert response.context["preview"].grants == 0


def test_list_names_itself_and_leads_to_the_pages(operator):
    grant = GrantFactory()

    response = operator.get(address("grant_changelist"))

    assert response.context["title"] == "Grants"
    assert address("grant_change", grant.pk) in links(response)


def test_list_offers_to_find_a_leaked_token(operator):
    text = text_of(operator.get(address("grant_changelist")))

    assert "Leaked token Find its grant A token, or the line of a log that holds some" in text


@pytest.mark.parametrize(("count", "labels"), [(0, []), (1, ["Revoke the one listed…"]), (2, ["Revoke all 2 listed…"])])
def test_list_offers_to_revoke_what_it_shows(operator, count, labels):
    GrantFactory.create_batch(count, revoked=True)

    response = operator.get(address("grant_changelist", state="revoked"))

    assert re.findall(r"Revoke (?:the one|all \d+) listed…", text_of(response)) == labels
    assert (address("grant_revoke_list", state="revoked") in links(response)) == bool(labels)


def test_empty_list_is_a_page(operator):
    assert column(operator.get(address("grant_changelist")), "state") == []


def test_list_is_paginated(operator):
    user, application = UserFactory(), ApplicationFactory()
    Grant.objects.bulk_create(GrantFactory.build_batch(101, user=user, application=application))

    pages = [operator.get(address("grant_changelist", p=number)) for number in (1, 2)]

    assert [len(column(page, "state")) for page in pages] == [100, 1]


def test_staff_with_the_permission_to_view_grants_see_the_list():
    GrantFactory()

    response = browser(staff("view_grant")).get(address("grant_changelist"))

    assert column(response, "state") == ["live"]
