"""``prompt`` at the authorization endpoint, in the words of OpenID Connect Core §3.1.2.1."""

import logging
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.views import LoginView
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import path

from oauth_refresh.models import Application, Grant
from tests.conformance.redirects import read_error
from tests.consent import REDIRECT_URI, read_answer, start_flow
from tests.database import database_snapshot
from tests.factories import PASSWORD, UserFactory
from tests.routers import BrokenRouter
from tests.urls import urlpatterns as tests_urlpatterns
from tests.user_pages.pages import LOGIN, text_of

LOGIN_REQUIRED = {
    "error": "login_required",
    "error_description": "The user is not signed in, and prompt=none forbids asking.",
}
CONSENT_REQUIRED = {
    "error": "consent_required",
    "error_description": "The user has not allowed this yet, and prompt=none forbids asking.",
}
NONE_ALONE = {"error": "invalid_request", "error_description": "The prompt none excludes all others."}

SIGN_IN = LoginView.as_view(redirect_authenticated_user=True, template_name="admin/login.html")

urlpatterns = [path("login/", SIGN_IN, name="login"), *tests_urlpatterns]


@pytest.fixture
def flow(user):
    return start_flow(user)


@pytest.fixture
def remembered(flow):
    """A flow whose user allowed the request before."""
    flow.redeem(flow.code())
    return flow


@pytest.fixture
def trusted(user):
    return start_flow(user, is_trusted=True)


def assert_asks(response):
    assert response.status_code == HTTPStatus.OK
    assert "to act for you?" in text_of(response)


def assert_answers(response):
    assert response.status_code == HTTPStatus.SEE_OTHER
    assert read_answer(response)["code"].startswith("oac_")


def sign_in(flow, login, *, username):
    """Send the form of the login page that ``login`` redirects to; return where that leads."""
    response = flow.browser.post(login.headers["Location"], {"username": username, "password": PASSWORD})
    assert response.status_code == HTTPStatus.FOUND
    return response.headers["Location"]


# none


def test_none_is_answered_without_a_page_where_the_user_allowed_it_before(remembered):
    assert_answers(remembered.ask(prompt="none"))


def test_none_is_answered_without_a_page_for_a_trusted_application(trusted):
    assert_answers(trusted.ask(prompt="none"))


def test_none_needs_consent(flow):
    before = database_snapshot()

    response = flow.ask(prompt="none")

    assert read_error(response, redirect_uri=REDIRECT_URI) == CONSENT_REQUIRED
    assert database_snapshot() == before


def test_none_needs_consent_to_all_that_is_requested(remembered):
    response = remembered.ask(prompt="none", scope="notes:read notes:write")

    assert read_error(response, redirect_uri=REDIRECT_URI) == CONSENT_REQUIRED


def test_none_needs_consent_each_time_where_consent_is_not_remembered(remembered, oauth_settings):
    oauth_settings(REMEMBER_CONSENT=False)

    assert read_error(remembered.ask(prompt="none"), redirect_uri=REDIRECT_URI) == CONSENT_REQUIRED


@pytest.mark.parametrize("redirect_uri", ["http://127.0.0.1/callback", "com.example.app:/callback"])
def test_none_issues_no_code_to_a_uri_that_other_applications_can_take_over(user, redirect_uri):
    flow = start_flow(user, public=True, redirect_uris=redirect_uri, is_trusted=True)

    assert read_error(flow.ask(prompt="none"), redirect_uri=redirect_uri) == CONSENT_REQUIRED


def test_none_needs_a_user_who_is_signed_in(flow):
    before = database_snapshot()

    response = Client().get(flow.url(prompt="none"))

    assert read_error(response, redirect_uri=REDIRECT_URI) == LOGIN_REQUIRED
    assert response.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
    assert database_snapshot() == before


@pytest.mark.parametrize("method", ["get", "post"])
def test_none_without_a_user_is_answered_with_this_error_alone(flow, method):
    """Other mistakes of the request do not change the answer to a visitor: they are looked for after the sign-in."""
    response = getattr(Client(), method)(flow.url(prompt="none", scope="unknown", response_type="token"))

    assert read_error(response, redirect_uri=REDIRECT_URI) == LOGIN_REQUIRED


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "unknown"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": [REDIRECT_URI, REDIRECT_URI]},
    ],
)
def test_none_redirects_only_to_a_registered_uri(flow, changes):
    response = Client().get(flow.url(prompt="none", **changes))

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert "Location" not in response.headers


def test_none_does_not_redirect_to_an_inactive_application(flow):
    Application.objects.update(is_active=False)

    assert Client().get(flow.url(prompt="none")).status_code == HTTPStatus.BAD_REQUEST


def test_none_does_not_redirect_a_visitor_for_a_server_error(flow, settings):
    settings.DATABASE_ROUTERS = [BrokenRouter()]

    response = Client().get(flow.url(prompt="none"))

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Location" not in response.headers


def test_none_of_a_user_who_was_deactivated_needs_a_user(remembered, user):
    type(user).objects.update(is_active=False)

    assert read_error(remembered.ask(prompt="none"), redirect_uri=REDIRECT_URI) == LOGIN_REQUIRED


