"""The consent page in a browser: what it shows, what protects it, and where it redirects to."""

import logging
import re
from http import HTTPStatus

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection
from django.test import Client
from django.utils.functional import SimpleLazyObject

from oauth_refresh.models import Application, AuthorizationCode, Grant
from oauth_refresh.services import revoke_grant
from tests.consent import REDIRECT_URI, read_answer, start_flow
from tests.database import database_snapshot, stored_texts
from tests.factories import UserFactory
from tests.reports import Reports
from tests.routers import BrokenRouter
from tests.user_pages.pages import LOGIN, text_of, token_of

CODE = re.compile(r"oac_[A-Za-z0-9_-]{43}")
MALICE = "<script>alert('x')</script>\"&amp;"


@pytest.fixture
def flow(user):
    """A confidential application, and the browser of a user who is signed in."""
    return start_flow(user)


def assert_asks(response):
    assert response.status_code == HTTPStatus.OK
    assert "to act for you?" in text_of(response)


def assert_redirects_to_sign_in(response, flow):
    assert response.status_code == HTTPStatus.FOUND
    assert response.headers["Location"].startswith(LOGIN)
    assert read_answer(response) == {"next": flow.url()}


def test_plain_http_is_refused(flow, oauth_settings):
    oauth_settings(REQUIRE_HTTPS=True)

    response = flow.ask()

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert "This page must be opened over https." in text_of(response)


# What the page shows.


def test_page_shows_application_user_scopes_owner_and_destination(user):
    flow = start_flow(user, name="Notebook", owner=UserFactory(username="acme"))

    response = flow.ask(scope="notes:read notes:write")

    assert text_of(response) == (
        "Allow Notebook to act for you? "
        f"You are signed in as {user.username} . Not you? "
        "It will be able to Read your notes Write your notes "
        "This application belongs to acme. You will then return to app.example . "
        "Allow Deny"
    )


def test_application_without_owner_and_name_is_shown_by_its_client_id(user):
    flow = start_flow(user, name="", client_id="notebook-7")

    text = text_of(flow.ask())

    assert text.startswith("Allow notebook-7 to act for you?")
    assert "belongs to" not in text


def test_page_of_a_project_without_scopes_has_no_list_of_scopes(flow, oauth_settings):
    oauth_settings(SCOPES={}, DEFAULT_SCOPES=[])

    assert "It will be able to" not in text_of(flow.ask(scope=None))


@pytest.mark.parametrize(
    ("redirect_uri", "destination"),
    [
        ("https://app.example:8443/callback", "app.example"),
        ("http://127.0.0.1:8000/callback", "127.0.0.1"),
        ("http://[::1]/callback", "::1"),
        ("com.example.app:/callback", "com.example.app"),
        ("com.example.app://bank.example/callback", "com.example.app"),
    ],
)
def test_page_shows_host_or_scheme_of_the_redirect_uri(user, redirect_uri, destination):
    flow = start_flow(user, public=True, redirect_uris=redirect_uri)

    assert f"You will then return to {destination} ." in text_of(flow.ask())


def test_page_works_without_scripts(flow):
    page = flow.ask().content.decode()

    assert re.findall(r'name="decision" value="(\w+)"', page) == ["switch", "allow", "deny"]
    assert '<form method="post">' in page
    assert "<script" not in page


def test_enter_key_does_not_press_allow(flow):
    first_button = re.search(r"<button[^>]*>", flow.ask().content.decode())[0]

    assert 'value="allow"' not in first_button


def test_names_and_texts_are_escaped(user, oauth_settings):
    oauth_settings(SCOPES={"notes:read": MALICE})
    flow = start_flow(user, name=MALICE, owner=UserFactory(username=f"owner {MALICE}"))
    type(user).objects.filter(pk=user.pk).update(username=MALICE)

    response = flow.ask(state=MALICE, nonce=MALICE)

    assert "<script" not in response.content.decode()
    assert "&amp;amp;" in response.content.decode()
    assert text_of(response).count("alert('x')") >= 4


