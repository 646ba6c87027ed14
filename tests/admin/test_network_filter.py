"""Lists filtered by the address or network that their rows came from, and everything it touched revoked at once."""

from http import HTTPStatus

import pytest

from oauth_refresh.admin import network_filter
from oauth_refresh.models import Grant
from oauth_refresh.services import networks
from tests.admin.pages import Forms, admin_url, browser, definitions, form_with, links, messages_on, page_text, staff
from tests.factories import GrantEventFactory, GrantFactory, RefreshTokenFactory

pytestmark = pytest.mark.django_db

LISTS = ["grant", "refreshtoken", "grantevent"]
VIEW = tuple(f"view_{name}" for name in LISTS)
NONSENSE = "Nothing is listed: write an address or a network, such as 192.0.2.1, 10.0.0.0/8, 2001:db8::/32."


@pytest.fixture
def touched():
    """Grants that were started, refreshed and misused from 10.0.0.0/8, in this order; others were touched by others."""
    grants = [
        GrantFactory(address="10.0.0.1"),
        RefreshTokenFactory(address="10.0.0.2").grant,
        GrantEventFactory(address="10.0.0.3").grant,
    ]
    GrantFactory(address="192.0.2.1")
    RefreshTokenFactory(address="2001:db8::1", grant=GrantFactory(address="2001:db8::2"))
    GrantEventFactory(address="192.0.2.1", grant=GrantFactory(address=None))
    GrantFactory(address="10.0.0.9", generation=0)  # never started
    return grants


def listed(client, name, **query):
    response = client.get(admin_url(f"{name}_changelist", **query))
    assert response.status_code == HTTPStatus.OK
    return response, list(response.context["cl"].result_list)


def test_grants_are_listed_that_a_network_touched(admin_browser, touched):
    for text, expected in {
        "10.0.0.0/8": touched,
        "10.0.0.2": touched[1:2],
        " 10.0.0.0/30 ": touched,
        "172.16.0.0/12": [],
    }.items():
        assert set(listed(admin_browser, "grant", address=text)[1]) == set(expected), text


def test_refreshes_and_events_are_listed_that_came_from_a_network(admin_browser, touched):
    assert [row.grant for row in listed(admin_browser, "refreshtoken", address="10.0.0.0/8")[1]] == [touched[1]]
    assert [row.grant for row in listed(admin_browser, "grantevent", address="10.0.0.0/8")[1]] == [touched[2]]
    assert len(listed(admin_browser, "refreshtoken", address="2001:db8::/32")[1]) == 1


@pytest.mark.parametrize("text", ["nonsense", "10.0.0.0/99", "::1::", "192.0.2.1; DROP TABLE"])
@pytest.mark.parametrize("name", LISTS)
def test_nonsense_lists_nothing_and_says_what_to_write(admin_browser, touched, name, text):
    response, rows = listed(admin_browser, name, address=text)

    assert (rows, messages_on(response)) == ([], [("warning", NONSENSE)])
    assert f'value="{text}"' in response.content.decode()


@pytest.mark.parametrize("text", ["", "  "])
def test_empty_field_filters_nothing(admin_browser, touched, text):
    assert len(listed(admin_browser, "grant", address=text)[1]) == Grant.objects.filter(generation__gt=0).count()


def test_nonsense_revokes_nothing(admin_browser, touched):
    page = admin_browser.get(admin_url("grant_revoke_list", address="nonsense"))

    assert "Nothing to revoke" in page_text(page)


def test_search_finds_what_an_address_touched(admin_browser, touched):
    assert set(listed(admin_browser, "grant", q="10.0.0.0/8")[1]) == set(touched)
    assert listed(admin_browser, "grant", q=f"10.0.0.0/8 {touched[1].user.username}")[1] == touched[1:2]


@pytest.mark.parametrize("name", LISTS)
def test_every_list_counts_what_the_network_touched_and_leads_there(admin_browser, touched, name):
    response, _rows = listed(admin_browser, name, address="10.0.0.1/8")

    assert definitions(response) == {"Grants": "3", "Refreshes": "1", "Events": "1"}
    for other in LISTS:
        assert admin_url(f"{other}_changelist", address="10.0.0.0/8") in links(response)


def test_many_rows_are_not_counted_to_the_end(admin_browser, touched, monkeypatch):
    monkeypatch.setattr(network_filter, "_MOST_COUNTED", 2)

    assert definitions(listed(admin_browser, "grant", address="10.0.0.0/8")[0])["Grants"] == "more than 2"


def test_everything_a_network_touched_is_revoked_from_a_list_of_events(admin_browser, touched):
    others = set(Grant.objects.filter(generation__gt=0)) - set(touched)
    response, _rows = listed(admin_browser, "grantevent", address="10.0.0.0/8")
    [url] = [url for url in links(response) if "revoke" in url]

    page = admin_browser.get(url)
    response = admin_browser.post(url, form_with(page, "confirm") | {"reason": "robbed"}, follow=True)

    assert definitions(page)["grants"] == "3"
    assert messages_on(response) == [("success", "3 grants were revoked.")]
    assert set(Grant.objects.filter(revoked_reason="robbed")) == set(touched)
    assert {grant.revoked_at for grant in others} == {None}


def test_revocation_is_offered_only_to_staff_who_may(touched):
    for person, may in ((staff(*VIEW), False), (staff(*VIEW, "revoke_grant"), True)):
        response, _rows = listed(browser(person), "grantevent", address="10.0.0.0/8")
        assert any("revoke" in url for url in links(response)) is may


def test_lists_that_staff_may_not_view_are_counted_without_a_link(touched):
    response, _rows = listed(browser(staff("view_grantevent", "revoke_grant")), "grantevent", address="10.0.0.0/8")

    assert definitions(response) == {"Grants": "3", "Refreshes": "1", "Events": "1"}
    assert [url for url in links(response) if "/?address=" in url] == [
        admin_url("grantevent_changelist", address="10.0.0.0/8")
    ]


def test_form_keeps_the_other_filters_and_drops_the_page(admin_browser, touched):
    response, _rows = listed(
        admin_browser, "grantevent", address="10.0.0.1", kind__exact="reused", p="1", time="happened"
    )

    form, *_others = [form for form in Forms(response.content.decode()).forms if "address" in form]
    assert form == {"address": ["10.0.0.1"], "kind__exact": ["reused"], "time": ["happened"]}


@pytest.mark.parametrize("name", LISTS)
def test_network_that_is_too_large_for_the_database_lists_nothing(
    admin_browser, touched, compares_texts, monkeypatch, name
):
    monkeypatch.setattr(networks, "MOST_ADDRESSES", 0)

    response, rows = listed(admin_browser, name, address="10.0.0.0/8")

    text = "Nothing is listed: more than 10000 addresses of this network are stored. Choose a smaller one."
    assert (rows, messages_on(response), definitions(response)) == ([], [("warning", text)], {})