def test_none_without_a_user_is_logged_at_info(flow, caplog):
    caplog.set_level(logging.INFO, "oauth_refresh.authorization_server.authorize")

    Client().get(flow.url(prompt="none"))

    assert "Refused with login_required: The user is not signed in, and the prompt is none." in caplog.messages
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    "prompt", ["none login", "login none", "none consent", "none select_account", "none unknown", "none login consent"]
)
def test_none_with_another_prompt_is_refused(remembered, prompt):
    before = database_snapshot()

    for response in (remembered.ask(prompt=prompt), remembered.decide("allow", prompt=prompt)):
        assert read_error(response, redirect_uri=REDIRECT_URI) == NONE_ALONE
    assert database_snapshot() == before


@pytest.mark.parametrize("prompt", ["none login", "none consent", "NONE", "none,", ["none", "none"], ["none", "x"]])
def test_visitor_is_sent_to_sign_in_for_every_prompt_but_none_alone(flow, prompt):
    response = Client().get(flow.url(prompt=prompt))

    assert response.headers["Location"].startswith(LOGIN)


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("prompt", ["none login", "login none", "none login consent"])
def test_none_with_another_prompt_is_still_refused_after_the_visitor_signed_in(remembered, user, prompt):
    visitor = Client()
    login = visitor.get(remembered.url(prompt=prompt))
    visitor.force_login(user)

    back = visitor.get(parse_qs(urlsplit(login.headers["Location"]).query)["next"][0])

    assert read_error(back, redirect_uri=REDIRECT_URI) == NONE_ALONE


# login


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("prompt", ["login", "login login", " login "])
def test_login_asks_for_new_credentials_once(trusted, user, prompt):
    """Also where the login page sends users who are signed in back without asking."""
    login = trusted.ask(prompt=prompt)

    assert login.headers["Location"].startswith(LOGIN)
    assert trusted.browser.get(login.headers["Location"]).status_code == HTTPStatus.OK
    back = sign_in(trusted, login, username=user.username)
    assert back == trusted.url()
    assert_answers(trusted.browser.get(back))


def test_login_signs_out_so_that_no_code_is_issued_without_new_credentials(trusted):
    login = trusted.ask(prompt="login")

    assert not Session.objects.exists()
    assert trusted.browser.get(read_answer(login)["next"]).headers["Location"].startswith(LOGIN)
    assert not Grant.objects.exists()


def test_another_user_may_sign_in_and_is_asked(remembered):
    other = UserFactory()

    back = sign_in(remembered, remembered.ask(prompt="login"), username=other.username)

    assert f"You are signed in as {other.username} ." in text_of(remembered.browser.get(back))


def test_visitor_who_signs_in_for_login_need_not_do_so_again(trusted, user):
    trusted.browser = Client()

    back = sign_in(trusted, trusted.ask(prompt="login"), username=user.username)

    assert_answers(trusted.browser.get(back))


def test_login_with_consent_asks_for_both(remembered, user):
    back = sign_in(remembered, remembered.ask(prompt="login consent"), username=user.username)

    assert back == remembered.url(prompt="consent")
    assert_asks(remembered.browser.get(back))


def test_switching_the_user_keeps_the_other_prompts(flow):
    response = flow.decide("switch", prompt="login consent select_account")

    assert read_answer(response)["next"] == flow.url(prompt="consent select_account")


@pytest.mark.parametrize("changes", [{"client_id": "unknown"}, {"redirect_uri": "https://evil.example/"}])
def test_login_of_a_request_that_is_refused_signs_nobody_out(flow, changes):
    assert flow.ask(prompt="login", **changes).status_code == HTTPStatus.BAD_REQUEST

    assert_asks(flow.ask())


# consent and select_account


@pytest.mark.parametrize("prompt", ["consent", "select_account", "consent select_account"])
def test_page_is_always_shown_for(remembered, prompt):
    assert_asks(remembered.ask(prompt=prompt))
    assert_answers(remembered.decide("allow", prompt=prompt))


@pytest.mark.parametrize("prompt", ["consent", "select_account"])
def test_page_is_shown_for_a_trusted_application_too(trusted, prompt):
    assert_asks(trusted.ask(prompt=prompt))


# What is ignored, and what is refused.


@pytest.mark.parametrize("prompt", ["", " ", "create", "LOGIN", "Consent", "login_hint", "admin_consent"])
def test_unknown_prompt_is_ignored(remembered, prompt):
    assert_answers(remembered.ask(prompt=prompt))


def test_login_hint_is_ignored(remembered):
    assert_answers(remembered.ask(login_hint="eve@example.com"))
    assert "login_hint" not in Client().get(remembered.url(login_hint="eve@example.com")).headers["Location"]


@pytest.mark.parametrize("values", [["none", "none"], ["login", "consent"], ["", ""]])
def test_prompt_must_not_be_repeated(remembered, values):
    response = remembered.ask(prompt=values)

    assert read_error(response, redirect_uri=REDIRECT_URI) == {
        "error": "invalid_request",
        "error_description": "The parameter prompt is repeated.",
    }
