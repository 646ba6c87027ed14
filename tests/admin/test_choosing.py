"""Users and applications are chosen by name: names are proposed to those who may see them."""

import re
from http import HTTPStatus

import pytest

from oauth_refresh.models import Application
from tests.admin.applications import NEW
from tests.admin.pages import admin_url, browser, column, form_errors, links, page_text, staff
from tests.factories import ApplicationFactory, GrantFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def people(db):
    for name in ("alice", "alice.b", "bob", "<b>alice"):
        UserFactory(username=name)


def proposals(client, page, text):
    response = client.get(admin_url(page), {"q": text})
    assert response.status_code == HTTPStatus.OK
    return [value for value, _title in response.json()["proposals"]]


def proposed_on(response):
    """Return the names that the page itself proposes."""
    return re.findall(
        r'<option value="([^"]*)">', response.content.decode().partition("<datalist")[2].partition("</datalist>")[0]
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [("alice", ["<b>alice", "alice", "alice.b"]), ("BOB", ["bob"]), ("", []), (" ", []), ("\0", []), ("nobody", [])],
)
def test_users_are_proposed_by_a_part_of_their_name(admin_browser, text, names):
    assert proposals(admin_browser, "application_users", text) == names


def test_at_most_twenty_names_are_proposed(admin_browser):
    for number in range(30):
        UserFactory(username=f"carol{number}")

    assert len(proposals(admin_browser, "application_users", "carol")) == 20


@pytest.mark.parametrize(
    ("text", "found"), [("note", ["web"]), ("WEB", ["web"]), ("", []), ("\0", []), ("mail", ["mail", "mail-2"])]
)
def test_applications_are_proposed_by_name_and_client_id(admin_browser, text, found):
    for client_id, name in (("web", "Notes"), ("mail", "Mail"), ("mail-2", "Mail")):
        ApplicationFactory(client_id=client_id, name=name)

    assert proposals(admin_browser, "application_names", text) == found


@pytest.mark.parametrize(
    ("permissions", "users", "applications"),
    [
        ([], HTTPStatus.FORBIDDEN, HTTPStatus.FORBIDDEN),
        (["view_user"], HTTPStatus.FORBIDDEN, HTTPStatus.FORBIDDEN),
        (["view_application"], HTTPStatus.FORBIDDEN, HTTPStatus.OK),
        (["view_application", "view_user"], HTTPStatus.OK, HTTPStatus.OK),
    ],
)
def test_names_are_proposed_to_staff_who_may_view_them(permissions, users, applications):
    client = browser(staff(*permissions))

    answers = [client.get(admin_url(page), {"q": "a"}) for page in ("application_users", "application_names")]

    assert [answer.status_code for answer in answers] == [users, applications]


def test_unknown_owner_is_answered_with_names_alike(admin_browser):
    response = admin_browser.post(admin_url("application_add"), NEW | {"owner": "lice"})

    assert form_errors(response) == {"owner": ["There is no user of that name. Names alike: <b>alice, alice, alice.b"]}
    assert proposed_on(response) == ["&lt;b&gt;alice", "alice", "alice.b"]
    assert not Application.objects.exists()


def test_owner_is_shown_by_name_and_may_be_taken_away(admin_browser):
    application = ApplicationFactory(owner=UserFactory(username="carol"), redirect_uris=NEW["redirect_uris"])
    url = admin_url("application_change", application.pk)

    shown = admin_browser.get(url).content.decode()
    admin_browser.post(url, NEW | {"owner": ""})

    assert 'name="owner" value="carol"' in shown
    assert Application.objects.get().owner is None


@pytest.mark.parametrize(("permissions", "alike"), [([], ""), (["view_user"], " Names alike: bob")])
def test_staff_who_may_not_view_users_type_the_whole_name_of_one(permissions, alike):
    url = admin_url("application_tokens", ApplicationFactory().pk)
    client = browser(staff("view_application", "issue_tokens", *permissions))

    response = client.post(url, {"username": "bo", "scope": ["notes:read"]})

    assert form_errors(response) == {"username": [f"There is no user of that name.{alike}"]}
    assert (admin_url("application_users") in response.content.decode()) == bool(permissions)


def test_long_list_of_applications_is_filtered_by_a_field(admin_browser):
    many = [ApplicationFactory() for _number in range(31)]
    grant = GrantFactory(application=many[0])
    GrantFactory(application=many[1])

    page = admin_browser.get(admin_url("grant_changelist", state="active"))
    found = admin_browser.get(admin_url("grant_changelist", state="active", client_id=grant.application.client_id))

    html = page.content.decode()
    assert f'data-proposals="{admin_url("application_names")}"' in html
    assert '<input type="hidden" name="state" value="active">' in html
    assert len(column(found, "state")) == 1
    assert "?state=active" in links(found)
    assert "?state=active" not in [link for link in links(page) if link == "?"]


def test_staff_who_may_not_view_applications_get_no_field():
    for _number in range(31):
        ApplicationFactory()

    page = browser(staff("view_grant")).get(admin_url("grant_changelist"))

    assert "data-proposals" not in page.content.decode()
    assert "By application" in page_text(page)
