"""Who may open the pages about a user's applications, and what protects those pages."""

from http import HTTPStatus

import pytest
from django.test import Client

from oauth_refresh.models import Grant
from tests.interference import everything
from tests.web.pages import LOGIN, assert_back_at_the_list, sign_out_url, text_of, token_of, url


@pytest.mark.parametrize("slash", ["", "/"])
def test_page_answers_with_and_without_a_slash(browser, address, slash):
    assert browser.get(address + slash).status_code == HTTPStatus.OK


@pytest.mark.parametrize("slash", ["", "/"])
def test_form_is_taken_with_and_without_a_slash(browser, session, slash):
    response = browser.post(sign_out_url(session) + slash)

    assert_back_at_the_list(browser, response, "was signed out.")


@pytest.mark.parametrize("method", ["get", "post"])
def test_stranger_signs_in_and_nothing_has_changed(address, method):
    before = everything()

    response = getattr(Client(), method)(address)

    assert response.status_code == HTTPStatus.FOUND
    assert response.headers["Location"] == f"{LOGIN}{address}"
    assert everything() == before


def test_stranger_comes_back_to_the_page_of_the_list(db):
    response = Client().get(url("applications"), {"page": "2"})

    assert response.headers["Location"] == f"{LOGIN}/oauth/applications%3Fpage%3D2"


def test_who_was_deactivated_signs_nobody_out(browser, user, session):
    type(user).objects.update(is_active=False)
    before = everything()

    response = browser.post(sign_out_url(session))

    assert response.headers["Location"].startswith(LOGIN)
    assert everything() == before


def test_pages_work_where_all_pages_require_a_login(browser, address, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]

    assert browser.get(address).status_code == HTTPStatus.OK
    assert Client().get(address).headers["Location"] == f"{LOGIN}{address}"


def test_refusal_in_the_clear_is_for_everybody_where_all_pages_require_a_login(address, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "REQUIRE_HTTPS": True}

    assert Client().get(address).status_code == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("method", ["get", "post"])
def test_page_is_refused_in_the_clear_and_nothing_has_changed(browser, address, settings, method):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "REQUIRE_HTTPS": True}
    before = everything()

    response = getattr(browser, method)(address)

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert text_of(response) == (
        "This link does not work This page must be opened by https. "
        "Nothing was shown or changed. Open it again, with https:// in front of its address."
    )
    assert "form-action 'none'" in response.headers["Content-Security-Policy"]
    assert everything() == before


def test_page_is_shown_by_https(browser, address, settings):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "REQUIRE_HTTPS": True}

    assert browser.get(address, secure=True).status_code == HTTPStatus.OK


def test_page_is_neither_framed_nor_stored_nor_told_to_other_sites(browser, address):
    headers = browser.get(address).headers

    assert headers["Content-Security-Policy"] == (
        "frame-ancestors 'none'; form-action 'self'; base-uri 'none'; object-src 'none'"
    )
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert {"no-store", "private"} <= set(headers["Cache-Control"].split(", "))


def test_page_works_without_scripts(browser, address):
    page = browser.get(address).content.decode()

    assert "<script" not in page
    assert page.count("<form") == page.count('<form method="post"') == (0 if address == url("applications") else 1)


def test_way_back_to_the_list_is_not_stored(browser, session):
    assert "no-store" in browser.post(sign_out_url(session)).headers["Cache-Control"]


@pytest.mark.parametrize("name", ["application_revoke", "applications_revoke"])
def test_form_of_the_page_is_accepted(strict_browser, session, name):
    address = url(name, *([session.public_id] if name == "application_revoke" else []))

    strict_browser.post(address, {"csrfmiddlewaretoken": token_of(strict_browser.get(address))})

    assert Grant.objects.get().revoked_reason == "user_request"


@pytest.mark.usefixtures("csrf_middleware")
@pytest.mark.parametrize("token", ["", "x" * 64], ids=["none", "another"])
def test_form_without_the_token_of_the_page_ends_nothing(strict_browser, address, token):
    strict_browser.get(address)
    before = everything()

    response = strict_browser.post(address, {"csrfmiddlewaretoken": token})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert everything() == before


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_form_of_another_origin_ends_nothing(strict_browser, session, origin):
    form = {"csrfmiddlewaretoken": token_of(strict_browser.get(sign_out_url(session)))}
    before = everything()

    response = strict_browser.post(sign_out_url(session), form, headers={"Origin": origin})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert everything() == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_end_nothing(browser, address, method):
    before = everything()

    response = browser.generic(method, address)

    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert everything() == before


def test_list_takes_no_form(browser, session):
    assert browser.post(url("applications")).status_code == HTTPStatus.METHOD_NOT_ALLOWED
