"""Tokens are generated for a user from an application's page: shown once, logged, and ready for curl."""

import re
from datetime import UTC, datetime
from html import unescape
from http import HTTPStatus

import pytest
import time_machine
from django.test import Client

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from tests.admin.applications import copyable_value
from tests.admin.pages import admin_url, browser, definitions, form_with, links, log_entries, page_text, staff
from tests.database import database_snapshot
from tests.factories import SECRET, ApplicationFactory, UserFactory
from tests.jwts import EC_KEY, client_claims, key_application, sign
from tests.oauth import OAuthClient, post_form
from tests.server import curl

NOW = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
SENT_BEFORE = "These tokens were generated before: the form was sent twice. Open the page again for more tokens."
NOTHING_TO_GRANT = "This user cannot grant any of the requested scopes to this application."

pytestmark = pytest.mark.django_db

FOR_ALICE = {"username": "alice", "scope": ["notes:read", "notes:write"]}


@pytest.fixture
def alice(db):
    return UserFactory(username="alice")


def generate(client, application, data=FOR_ALICE, **options):
    return client.post(admin_url("application_tokens", application.pk), data, **options)


def errors(response):
    assert response.status_code == HTTPStatus.OK
    return {name: list(messages) for name, messages in response.context["form"].errors.items()}


def test_generated_tokens_are_shown_and_work(admin_browser, application, alice):
    response = generate(admin_browser, application)

    access_token, refresh_token = copyable_value(response, "access-token"), copyable_value(response, "refresh-token")
    assert AccessToken.objects.get(digest=crypto.digest(access_token)).is_live
    assert OAuthClient(application, SECRET, refresh_token=refresh_token).refresh().status_code == HTTPStatus.OK


def test_grant_says_for_whom_it_is_and_that_staff_started_it(admin_browser, application, alice):
    generate(admin_browser, application, REMOTE_ADDR="192.0.2.9", headers={"user-agent": "Firefox"})

    grant = Grant.objects.get()
    assert (grant.user, grant.application, grant.grant_type, grant.scope) == (
        alice,
        application,
        "operator",
        "notes:read notes:write",
    )
    assert (grant.address, grant.user_agent, grant.consented) == ("192.0.2.9", "Firefox", False)


@time_machine.travel(NOW, tick=False)
def test_page_says_what_was_generated(admin_browser, application, alice):
    response = generate(admin_browser, application)

    grant = Grant.objects.get()
    assert definitions(response) == {
        "Scope": "notes:read notes:write",
        "Access token expires": "2026-03-01 13:30:15",
        "Refresh token expires": "2026-03-15 12:30:15",
        "Grant": str(grant),
    }
    assert admin_url("grant_change", grant.pk) in links(response)
    assert admin_url("application_change", application.pk) in links(response)


def test_generation_is_logged_without_the_tokens(admin_browser, application, alice):
    response = generate(admin_browser, application)

    message = f"Generated tokens for user alice: grant {Grant.objects.get()}, notes:read notes:write."
    assert log_entries() == [("application", str(application.pk), application.name, message)]
    assert [copyable_value(response, name) in message for name in ("access-token", "refresh-token")] == [False, False]


def test_tokens_are_shown_once_and_stored_nowhere(admin_browser, application, alice, caplog):
    caplog.set_level(1)

    response = generate(admin_browser, application)

    raw_values = [copyable_value(response, name) for name in ("access-token", "refresh-token")]
    pages = [
        admin_browser.get(url).content.decode()
        for url in (
            *[admin_url(f"application_{page}", application.pk) for page in ("tokens", "change", "history")],
            admin_url("grant_change", Grant.objects.get().pk),
        )
    ]
    kept = repr(
        [dict(admin_browser.session), log_entries(), response.headers, response.cookies, database_snapshot(), pages]
    )
    assert "no-store" in response.headers["Cache-Control"]
    assert [raw for raw in raw_values if raw in kept or raw in caplog.text] == []


