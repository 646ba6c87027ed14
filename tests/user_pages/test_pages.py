"""The page that lists a user's connected applications."""

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
from tests.grants import (
    expired_grant,
    grant_from_before_a_password_change,
    grant_of_an_inactive_application,
    grant_of_another_user,
    grant_with_unredeemed_code,
    make_grants,
    revoked_grant,
)
from tests.queries import statements
from tests.routers import LaggingReplica
from tests.urls import urlpatterns as tests_urlpatterns
from tests.user_pages.pages import disconnect_url, list_page, text_of, url

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
    """Return the facts that the page shows of each grant, each with its label first."""
    page = response.content.decode()
    return [
        [" ".join(re.sub(r"<[^>]*>", " ", fact).split()) for fact in re.findall(r"<div>(.*?)</div>", facts, re.DOTALL)]
        for facts in re.findall(r"<dl.*?</dl>", page, re.DOTALL)
    ]


def disconnect_links(response):
    """Return the addresses of the disconnect links of a page, in order."""
    return re.findall(r'href="([^"]+-[^"]+/revoke)(?:\?page=\d+)?"', response.content.decode())


# What the list shows.


@pytest.mark.usefixtures("noon")
def test_list_shows_scopes_last_use_start_and_origin_of_each_grant(user, browser):
    GrantFactory(
        user=user,
        application__name="Notebook",
        created_at=NOW - timedelta(days=3),
        refreshed_at=NOW - timedelta(hours=2),
        address="192.0.2.7",
        user_agent="browser/1",
    )

    assert text_of(list_page(browser)) == (
        "Connected applications "
        f"You are signed in as {user.username} . These applications can act for you until you disconnect them. "
        "N Notebook "
        "Allowed to Read your notes Write your notes "
        "Last used 2 hours ago "
        "Connected since Feb. 26, 2026, noon UTC "
        "From 192.0.2.7 browser/1 "
        "Disconnect Notebook, connected since Feb. 26, 2026, noon "
        "Is there one you do not recognise? Disconnect it and change your password. Disconnect all"
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
def test_grant_was_last_used_when_it_was_refreshed_or_started(user, browser, created, refreshed, said):
    GrantFactory(
        user=user, created_at=NOW - created, refreshed_at=None if refreshed is None else NOW - refreshed, scope=""
    )

    [facts] = facts_of(list_page(browser))

    assert facts[0] == f"Last used {said}"


def test_scope_that_the_project_removed_is_shown_by_its_name(user, browser):
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
def test_origin_of_a_grant_is_shown_as_far_as_it_was_recorded(user, browser, client_info, said):
    GrantFactory(user=user, scope="", **client_info)

    [facts] = facts_of(list_page(browser))

    assert facts[2:] == said


def test_long_user_agent_can_be_read_in_full(user, browser):
    user_agent = "Mozilla/5.0 " + "x" * 243
    GrantFactory(user=user, user_agent=user_agent)

    name = "Mozilla"
    page = list_page(browser).content.decode()
    assert f"<summary>{name}</summary><bdi>{user_agent}</bdi></details>" in page


def test_program_that_names_no_more_is_shown_as_it_is(user, browser):
    GrantFactory(user=user, user_agent="node")

    page = list_page(browser).content.decode()

    assert "<bdi>node</bdi>" in page
    assert "<summary>" not in page


def test_grants_are_grouped_by_application_last_used_first(user, browser):
    album, notebook = ApplicationFactory(name="Album"), ApplicationFactory(name="Notebook")
    namesake = ApplicationFactory(name="Album")
    now = datetime.now(UTC)
    started, refreshed, other, third = (
        GrantFactory(
            user=user,
            application=application,
            created_at=now - timedelta(days=days),
            refreshed_at=now - timedelta(days=used),
        )
        for application, days, used in ((album, 3, 3), (album, 9, 2), (notebook, 9, 1), (namesake, 8, 4))
    )
    unused = GrantFactory(user=user, application=namesake, created_at=now - timedelta(hours=1))

    page = list_page(browser)

    assert re.findall(r"</span><bdi>(\w+)</bdi></h2>", page.content.decode()) == ["Album", "Notebook", "Album"]
    assert disconnect_links(page) == [disconnect_url(grant) for grant in (unused, third, other, refreshed, started)]


def test_application_without_a_name_is_shown_by_its_client_id(user, browser):
    GrantFactory(user=user, application__name="", application__client_id="notebook-7")

    assert "N notebook-7 Allowed to" in text_of(list_page(browser))


@pytest.mark.parametrize(
    "arrange",
    [
        grant_of_another_user,
        grant_with_unredeemed_code,
        grant_of_an_inactive_application,
        grant_from_before_a_password_change,
    ],
)
def test_inactive_or_foreign_grant_is_not_listed(user, browser, arrange):
    arrange(user)

    assert text_of(list_page(browser)) == (
        f"Connected applications You are signed in as {user.username} . "
        "No connected applications "
        "Applications that you allow to act for you appear here. You can disconnect them at any time."
    )


@pytest.mark.parametrize("arrange", [revoked_grant, expired_grant])
def test_ended_grant_is_not_listed_among_those_to_disconnect(user, browser, arrange):
    arrange(user)

    page = list_page(browser)

    assert "No connected applications" in text_of(page)
    assert disconnect_links(page) == []


def test_names_and_texts_are_escaped(user, browser, oauth_settings):
    oauth_settings(SCOPES={"notes:read": MALICE})
    type(user).objects.filter(pk=user.pk).update(username=MALICE)
    grant = GrantFactory(user=user, application__name=MALICE, user_agent=MALICE, scope="notes:read x<y")

    listed, asked = list_page(browser), browser.get(disconnect_url(grant))
    done = browser.post(disconnect_url(grant), follow=True)

    assert text_of(listed).count("alert('x')") == 5
    assert text_of(asked).count("alert('x')") == 3
    assert "<script>alert('x')</script>\"&amp; was disconnected." in text_of(done)
    for response in (listed, asked, done):
        assert "<script" not in response.content.decode()


@pytest.mark.urls(__name__)
def test_advice_links_to_the_password_change_page(browser, grant):
    page = list_page(browser)

    assert '<a href="/password/">change your password</a>' in page.content.decode()
    assert "Disconnect it and change your password ." in text_of(page)


# Many grants.


PAGES = {
    "1": ("Page 1 of 3 Next", 25, ["2"]),
    "2": ("Previous Page 2 of 3 Next", 25, ["1", "3"]),
    "3": ("Previous Page 3 of 3", 10, ["2"]),
    "nonsense": ("Page 1 of 3 Next", 25, ["2"]),
    "99": ("Previous Page 3 of 3", 10, ["2"]),
}


@pytest.mark.parametrize(("number", "expected"), PAGES.items(), ids=PAGES)
def test_page_shows_twenty_five_grants(browser, user, number, expected):
    make_grants(user, 60)

    page = list_page(browser, page=number)

    said, count, links = expected
    assert f" {said} Is there one" in text_of(page)
    assert len(disconnect_links(page)) == count
    assert re.findall(r'href="\?page=(\d+)"', page.content.decode()) == links


def test_single_page_has_no_links_to_others(browser, user):
    make_grants(user, 25)

    assert "Page 1" not in text_of(list_page(browser))


@pytest.mark.parametrize("count", [10, 1_000])
def test_list_costs_five_statements_for_any_number_of_grants(browser, user, count):
    make_grants(user, count)

    with CaptureQueriesContext(connection) as queries:
        list_page(browser)

    assert statements(queries) == ["SELECT", "SELECT", "SELECT grant", "SELECT grant", "SELECT grant"]


# Settings of the host project.


def test_pages_work_without_the_messages_app(browser, grant, settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "messages" not in name]
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "django.contrib.messages"]

    response = browser.post(disconnect_url(grant), follow=True)

    assert response.redirect_chain == [(url("applications"), HTTPStatus.FOUND)]
    assert "No connected applications" in text_of(response)


def test_pages_need_no_context_processor(browser, grant, user, settings):
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

    response = browser.post(disconnect_url(grant), follow=True)

    assert "Notebook was disconnected." in text_of(response)
    assert f"You are signed in as {user.username} ." in text_of(response)


@pytest.mark.urls(__name__)
def test_pages_link_to_pages_of_the_same_mount(browser, grant):
    page = browser.get("/other/applications/").content.decode()
    response = browser.post(f"/other/applications/{grant.public_id}/revoke")

    assert re.findall(r'href="(/o\w+/[^"]*)"', page) == [
        f"/other/applications/{grant.public_id}/revoke",
        "/other/applications/revoke",
    ]
    assert response.headers["Location"] == "/other/applications"


def test_pages_read_from_the_write_database(browser, address, settings):
    settings.DATABASE_ROUTERS = [LaggingReplica()]

    assert browser.get(address).status_code == HTTPStatus.OK
