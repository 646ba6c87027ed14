"""The pages where a user disconnects one application, or all of them."""

import uuid
from datetime import UTC, datetime
from http import HTTPStatus

import pytest
import time_machine
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from oauth_refresh.models import Application, Grant
from oauth_refresh.services import revoke_grant
from oauth_refresh.signals import grant_revoked, grants_revoked
from tests.database import database_snapshot
from tests.factories import SECRET, GrantFactory, UserFactory
from tests.grants import (
    expired_grant,
    grant_from_before_a_password_change,
    grant_of_an_inactive_application,
    grant_of_another_user,
    grant_with_unredeemed_code,
    make_grants,
    revoked_grant,
)
from tests.interference import run_after_select
from tests.oauth import OAuthClient
from tests.queries import statements
from tests.signals import recorded
from tests.user_pages.pages import LOGIN, assert_back_at_the_list, disconnect_url, list_page, signed_in, text_of, url

# Disconnect one application.


def test_get_asks_and_changes_nothing(user):
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False):
        grant = GrantFactory(user=user, application__name="Notebook", address="192.0.2.7")
        before = database_snapshot()
        response = signed_in(user).get(disconnect_url(grant))

    assert response.status_code == HTTPStatus.OK
    assert text_of(response) == (
        "Disconnect Notebook? "
        "Allowed to Read your notes Write your notes Last used just now Connected since March 1, 2026, noon UTC "
        "From 192.0.2.7 "
        "This connection ends at once. Other connections of the same application stay. "
        "Disconnect Cancel"
    )
    assert database_snapshot() == before


def test_disconnected_application_can_no_longer_refresh(browser, user, client_app):
    response = browser.post(disconnect_url(client_app.grant))

    assert_back_at_the_list(browser, response, f"{client_app.application} was disconnected.")
    grant = Grant.objects.get()
    assert (grant.revoked_reason, grant.revoked_by) == ("user_request", user)
    refused = client_app.refresh()
    assert (refused.status_code, refused.json()["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_grant")


def test_other_grants_stay_active(browser, user, client_app):
    others = [OAuthClient(client_app.application, SECRET).start(user=owner) for owner in (user, UserFactory())]

    browser.post(disconnect_url(client_app.grant))

    assert [other.refresh().status_code for other in others] == [HTTPStatus.OK, HTTPStatus.OK]


def test_message_says_that_other_connections_of_the_application_stay(browser, user, grant):
    GrantFactory(user=user, application=grant.application)

    response = browser.post(disconnect_url(grant))

    assert_back_at_the_list(browser, response, "One connection of Notebook was ended. The others stay.")


def test_message_ignores_connections_of_other_users(browser, grant):
    GrantFactory(application=grant.application)

    response = browser.post(disconnect_url(grant))

    assert_back_at_the_list(browser, response, "Notebook was disconnected.")


def test_signal_carries_the_grant_and_the_user(browser, user, grant, django_capture_on_commit_callbacks):
    with recorded(grant_revoked) as sent, django_capture_on_commit_callbacks(execute=True):
        browser.post(disconnect_url(grant))

    assert [(kwargs["grant"], kwargs["reason"], kwargs["by"]) for kwargs in sent] == [(grant, "user_request", user)]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    "arrange", [revoked_grant, expired_grant, grant_of_an_inactive_application, grant_from_before_a_password_change]
)
def test_inactive_grant_is_reported_as_already_disconnected(browser, user, arrange, method):
    grant = arrange(user)

    response = getattr(browser, method)(disconnect_url(grant))

    assert_back_at_the_list(browser, response, f"{grant.application} was already disconnected.")


@pytest.mark.parametrize("method", ["get", "post"])
def test_first_revocation_reason_is_kept(browser, user, method):
    grant = GrantFactory(user=user, revoked=True)
    before = database_snapshot()

    getattr(browser, method)(disconnect_url(grant))

    assert database_snapshot() == before


def test_grant_of_an_inactive_application_is_revoked_too(browser, user):
    grant = GrantFactory(user=user, application__is_active=False)

    browser.post(disconnect_url(grant))
    Application.objects.update(is_active=True)

    assert not Grant.objects.get().is_live


