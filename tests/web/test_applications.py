"""The page where a user sees which applications act in their name."""

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
import time_machine
from django.contrib.auth.views import PasswordChangeView
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import include, path

from tests.factories import ApplicationFactory, GrantFactory
from tests.sessions import (
    LaggingReplica,
    begun_with_another_password,
    expired,
    make_sessions,
    of_an_inactive_application,
    of_another_user,
    revoked,
    waiting_for_its_code,
)
from tests.test_budgets import statements
from tests.urls import urlpatterns as tests_urlpatterns
from tests.web.pages import list_page, sign_out_url, text_of, url

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MALICE = "<script>alert('x')</script>\"&amp;"

urlpatterns = [
    *tests_urlpatterns,
    path("other/", include("oauth_refresh.urls", namespace="other")),
    path("password/", PasswordChangeView.as_view(), name="password_change"),
]


@pytest.fixture
def noon():
    with time_machine.travel(NOW, tick=False):
        yield


def facts_of(response):
    """Return what the page says of each session, its label first."""
    page = response.content.decode()
    return [
        [" ".join(re.sub(r"<[^>]*>", " ", fact).split()) for fact in re.findall(r"<div>(.*?)</div>", facts, re.DOTALL)]
        for facts in re.findall(r"<dl.*?</dl>", page, re.DOTALL)
    ]


def sign_out_links(response):
    """Return where the sign-out links of a page lead, in their order."""
    return re.findall(r'href="([^"]+-[^"]+/revoke)"', response.content.decode())


# What the list says.


@pytest.mark.usefixtures("noon")
def test_list_says_who_may_what_since_when_from_where(user, browser):
    GrantFactory(
        user=user,
        application__name="Notebook",
        created_at=NOW - timedelta(days=3),
        refreshed_at=NOW - timedelta(hours=2),
        address="192.0.2.7",
        user_agent="browser/1",
    )

    assert text_of(list_page(browser)) == (
        "Applications that act for you "
        f"You are signed in as {user.username} . Each application below can act in your name until you sign it out. "
        "N Notebook "
        "Allowed to Read your notes Write your notes "
        "Last active 2 hours ago "
        "Started Feb. 26, 2026, noon UTC "
        "From 192.0.2.7 browser/1 "
        "Sign out of Notebook, started Feb. 26, 2026, noon "
        "See one you do not recognise? Sign it out and change your password. Sign out of all"
    )


@pytest.mark.usefixtures("noon")
@pytest.mark.parametrize(
    ("created", "refreshed", "said"),
    [
        (timedelta(days=1), timedelta(seconds=59), "just now"),
        (timedelta(days=1), timedelta(seconds=61), "1 minute ago"),
        (timedelta(days=1), None, "1 day ago"),
        (timedelta(0), None, "just now"),
    ],
)
def test_session_was_last_active_when_it_was_refreshed_or_began(user, browser, created, refreshed, said):
    GrantFactory(
        user=user, created_at=NOW - created, refreshed_at=None if refreshed is None else NOW - refreshed, scope=""
    )

    [facts] = facts_of(list_page(browser))

    assert facts[0] == f"Last active {said}"


def test_scope_that_the_project_dropped_is_shown_by_its_name(user, browser):
    GrantFactory(user=user, scope="notes:read notes:burn")

    [facts] = facts_of(list_page(browser))

    assert facts[0] == "Allowed to Read your notes notes:burn"


@pytest.mark.parametrize(
    ("client_info", "said"),
    [
        ({"address": "2001:db8::7"}, ["From 2001:db8::7"]),
        ({"user_agent": "browser/1"}, ["From browser/1"]),
        ({}, []),
    ],
    ids=["address alone", "user agent alone", "neither"],
)
def test_where_a_session_began_is_said_as_far_as_it_was_recorded(user, browser, client_info, said):
    GrantFactory(user=user, scope="", **client_info)

    [facts] = facts_of(list_page(browser))

    assert facts[2:] == said


def test_user_agent_of_any_length_can_be_read_whole(user, browser):
    user_agent = "Mozilla/5.0 " + "x" * 243
    GrantFactory(user=user, user_agent=user_agent)

    assert f'title="{user_agent}">{user_agent}<' in list_page(browser).content.decode()


def test_sessions_are_grouped_by_application_the_newest_first(user, browser):
    album, notebook = ApplicationFactory(name="Album"), ApplicationFactory(name="Notebook")
    namesake = ApplicationFactory(name="Album")
    now = datetime.now(UTC)
    old, new, other, third = (
        GrantFactory(user=user, application=application, created_at=now - timedelta(days=days))
        for application, days in ((album, 3), (album, 1), (notebook, 2), (namesake, 2))
    )

    page = list_page(browser)

    assert re.findall(r"</span>(\w+)</h2>", page.content.decode()) == ["Album", "Album", "Notebook"]
    assert sign_out_links(page) == [sign_out_url(grant) for grant in (new, old, third, other)]