@pytest.mark.parametrize("parameter", ["client_id", "redirect_uri", "state"])
def test_refusal_page_repeats_nothing_of_the_request(flow, parameter):
    response = flow.ask(**{"client_id": "unknown", parameter: MALICE})

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert "alert" not in response.content.decode()


@pytest.mark.parametrize(("language", "direction"), [("de", "ltr"), ("ar", "rtl"), ("en", "ltr")])
@pytest.mark.parametrize("client_id", [None, "unknown"], ids=["consent", "refusal"])
def test_pages_use_the_language_of_the_project(flow, settings, language, direction, client_id):
    settings.LANGUAGE_CODE = language
    client_id = client_id or flow.client.application.client_id

    page = flow.ask(client_id=client_id).content.decode()

    assert f'<html lang="{language}" dir="{direction}">' in page


# What protects the page.


@pytest.mark.parametrize("client_id", [None, "unknown"], ids=["consent", "refusal"])
def test_project_keeps_its_content_security_policy(flow, client_id):
    response = flow.ask(client_id=client_id or flow.client.application.client_id)

    assert "Content-Security-Policy" not in response.headers


def test_refusal_page_has_no_form(flow):
    assert "<form" not in flow.ask(client_id="unknown").content.decode()


@pytest.mark.parametrize("client_id", [None, "unknown"], ids=["consent", "refusal"])
def test_page_is_not_framed_not_stored_and_not_sent_as_a_referrer(flow, client_id):
    headers = flow.ask(client_id=client_id or flow.client.application.client_id).headers

    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert {"no-store", "private"} <= set(headers["Cache-Control"].split(", "))


OPENER = "Cross-Origin-Opener-Policy"


def test_pop_up_keeps_the_page_that_opened_it_on_every_answer(flow):
    ways = [
        Client().get(flow.url()),
        flow.ask(),
        flow.ask(client_id="unknown"),
        flow.ask(scope="unknown"),
        flow.decide("deny"),
        flow.decide("allow"),
        flow.decide("switch"),
    ]

    assert [response.headers[OPENER] for response in ways] == ["unsafe-none"] * len(ways)
    assert Client().get("/admin/login/").headers[OPENER] == "same-origin"  # Django's, on pages that are not ours


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_redirect_to_the_application_is_not_stored(flow, decision):
    assert "no-store" in flow.decide(decision).headers["Cache-Control"]


def test_form_of_the_page_is_accepted(flow, strict_browser):
    form = {"decision": "allow", "csrfmiddlewaretoken": token_of(strict_browser.get(flow.url()))}

    response = strict_browser.post(flow.url(), form)

    assert CODE.fullmatch(read_answer(response)["code"])


@pytest.mark.usefixtures("csrf_middleware")
@pytest.mark.parametrize("token", ["", "x" * 64], ids=["none", "another"])
def test_form_without_the_csrf_token_changes_nothing(flow, strict_browser, token):
    strict_browser.get(flow.url())

    response = strict_browser.post(flow.url(), {"decision": "allow", "csrfmiddlewaretoken": token})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert not Grant.objects.exists()


@pytest.mark.usefixtures("csrf_middleware")
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_form_of_another_origin_changes_nothing(flow, strict_browser, origin):
    form = {"decision": "allow", "csrfmiddlewaretoken": token_of(strict_browser.get(flow.url()))}

    response = strict_browser.post(flow.url(), form, headers={"Origin": origin})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert not Grant.objects.exists()


def test_head_request_allows_nothing(user):
    flow = start_flow(user, is_trusted=True)

    response = flow.browser.head(flow.url())

    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert not Grant.objects.exists()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_allow_nothing(user, method):
    flow = start_flow(user, is_trusted=True)

    response = flow.browser.generic(method, flow.url())

    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert not Grant.objects.exists()