def test_reloaded_page_starts_no_second_grant(admin_browser, application, alice):
    sent = FOR_ALICE | {
        "once": form_with(admin_browser.get(admin_url("application_tokens", application.pk)), "once")["once"]
    }
    generate(admin_browser, application, sent)
    before = database_snapshot()

    response = generate(admin_browser, application, sent)

    assert errors(response) == {"__all__": [SENT_BEFORE]}
    assert SENT_BEFORE in page_text(response)
    assert database_snapshot() == before
    assert len(log_entries()) == 1


def test_page_opened_again_generates_further_tokens(admin_browser, application, alice):
    for _number in range(2):
        page = admin_browser.get(admin_url("application_tokens", application.pk))
        generate(admin_browser, application, FOR_ALICE | {"once": form_with(page, "once")["once"]})

    assert Grant.objects.filter(user=alice).count() == 2


def test_refused_form_can_be_corrected_and_sent_again(admin_browser, application, alice):
    page = admin_browser.get(admin_url("application_tokens", application.pk))
    refused = generate(admin_browser, application, form_with(page, "once") | FOR_ALICE | {"username": "alicia"})

    response = generate(admin_browser, application, form_with(refused, "once") | FOR_ALICE)

    assert copyable_value(response, "access-token")


@time_machine.travel(NOW, tick=False)
def test_application_acts_for_itself_where_it_may(admin_browser, application):
    response = generate(admin_browser, application, {"username": "", "scope": ["notes:read"]})

    grant = Grant.objects.get()
    assert (grant.user, grant.grant_type, grant.scope) == (None, "client_credentials", "notes:read")
    assert AccessToken.objects.get(digest=crypto.digest(copyable_value(response, "access-token"))).is_live
    assert definitions(response) == {
        "Scope": "notes:read",
        "Access token expires": "2026-03-01 13:30:15",
        "Grant": str(grant),
    }
    assert not RefreshToken.objects.exists()
    assert [entry[3] for entry in log_entries()] == [
        f"Generated tokens for the application itself: grant {grant}, notes:read."
    ]


def test_application_without_refresh_tokens_gets_an_access_token_alone(admin_browser, alice):
    application = ApplicationFactory(grant_types="authorization_code")

    response = generate(admin_browser, application)

    assert "refresh-token" not in response.content.decode()
    assert not RefreshToken.objects.exists()


REQUIRED = ["This field is required."]
REFUSED = [
    ({"username": "bob"}, {"username": ["There is no user of that name."]}),
    ({"username": "a\x00"}, {"username": ["Null characters are not allowed."]}),
    ({"username": "gone"}, {"__all__": ["A grant cannot start: user inactive."]}),
    ({"scope": ["PRODUCTION"]}, {"scope": ["Select a valid choice. PRODUCTION is not one of the available choices."]}),
    ({"scope": ["no such"]}, {"scope": ["Select a valid choice. no such is not one of the available choices."]}),
    ({"scope": []}, {"__all__": ["Request a scope: this application has none by default."]}),
]


@pytest.mark.parametrize(("change", "complaints"), REFUSED, ids=str)
def test_what_cannot_be_generated_is_refused_and_starts_nothing(admin_browser, alice, change, complaints):
    UserFactory(username="gone", is_active=False)
    application = ApplicationFactory(scope="notes:read notes:write")

    response = generate(admin_browser, application, FOR_ALICE | change)

    assert errors(response) == complaints
    assert [message in page_text(response) for messages in complaints.values() for message in messages] == [True]
    assert not Grant.objects.exists()
    assert log_entries() == []


@pytest.mark.parametrize("bent", [{"public": True}, {"grant_types": "authorization_code refresh_token"}], ids=str)
def test_application_that_may_not_act_for_itself_needs_a_user(admin_browser, bent):
    response = generate(admin_browser, ApplicationFactory(**bent), {"username": "", "scope": ["notes:read"]})

    assert errors(response) == {"username": REQUIRED}
    assert not Grant.objects.exists()