def test_concurrent_revocation_keeps_its_reason(browser, grant):
    with run_after_select(Grant, lambda: revoke_grant(grant, reason="breach")):
        response = browser.post(disconnect_url(grant))

    assert_back_at_the_list(browser, response, "Notebook was already disconnected.")
    assert Grant.objects.get().revoked_reason == "breach"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("arrange", [grant_of_another_user, grant_with_unredeemed_code])
def test_grant_of_another_user_or_with_an_unredeemed_code_is_not_found(browser, user, arrange, method):
    arrange(user)
    before = database_snapshot()

    response = getattr(browser, method)(disconnect_url(Grant.objects.get()))

    assert response.status_code == HTTPStatus.NOT_FOUND
    assert database_snapshot() == before


@pytest.mark.parametrize("method", ["get", "post"])
def test_unknown_grant_is_not_found(browser, method):
    response = getattr(browser, method)(url("application_revoke", uuid.uuid4()))

    assert response.status_code == HTTPStatus.NOT_FOUND


def test_disconnecting_costs_six_statements(browser, user, grant):
    make_grants(user, 100)

    with CaptureQueriesContext(connection) as queries:
        browser.post(disconnect_url(grant))

    changed = ["UPDATE grant", "INSERT revocationnotice"]
    assert statements(queries) == ["SELECT", "SELECT", "SELECT grant", *changed, "SELECT grant"]


# Disconnect all.


@pytest.mark.parametrize(("count", "said"), [(1, "1 connection ends at once."), (30, "30 connections end at once.")])
def test_get_asks_before_all_are_disconnected(browser, user, count, said):
    make_grants(user, count)
    before = database_snapshot()

    response = browser.get(url("applications_revoke"))

    assert text_of(response) == (
        f"Disconnect all applications? {said} You can connect each application again at any time. Disconnect all Cancel"
    )
    assert database_snapshot() == before


@pytest.mark.parametrize(("count", "said"), [(1, "1 connection was ended."), (30, "30 connections were ended.")])
def test_post_disconnects_all_and_shows_how_many_there_were(browser, user, count, said):
    make_grants(user, count)

    response = browser.post(url("applications_revoke"))

    assert_back_at_the_list(browser, response, said)
    assert set(Grant.objects.values_list("revoked_reason", "revoked_by")) == {("user_request", user.pk)}


def test_disconnecting_all_revokes_grants_that_the_list_does_not_show(browser, user):
    grant_with_unredeemed_code(user)
    grant_of_an_inactive_application(user)
    grant_from_before_a_password_change(user)

    response = browser.post(url("applications_revoke"))

    assert_back_at_the_list(browser, response, "3 connections were ended.")
    assert not Grant.objects.unrevoked().exists()


def test_disconnecting_all_does_not_affect_other_users(browser, client_app):
    other = OAuthClient(client_app.application, SECRET).start(user=UserFactory())

    browser.post(url("applications_revoke"))

    assert client_app.refresh().json()["error"] == "invalid_grant"
    assert other.refresh().status_code == HTTPStatus.OK


def test_one_signal_carries_all_grants(browser, user, django_capture_on_commit_callbacks):
    make_grants(user, 3)

    with recorded(grants_revoked) as sent, django_capture_on_commit_callbacks(execute=True):
        browser.post(url("applications_revoke"))

    [revocation_id] = set(Grant.objects.values_list("revocation_id", flat=True))
    assert [{name: value for name, value in kwargs.items() if name != "sender"} for kwargs in sent] == [
        {
            "selector": Q(user=user),
            "count": 3,
            "reason": "user_request",
            "by": user,
            "revocation_id": revocation_id,
        }
    ]


@pytest.mark.parametrize("method", ["get", "post"])
def test_user_without_active_grants_reads_that_all_were_disconnected(browser, user, method):
    revoked_grant(user)

    response = getattr(browser, method)(url("applications_revoke"))

    assert_back_at_the_list(browser, response, "All applications were already disconnected.")