def test_parameters_in_the_form_are_ignored(flow):
    response = flow.browser.post(
        flow.url(), {"decision": "allow", "redirect_uri": "https://evil.example/", "scope": "SANDBOX", "state": "x"}
    )

    assert response.headers["Location"].startswith(REDIRECT_URI)
    assert Grant.objects.get().scope == "notes:read"


def test_decision_in_the_query_string_is_ignored(flow):
    assert_asks(flow.ask(decision="allow"))


# Signing in.


def test_anonymous_visitor_signs_in_and_returns(flow):
    assert_redirects_to_sign_in(Client().get(flow.url()), flow)


def test_user_who_signed_out_meanwhile_signs_in_again(flow):
    flow.browser.logout()

    assert_redirects_to_sign_in(flow.decide("allow"), flow)
    assert not Grant.objects.exists()


def test_user_who_was_deactivated_meanwhile_allows_nothing(flow, user):
    type(user).objects.update(is_active=False)

    assert_redirects_to_sign_in(flow.decide("allow"), flow)
    assert not Grant.objects.exists()


def test_switching_signs_out_and_returns(flow):
    response = flow.decide("switch")

    assert_redirects_to_sign_in(response, flow)
    assert not Session.objects.exists()
    assert_redirects_to_sign_in(flow.ask(), flow)
    assert not Grant.objects.exists()


@pytest.mark.parametrize("signed_in", [True, False])
def test_refusal_page_is_shown_before_a_required_login(flow, settings, signed_in):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    browser = flow.browser if signed_in else Client()

    assert browser.get(flow.url(client_id="unknown")).status_code == HTTPStatus.BAD_REQUEST


def test_flow_works_with_login_required_middleware(flow, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]

    assert_redirects_to_sign_in(Client().get(flow.url()), flow)
    assert flow.redeem(flow.code()).status_code == HTTPStatus.OK


def errors_in(caplog):
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_only_parameters_of_the_request_come_back_from_the_login_page(flow):
    query = {"utm_source": "mail", "nonce": "n", "decision": "allow", "next": "https://evil.example", "x" * 999: "y"}

    response = Client().get(flow.url(**query, prompt="consent", resource=["https://a.example", "https://b.example"]))

    assert read_answer(response)["next"] == flow.url(
        prompt="consent", resource=["https://a.example", "https://b.example"]
    )


LONG = {
    "unknown parameter": {"x": "y" * 20_000},
    "name of an unknown parameter": {"y" * 20_000: "x"},
    "many unknown parameters": {f"x{number}": "y" * 100 for number in range(200)},
    "client": {"client_id": "c" * 20_000},
    "redirect URI": {"redirect_uri": f"{REDIRECT_URI}?{'x' * 20_000}"},
    "scope": {"scope": "notes:read " * 2_000},
    "state": {"state": "s" * 17_000},
    "state that grows at the login page": {"state": "&=+ " * 1_200},
    "repeated state": {"state": ["s" * 200] * 90},
    "challenge": {"code_challenge": "c" * 20_000},
    "prompt": {"prompt": "consent " * 2_500},
    "silent prompt": {"prompt": "none", "state": "s" * 17_000},
}


@pytest.mark.parametrize("changes", LONG.values(), ids=LONG)
@pytest.mark.parametrize("signed_in", [True, False])
def test_query_that_is_too_long_is_refused_with_a_page(flow, caplog, signed_in, changes):
    browser, before = flow.browser if signed_in else Client(), database_snapshot()

    for response in (browser.get(flow.url(**changes)), browser.post(flow.url(**changes), {"decision": "allow"})):
        assert response.status_code == HTTPStatus.BAD_REQUEST
        assert text_of(response).startswith("This link does not work")
    assert database_snapshot() == before
    assert errors_in(caplog) == []


ODD = {
    "NUL": "state=%00&scope=%00",
    "broken UTF-8": "state=%FF%C3&scope=%ED%A0%80",
    "lone surrogates": "state=%ED%A0%80%ED%B0%80",
    "repeated": "state=a&state=b&scope=x&scope=y&prompt=none&prompt=none",
    "raw bytes": "state=\xc3\xa9\xff",
    "markup": "state=<script>&code_challenge_method[]=S256",
    "semicolons": "a;b;;&&=&=",
    "line breaks": "state=%0d%0aLocation:%20https://evil.example",
}