def test_inactive_application_gets_no_tokens(admin_browser, alice):
    response = generate(admin_browser, ApplicationFactory(is_active=False))

    assert errors(response) == {"__all__": ["A grant cannot start: application inactive."]}
    assert not Grant.objects.exists()


def test_staff_cannot_generate_tokens_for_a_superuser(application, superuser):
    client = browser(staff("view_application", "issue_tokens"))

    response = generate(client, application, FOR_ALICE | {"username": "boss"})

    assert errors(response) == {"username": ["Only a superuser may generate tokens for a superuser."]}
    assert not Grant.objects.exists()


def test_superuser_generates_tokens_for_a_superuser(admin_browser, application, superuser):
    generate(admin_browser, application, FOR_ALICE | {"username": "boss"})

    assert Grant.objects.get().user == superuser


def scopes_offered(response):
    html = response.content.decode()
    return re.findall(r'<input type="checkbox" name="scope" value="([\w:]+)"[^>]*?( checked)?>\s*(.*?)</label>', html)


def test_page_offers_what_the_application_may_have(admin_browser):
    application = ApplicationFactory(scope="notes:read SANDBOX gone")

    response = admin_browser.get(admin_url("application_tokens", application.pk))

    assert scopes_offered(response) == [
        ("notes:read", " checked", "Read your notes"),
        ("SANDBOX", "", "Use the sandbox"),
        ("offline_access", "", "Act for you while you are away"),
    ]


def test_page_proposes_only_what_the_application_may_have(admin_browser):
    application = ApplicationFactory(scope="SANDBOX", grant_types="authorization_code")

    response = admin_browser.get(admin_url("application_tokens", application.pk))

    assert scopes_offered(response) == [("SANDBOX", "", "Use the sandbox")]


def test_page_proposes_the_list_of_the_application_where_there_is_no_default(admin_browser, oauth_settings):
    oauth_settings(DEFAULT_SCOPES=[])
    application = ApplicationFactory(scope="notes:read offline_access")

    response = admin_browser.get(admin_url("application_tokens", application.pk))

    assert scopes_offered(response) == [
        ("notes:read", " checked", "Read your notes"),
        ("offline_access", " checked", "Act for you while you are away"),
    ]


def test_offline_access_is_generated_with_a_scope_and_not_alone(admin_browser, application, alice):
    refused = generate(admin_browser, application, FOR_ALICE | {"scope": ["offline_access"]})
    generate(admin_browser, application, FOR_ALICE | {"scope": ["notes:read", "offline_access"]})

    assert errors(refused) == {"__all__": [NOTHING_TO_GRANT]}
    assert Grant.objects.get().scope == "notes:read offline_access"


@pytest.mark.parametrize(("bent", "count"), [({}, 1), ({"public": True}, 0)])
def test_page_says_where_a_user_may_be_left_out(admin_browser, bent, count):
    text = page_text(admin_browser.get(admin_url("application_tokens", ApplicationFactory(**bent).pk)))

    assert text.count("Leave it empty for tokens of the application itself.") == count


PERMITTED = [["view_application", "issue_tokens"], ["change_application", "issue_tokens"]]
FORBIDDEN = [
    [],
    ["issue_tokens"],
    ["view_application"],
    ["add_application", "change_application", "delete_application", "view_application", "revoke_grant", "add_grant"],
]


@pytest.mark.parametrize("permissions", PERMITTED, ids=str)
def test_staff_with_the_permission_generate_tokens(application, alice, permissions):
    response = generate(browser(staff(*permissions)), application)

    assert AccessToken.objects.get(digest=crypto.digest(copyable_value(response, "access-token"))).is_live


@pytest.mark.parametrize("permissions", FORBIDDEN, ids=str)
def test_staff_without_the_permission_generate_no_tokens(application, alice, permissions):
    client = browser(staff(*permissions))

    answers = [client.get(admin_url("application_tokens", application.pk)), generate(client, application)]

    assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 2
    assert (Grant.objects.count(), log_entries()) == (0, [])