def test_application_without_a_name_is_called_by_its_client_id(user, browser):
    GrantFactory(user=user, application__name="", application__client_id="notebook-7")

    assert "N notebook-7 Allowed to" in text_of(list_page(browser))


@pytest.mark.parametrize(
    "arrange",
    [
        of_another_user,
        revoked,
        expired,
        waiting_for_its_code,
        of_an_inactive_application,
        begun_with_another_password,
    ],
)
def test_session_that_cannot_act_for_the_user_is_not_listed(user, browser, arrange):
    arrange(user)

    assert text_of(list_page(browser)) == (
        f"Applications that act for you You are signed in as {user.username} . "
        "No application acts for you When you allow one to, it appears here, and you can sign it out at any time."
    )


def test_names_and_texts_are_escaped(user, browser, settings):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "SCOPES": {"notes:read": MALICE}}
    type(user).objects.filter(pk=user.pk).update(username=MALICE)
    grant = GrantFactory(user=user, application__name=MALICE, user_agent=MALICE, scope="notes:read x<y")

    listed, asked = list_page(browser), browser.get(sign_out_url(grant))
    told = browser.post(sign_out_url(grant), follow=True)

    assert text_of(listed).count("alert('x')") == 5
    assert text_of(asked).count("alert('x')") == 3
    assert "The session of <script>alert('x')</script>\"&amp; was signed out." in text_of(told)
    for response in (listed, asked, told):
        assert "<script" not in response.content.decode()


@pytest.mark.urls(__name__)
def test_advice_leads_to_the_page_where_the_password_is_changed(browser, session):
    page = list_page(browser)

    assert '<a href="/password/">change your password</a>' in page.content.decode()
    assert "Sign it out and change your password ." in text_of(page)


# Many sessions.


PAGES = {
    "1": ("Page 1 of 3 Next", 25, ["2"]),
    "2": ("Previous Page 2 of 3 Next", 25, ["1", "3"]),
    "3": ("Previous Page 3 of 3", 10, ["2"]),
    "nonsense": ("Page 1 of 3 Next", 25, ["2"]),
    "99": ("Previous Page 3 of 3", 10, ["2"]),
}


@pytest.mark.parametrize(("number", "expected"), PAGES.items(), ids=PAGES)
def test_sessions_come_twenty_five_to_a_page(browser, user, number, expected):
    make_sessions(user, 60)

    page = list_page(browser, page=number)

    said, count, links = expected
    assert f" {said} See one" in text_of(page)
    assert len(sign_out_links(page)) == count
    assert re.findall(r'href="\?page=(\d+)"', page.content.decode()) == links


def test_one_page_has_no_links_to_others(browser, user):
    make_sessions(user, 25)

    assert "Page 1" not in text_of(list_page(browser))


@pytest.mark.parametrize("count", [10, 1_000])
def test_list_costs_four_statements_however_many_sessions_there_are(browser, user, count):
    make_sessions(user, count)

    with CaptureQueriesContext(connection) as queries:
        list_page(browser)

    assert statements(queries) == ["SELECT", "SELECT", "SELECT grant", "SELECT grant"]


# What a host project does around the pages.


def test_pages_work_where_there_are_no_messages(browser, session, settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "messages" not in name]
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "django.contrib.messages"]

    response = browser.post(sign_out_url(session), follow=True)

    assert response.redirect_chain == [(url("applications"), HTTPStatus.FOUND)]
    assert "No application acts for you" in text_of(response)


def test_pages_need_no_context_processor(browser, session, user, settings):
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

    response = browser.post(sign_out_url(session), follow=True)

    assert "The session of Notebook was signed out." in text_of(response)
    assert f"You are signed in as {user.username} ." in text_of(response)


@pytest.mark.urls(__name__)
def test_pages_of_one_mount_lead_to_pages_of_the_same(browser, session):
    page = browser.get("/other/applications/").content.decode()
    response = browser.post(f"/other/applications/{session.public_id}/revoke")

    assert re.findall(r'href="(/o\w+/[^"]*)"', page) == [
        f"/other/applications/{session.public_id}/revoke",
        "/other/applications/revoke",
    ]
    assert response.headers["Location"] == "/other/applications"


def test_pages_are_read_from_the_database_that_is_written_to(browser, address, settings):
    settings.DATABASE_ROUTERS = [LaggingReplica()]

    assert browser.get(address).status_code == HTTPStatus.OK