@pytest.mark.parametrize("query", ODD.values(), ids=ODD)
def test_visitor_with_a_malformed_request_is_asked_to_sign_in(flow, caplog, query):
    required = flow.url(scope=None, state=None).partition("?")[2]

    response = Client().get("/oauth/authorize", QUERY_STRING=f"{required}&{query}")

    assert response.status_code == HTTPStatus.FOUND
    assert response.headers["Location"].startswith(LOGIN)
    assert errors_in(caplog) == []


@pytest.mark.parametrize("signed_in", [True, False])
def test_too_many_parameters_are_refused_with_a_page(flow, caplog, signed_in):
    browser = flow.browser if signed_in else Client()

    response = browser.get(f"{flow.url()}{'&a' * 2_000}")

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert "The request is malformed or too long." in text_of(response)
    assert errors_in(caplog) == []


def test_state_that_is_too_long_for_the_way_back_is_refused_with_a_page(flow, caplog):
    response = flow.browser.get(flow.url(state="x" * 8_001))

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert "The request of the application that sent you here is too long." in text_of(response)
    assert errors_in(caplog) == []


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize("name", ["client_id", "state", "unknown"])
def test_text_that_is_no_unicode_is_refused_with_a_page(flow, caplog, signed_in, name):
    browser = flow.browser if signed_in else Client()
    query = flow.url(**{name: None}).partition("?")[2] + rf"&{name}=\ud800"

    response = browser.get("/oauth/authorize", QUERY_STRING=query, CONTENT_TYPE="text/plain; charset=unicode_escape")

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert "The request is malformed or too long." in text_of(response)
    assert errors_in(caplog) == []


def test_false_host_is_refused_with_a_page_where_the_login_page_is_on_another_host(flow, caplog, settings):
    settings.LOGIN_URL = "https://login.example/"
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "CommonMiddleware" not in name]

    response = Client().get(flow.url(), headers={"Host": "evil.example"})

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert errors_in(caplog) == []


@pytest.mark.parametrize(
    ("login_url", "origin"),
    [
        ("https://login.example/sign-in", "http://testserver"),
        ("//login.example/sign-in", "http://testserver"),
        ("https://testserver/sign-in", "http://testserver"),
        ("http://testserver/sign-in", ""),
        ("//testserver/sign-in", ""),
        ("/sign-in?theme=dark", ""),
        ("login", ""),
    ],
)
def test_next_is_absolute_for_a_login_page_on_another_host(flow, settings, login_url, origin):
    settings.LOGIN_URL = login_url

    response = Client().get(flow.url())

    assert read_answer(response)["next"] == f"{origin}{flow.url()}"


# Remembered and trusted.


def test_trusted_application_needs_no_consent(user):
    flow = start_flow(user, is_trusted=True)

    response = flow.ask()

    assert response.status_code == HTTPStatus.SEE_OTHER
    assert flow.redeem(read_answer(response)["code"]).status_code == HTTPStatus.OK


def test_trusted_application_needs_a_signed_in_user(user):
    flow = start_flow(user, is_trusted=True)

    assert_redirects_to_sign_in(Client().get(flow.url()), flow)
    assert not Grant.objects.exists()


@pytest.mark.parametrize("scope", ["notes:read", "notes:write", "notes:write notes:read"])
def test_consent_to_the_same_or_more_scopes_is_remembered(flow, scope):
    flow.redeem(flow.code(scope="notes:read notes:write"))

    response = flow.ask(scope=scope)

    assert flow.redeem(read_answer(response)["code"]).json()["scope"] == scope


def code_not_redeemed(flow):
    flow.code()


def consent_to_fewer_scopes(flow):
    flow.redeem(flow.code(scope="notes:write"))