def test_anonymous_user_is_sent_to_sign_in(application, alice):
    response = generate(Client(), application)

    assert response.url == f"/admin/login/?next={admin_url('application_tokens', application.pk)}"
    assert not Grant.objects.exists()


def test_other_sites_generate_nothing(superuser, application, alice):
    response = generate(browser(superuser, enforce_csrf_checks=True), application)

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert not Grant.objects.exists()


def test_a_link_generates_nothing(admin_browser, application, alice):
    response = admin_browser.get(admin_url("application_tokens", application.pk, **FOR_ALICE))

    assert response.status_code == HTTPStatus.OK
    assert not Grant.objects.exists()


def lines(response):
    """Return the command lines on the page: title to command."""
    html = response.content.decode()
    titles = re.findall(r'<label for="curl-\d+">(.*?)</label>', html)
    commands = re.findall(r'<textarea id="curl-\d+".*?>(.*?)</textarea>', html, re.DOTALL)
    return dict(zip(titles, map(unescape, commands), strict=True))


def proof_of(application):
    """Return the placeholder of the command lines and what to replace it with."""
    if application.uses_secret:
        return "CLIENT_SECRET", SECRET
    return "CLIENT_ASSERTION", sign(client_claims(application.client_id), EC_KEY)


KINDS = {
    "secret": lambda: ApplicationFactory(raw_secret=SECRET, client_id="notes: for 'web' & $HOME"),
    "secret in the body": lambda: ApplicationFactory(raw_secret=SECRET, auth_method="client_secret_post"),
    "public": lambda: ApplicationFactory(public=True, client_id="phone + tablet"),
    "assertion": lambda: key_application(EC_KEY),
}


@pytest.mark.parametrize("kind", KINDS)
def test_curl_lines_work_as_they_stand(live_server, superuser, tmp_path, kind):
    UserFactory(username="alice")
    application = KINDS[kind]()
    host = live_server.url.removeprefix("http://")
    commands = lines(generate(browser(superuser), application, headers={"host": host}))

    refreshed = curl(commands["Refresh"].replace(*proof_of(application)), folder=tmp_path)
    revoked = curl(commands["Revoke"].replace(*proof_of(application)), folder=tmp_path)

    assert list(commands) == ["Refresh", "Revoke"]
    assert (refreshed.status, sorted(refreshed.json)) == (
        HTTPStatus.OK,
        ["access_token", "expires_in", "refresh_token", "refresh_token_expires_in", "scope", "token_type"],
    )
    assert (revoked.status, revoked.text) == (HTTPStatus.OK, "{}")
    assert Grant.objects.get().revoked_reason == "client_request"


def test_application_that_acts_for_itself_has_nothing_to_refresh(admin_browser, application):
    response = generate(admin_browser, application, {"username": "", "scope": ["notes:read"]})

    commands = lines(response)
    token = copyable_value(response, "access-token")
    assert list(commands) == ["Revoke"]
    assert commands["Revoke"] == (
        f"curl -u {application.client_id}:CLIENT_SECRET http://testserver/oauth/revoke -d token={token}"
    )


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("secret", "Replace CLIENT_SECRET with the application's secret."),
        (
            "assertion",
            "Replace CLIENT_ASSERTION with an assertion that the application signed, a new one for each command.",
        ),
        ("public", None),
    ],
)
def test_page_says_what_to_put_into_the_lines(admin_browser, alice, kind, sentence):
    text = page_text(generate(admin_browser, KINDS[kind]()))

    assert re.findall(r"Replace CLIENT_\w+ with .*?\.", text) == ([sentence] if sentence else [])


def test_generated_grant_is_revoked_as_any_other(admin_browser, application, alice):
    refresh_token = copyable_value(generate(admin_browser, application), "refresh-token")

    admin_browser.post(
        admin_url("grant_revoke", Grant.objects.get().pk), {"confirm": "yes", "reason": "generated by mistake"}
    )

    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    answer = post_form("token", {**form, "client_id": application.client_id, "client_secret": SECRET})
    assert answer.json()["error"] == "invalid_grant"