@pytest.mark.parametrize("count", [10, 1_000])
def test_disconnecting_all_costs_one_update_for_any_number_of_grants(browser, user, count):
    make_grants(user, count)

    with CaptureQueriesContext(connection) as queries:
        browser.post(url("applications_revoke"))

    notice = ["INSERT revocationnotice"] if count else []
    assert statements(queries) == ["SELECT", "SELECT", "UPDATE grant", *notice]
    assert not Grant.objects.unrevoked().exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic_requests", [False, True], ids=["without ATOMIC_REQUESTS", "with ATOMIC_REQUESTS"])
@pytest.mark.parametrize("name", ["application_revoke", "applications_revoke"])
def test_revocation_is_committed_and_signalled(browser, grant, monkeypatch, atomic_requests, name):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic_requests)
    signal, args = {
        "application_revoke": (grant_revoked, [grant.public_id]),
        "applications_revoke": (grants_revoked, []),
    }[name]

    with recorded(signal) as sent:
        browser.post(url(name, *args))

    assert [kwargs["reason"] for kwargs in sent] == ["user_request"]
    assert Grant.objects.get().revoked_reason == "user_request"


# All grants of one application.


def all_of(grant):
    return url("application_revoke_all", grant.public_id)


def test_application_with_several_grants_offers_to_disconnect_all_of_them(user, browser, grant):
    single = list_page(browser)
    other = GrantFactory(user=user, application=grant.application)

    several = list_page(browser)

    assert "Disconnect all of Notebook" not in text_of(single)
    assert "Disconnect all of Notebook" in text_of(several)
    assert all_of(other) in several.content.decode()


def test_all_grants_of_one_application_are_disconnected(user, browser, grant):
    GrantFactory(user=user, application=grant.application)
    others = [GrantFactory(user=user), GrantFactory(application=grant.application)]
    question = browser.get(all_of(grant))

    response = browser.post(all_of(grant))

    assert "Disconnect all of Notebook? 2 connections end at once." in text_of(question)
    assert_back_at_the_list(browser, response, "Notebook was disconnected.")
    assert list(Grant.objects.filter(revoked_at=None).order_by("pk")) == others


@pytest.mark.parametrize("method", ["get", "post"])
def test_application_is_not_disconnected_twice(browser, grant, method):
    browser.post(all_of(grant))
    list_page(browser)

    response = getattr(browser, method)(all_of(grant))

    assert_back_at_the_list(browser, response, "Notebook was already disconnected.")


@pytest.mark.parametrize("method", ["get", "post"])
def test_application_is_not_disconnected_by_another_users_grant(browser, method):
    grant = GrantFactory()

    response = getattr(browser, method)(all_of(grant))

    assert response.status_code == HTTPStatus.NOT_FOUND
    assert Grant.objects.get().revoked_at is None


# Back to where the user came from.


@pytest.mark.parametrize("name", ["application_revoke", "application_revoke_all", "applications_revoke"])
def test_user_comes_back_to_the_page_of_the_list_and_the_page_before_it(browser, grant, name):
    trail = "page=2&next=%2Faccount%2F%3Ftab%3Dapps"
    address = f"{url(name, *([] if name == 'applications_revoke' else [grant.public_id]))}?{trail}"

    question, response = browser.get(address), browser.post(address)

    assert f'href="{url("applications")}?{trail.replace("&", "&amp;")}">Cancel' in question.content.decode()
    assert response.headers["Location"] == f"{url('applications')}?{trail}"


def test_list_links_back_to_the_page_that_led_to_it(user, browser):
    GrantFactory.create_batch(26, user=user)

    page = browser.get(url("applications"), {"next": "/account/"}).content.decode()

    assert '<a href="/account/">Back</a>' in page
    assert 'href="?page=2&amp;next=%2Faccount%2F"' in page
    assert page.count("/revoke?next=%2Faccount%2F") == 26


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example/",
        "javascript:alert(1)",
        "/\\evil.example",
        "/" * 2 + "x",
        "/" + "x" * 500,
    ],
)
def test_list_leads_back_to_pages_of_this_site_only(browser, grant, back):
    page = browser.get(url("applications"), {"next": back}).content.decode()

    assert "Back</a>" not in page
    assert "next=" not in page


def test_visitor_comes_back_by_way_of_signing_in(client):
    response = client.get(url("applications"), {"next": "/account/", "other": "x"})

    assert response.headers["Location"] == f"{LOGIN}{url('applications')}%3Fnext%3D%252Faccount%252F"
