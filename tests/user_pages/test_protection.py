"""Who may open the pages of connected applications, and what protects these pages."""

import logging
from http import HTTPStatus

import pytest
from django.test import Client

from oauth_refresh.models import Grant
from tests.consent import read_answer
from tests.database import database_snapshot
from tests.user_pages.pages import LOGIN, assert_back_at_the_list, disconnect_url, text_of, token_of, url


@pytest.mark.parametrize("slash", ["", "/"])
def test_page_answers_with_and_without_a_slash(browser, address, slash):
    assert browser.get(address + slash).status_code == HTTPStatus.OK


@pytest.mark.parametrize("slash", ["", "/"])
def test_form_is_accepted_with_and_without_a_slash(browser, grant, slash):
    response = browser.post(disconnect_url(grant) + slash)

    assert_back_at_the_list(browser, response, "was disconnected.")


@pytest.mark.parametrize("method", ["get", "post"])
def test_anonymous_visitor_is_sent_to_sign_in_and_nothing_changes(address, method):
    before = database_snapshot()

    response = getattr(Client(), method)(address)

    assert response.status_code == HTTPStatus.FOUND
    assert response.headers["Location"] == f"{LOGIN}{address}"
    assert database_snapshot() == before


def test_visitor_returns_to_the_same_page_of_the_list(db):
    response = Client().get(url("applications"), {"page": "2"})

    assert response.headers["Location"] == f"{LOGIN}/oauth/applications%3Fpage%3D2"


QUERIES = {
    "long": "x=" + "y" * 20_000,
    "too many fields": "&a" * 2_000,
    "NUL and broken UTF-8": "%00=%ED%A0%80&%FF",
    "long page": "page=" + "9" * 20_000,
    "page that is no number": "page=%26next%3Dhttps://evil.example",
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_visitor_with_a_malformed_query_is_sent_to_sign_in_without_it(address, caplog, query):
    response = Client().get(address, QUERY_STRING=query)

    assert response.status_code == HTTPStatus.FOUND
    assert response.headers["Location"] == f"{LOGIN}{address}"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_visitor_returns_from_a_login_page_on_another_host(address, settings):
    settings.LOGIN_URL = "https://login.example/sign-in?theme=dark"

    response = Client().get(address)

    assert read_answer(response) == {"theme": "dark", "next": f"http://testserver{address}"}


def test_project_keeps_its_content_security_policy(browser, address):
    assert "Content-Security-Policy" not in browser.get(address).headers


def test_deactivated_user_disconnects_nothing(browser, user, grant):
    type(user).objects.update(is_active=False)
    before = database_snapshot()

    response = browser.post(disconnect_url(grant))

    assert response.headers["Location"].startswith(LOGIN)
    assert database_snapshot() == before


def test_pages_work_where_all_pages_require_a_login(browser, address, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]

    assert browser.get(address).status_code == HTTPStatus.OK
    assert Client().get(address).headers["Location"] == f"{LOGIN}{address}"


def test_plain_http_is_refused_before_a_required_login(address, settings, oauth_settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    oauth_settings(REQUIRE_HTTPS=True)

    assert Client().get(address).status_code == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("method", ["get", "post"])
def test_plain_http_is_refused_and_changes_nothing(browser, address, oauth_settings, method):
    oauth_settings(REQUIRE_HTTPS=True)
    before = database_snapshot()

    response = getattr(browser, method)(address)

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert text_of(response) == (
        "This link does not work This page must be opened over https. "
        "Nothing was shown or changed. Open the page again with https:// at the start of its URL."
    )
    assert response.headers["X-Frame-Options"] == "DENY"
    assert database_snapshot() == before


def test_page_is_shown_over_https(browser, address, oauth_settings):
    oauth_settings(REQUIRE_HTTPS=True)

    assert browser.get(address, secure=True).status_code == HTTPStatus.OK


def test_page_is_not_framed_not_stored_and_not_sent_as_a_referrer(browser, address):
    headers = browser.get(address).headers

    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert {"no-store", "private"} <= set(headers["Cache-Control"].split(", "))


def test_page_works_without_scripts(browser, address):
    page = browser.get(address).content.decode()

    assert "<script" not in page
    assert page.count("<form") == page.count('<form method="post"') == (0 if address == url("applications") else 1)


def test_redirect_to_the_list_is_not_stored(browser, grant):
    assert "no-store" in browser.post(disconnect_url(grant)).headers["Cache-Control"]


@pytest.mark.parametrize("name", ["application_revoke", "applications_revoke"])
def test_form_of_the_page_is_accepted(strict_browser, grant, name):
    address = url(name, *([grant.public_id] if name == "application_revoke" else []))

    strict_browser.post(address, {"csrfmiddlewaretoken": token_of(strict_browser.get(address))})

    assert Grant.objects.get().revoked_reason == "user_request"


@pytest.mark.usefixtures("csrf_middleware")
@pytest.mark.parametrize("token", ["", "x" * 64], ids=["none", "another"])
def test_form_without_the_csrf_token_changes_nothing(strict_browser, address, token):
    strict_browser.get(address)
    before = database_snapshot()

    response = strict_browser.post(address, {"csrfmiddlewaretoken": token})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert database_snapshot() == before


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_form_of_another_origin_changes_nothing(strict_browser, grant, origin):
    form = {"csrfmiddlewaretoken": token_of(strict_browser.get(disconnect_url(grant)))}
    before = database_snapshot()

    response = strict_browser.post(disconnect_url(grant), form, headers={"Origin": origin})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert database_snapshot() == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_change_nothing(browser, address, method):
    before = database_snapshot()

    response = browser.generic(method, address)

    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert database_snapshot() == before


def test_list_accepts_no_form(browser, grant):
    assert browser.post(url("applications")).status_code == HTTPStatus.METHOD_NOT_ALLOWED