def revoked_consent(flow):
    flow.redeem(flow.code())
    revoke_grant(Grant.objects.get(), reason="lost device")


def consent_of_another_user(flow):
    flow.redeem(flow.code())
    flow.browser.force_login(UserFactory())


@pytest.mark.parametrize(
    "arrange", [code_not_redeemed, consent_to_fewer_scopes, revoked_consent, consent_of_another_user]
)
def test_consent_that_does_not_cover_the_request_is_asked_for_again(flow, arrange):
    arrange(flow)

    assert_asks(flow.ask())


def test_consent_is_asked_for_again_without_remember_consent(flow, oauth_settings):
    oauth_settings(REMEMBER_CONSENT=False)
    flow.redeem(flow.code())

    assert_asks(flow.ask())


@pytest.mark.parametrize(
    "redirect_uri", ["http://127.0.0.1/callback", "http://localhost/callback", "com.example.app:/callback"]
)
def test_consent_is_always_asked_for_if_another_application_could_receive_the_code(user, redirect_uri):
    flow = start_flow(user, public=True, redirect_uris=redirect_uri, is_trusted=True)
    flow.redeem(flow.code())

    assert_asks(flow.ask())


def test_trusted_application_is_still_refused_for_errors(user):
    flow = start_flow(user, is_trusted=True)

    assert read_answer(flow.ask(scope="unknown"))["error"] == "invalid_scope"
    assert read_answer(flow.decide("deny"))["error"] == "access_denied"
    assert not Grant.objects.exists()


# Records and logs.


def test_address_and_user_agent_are_recorded_with_the_grant(flow):
    flow.browser.post(flow.url(), {"decision": "allow"}, REMOTE_ADDR="192.0.2.7", headers={"User-Agent": "browser/1"})

    assert Grant.objects.values("address", "user_agent").get() == {"address": "192.0.2.7", "user_agent": "browser/1"}


def test_raw_code_is_only_in_the_redirect(flow, caplog):
    caplog.set_level(logging.DEBUG)

    response = flow.decide("allow")
    flow.redeem(read_answer(response)["code"])

    assert CODE.search(response.headers["Location"])
    assert not CODE.search(caplog.text)
    assert not CODE.search("\n".join(stored_texts()))
    assert not CODE.search(repr([session.get_decoded() for session in Session.objects.all()]))
    assert AuthorizationCode.objects.count() == 1


def test_refusal_reason_is_logged(flow, caplog):
    caplog.set_level(logging.INFO, "oauth_refresh.authorization_server.authorize")

    flow.ask(scope="unknown")
    flow.ask(client_id="unknown")

    assert [
        record.getMessage()
        for record in caplog.records
        if record.name == "oauth_refresh.authorization_server.authorize"
    ] == [
        "Refused with invalid_scope: A requested scope is unknown, or this application may not request it.",
        "Refused with invalid_request: The application that sent you here is unknown or no longer active.",
    ]


def fail_to_insert_a_code(execute, sql, params, many, context):
    if sql.startswith("INSERT") and AuthorizationCode._meta.db_table in sql:
        raise LookupError
    return execute(sql, params, many, context)


@pytest.fixture
def reports():
    """Keep all log records, and what would be mailed to the administrators."""
    reports, logger = Reports(), logging.getLogger("django.request")
    logger.addHandler(reports)
    yield reports
    logger.removeHandler(reports)


def test_server_error_is_sent_to_the_client_and_reported_without_a_secret(flow, reports):
    with connection.execute_wrapper(fail_to_insert_a_code):
        response = flow.decide("allow")

    assert read_answer(response)["error"] == "server_error"
    (record,) = reports.records
    assert record.getMessage() == "Server error at /oauth/authorize"
    assert record.exc_info[0] is LookupError
    assert any("LookupError" in mail for mail in reports.mails)
    assert not [mail for mail in reports.mails if CODE.search(mail)]
    assert not Grant.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic_requests", [False, True], ids=["without ATOMIC_REQUESTS", "with ATOMIC_REQUESTS"])
def test_server_error_rolls_back(flow, monkeypatch, atomic_requests):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic_requests)

    with connection.execute_wrapper(fail_to_insert_a_code):
        response = flow.decide("allow")

    assert read_answer(response)["error"] == "server_error"
    assert not Grant.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_code_is_committed_with_atomic_requests_too(flow, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    assert flow.redeem(flow.code()).status_code == HTTPStatus.OK


def test_login_url_of_the_project_is_used(flow, settings):
    settings.LOGIN_URL = "/accounts/sign-in/"

    response = Client().get(flow.url())

    assert response.headers["Location"].startswith("/accounts/sign-in/?next=")


def test_application_that_was_deactivated_meanwhile_receives_nothing(flow):
    assert_asks(flow.ask())
    Application.objects.update(is_active=False)

    assert flow.decide("allow").status_code == HTTPStatus.BAD_REQUEST
    assert not Grant.objects.exists()


@pytest.mark.parametrize("state", ["s" * 17_000, "€" * 1_000], ids=["long", "long when encoded"])
def test_state_too_long_for_a_redirect_is_refused_before_anything_is_stored(flow, state):
    response = flow.ask(state=state)

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert "is too long." in text_of(response)
    assert not Grant.objects.exists()


def test_grant_of_a_trusted_application_is_not_consent(user):
    flow = start_flow(user, is_trusted=True)
    flow.redeem(read_answer(flow.ask())["code"])
    Application.objects.update(is_trusted=False)

    assert_asks(flow.ask())


# Server errors before the user is signed in.


def break_the_application_lookup(settings):
    settings.DATABASE_ROUTERS = [BrokenRouter()]


def break_the_user(settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.breaks_the_user"]


def breaks_the_user(get_response):
    """A middleware, or an authentication backend behind it, that cannot tell who the user is."""

    def fail():
        raise LookupError

    def middleware(request):
        request.user = SimpleLazyObject(fail)
        return get_response(request)

    return middleware


@pytest.mark.parametrize("break_something", [break_the_application_lookup, break_the_user])
@pytest.mark.parametrize("signed_in", [True, False])
def test_server_error_before_the_user_is_known_is_shown_and_not_redirected(
    flow, settings, reports, break_something, signed_in
):
    break_something(settings)
    browser = flow.browser if signed_in else Client()

    response = browser.get(flow.url())

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Location" not in response.headers
    assert response.headers["Retry-After"] == "5"
    assert text_of(response) == (
        "Something went wrong The server could not answer now. Try again. "
        "Nothing was shared. Wait a moment, then load this page again."
    )
    (record,) = reports.records
    assert record.getMessage() == "Server error at /oauth/authorize"
    assert record.exc_info[0] is LookupError


@pytest.mark.parametrize(
    "changes", [{"scope": "unknown"}, {"response_type": "token"}, {"code_challenge": ["a", "b"]}, {"state": ["a", "b"]}]
)
def test_error_of_the_client_is_not_redirected_before_the_user_is_signed_in(flow, changes):
    assert read_answer(flow.ask(**changes))["error"]

    response = Client().get(flow.url(**changes))

    assert response.headers["Location"].startswith(LOGIN)


@pytest.mark.django_db(transaction=True)
def test_database_that_is_down_is_answered_with_a_page(flow):
    def fail(execute, sql, params, many, context):
        raise OperationalError("the database is down")

    with connection.execute_wrapper(fail):
        response = flow.ask()

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "The server could not answer now." in text_of(response)


@pytest.mark.parametrize("redirect_uri", ["https://[1.2.3.4]/cb", "https://[::::]/cb", "javascript:alert(1)"])
def test_redirect_uri_that_bypassed_the_validators_is_refused(user, redirect_uri):
    flow = start_flow(user, redirect_uris=redirect_uri)

    response = flow.decide("allow")

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert not AuthorizationCode.objects.exists()
