"""Tokens are generated for a user from an application's page: shown once, logged, and ready for curl."""

import re
from datetime import timedelta
from html import unescape
from http import HTTPStatus

import pytest
from django.test import Client

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from tests.admin.applications import value
from tests.admin.pages import address, browser, facts, form_with, links, log, staff, text_of
from tests.conftest import SECRET
from tests.factories import ApplicationFactory, UserFactory
from tests.flows.server import curl
from tests.interference import everything
from tests.jwts import EC_KEY, client_claims, key_application, sign
from tests.oauth import OAuthClient, post_form

SENT_BEFORE = "This form was sent before, by a second click or a reload. Open this page anew for more tokens."
NOTHING_TO_GRANT = "Nothing was requested, or nothing of it is the application's and the user's to grant."

pytestmark = pytest.mark.django_db

FOR_ALICE = {"username": "alice", "scope": ["notes:read", "notes:write"]}


@pytest.fixture
def alice(db):
    return UserFactory(username="alice")


def generate(client, application, data=FOR_ALICE, **options):
    return client.post(address("application_tokens", application.pk), data, **options)


def errors(response):
    assert response.status_code == HTTPStatus.OK
    return {name: list(messages) for name, messages in response.context["form"].errors.items()}


def test_generated_tokens_are_shown_and_work(operator, application, alice):
    response = generate(operator, application)

    access_token, refresh_token = value(response, "access-token"), value(response, "refresh-token")
    assert AccessToken.objects.get(digest=crypto.digest(access_token)).is_live
    assert OAuthClient(application, SECRET, refresh_token=refresh_token).refresh().status_code == HTTPStatus.OK


def test_grant_says_for_whom_and_that_an_operator_started_it(operator, application, alice):
    generate(operator, application, REMOTE_ADDR="192.0.2.9", headers={"user-agent": "Firefox"})

    grant = Grant.objects.get()
    assert (grant.user, grant.application, grant.grant_type, grant.scope) == (
        alice,
        application,
        "operator",
        "notes:read notes:write",
    )
    assert (grant.address, grant.user_agent, grant.consented) == ("192.0.2.9", "Firefox", False)


def test_page_says_what_was_generated(operator, application, alice):
    response = generate(operator, application)

    grant = Grant.objects.get()
    assert facts(response) == {
        "Scope": "notes:read notes:write",
        "Access token lives for": "1 hour",
        "Refresh token lives for": "2 weeks",
        "Grant": str(grant),
    }
    assert address("grant_change", grant.pk) in links(response)
    assert address("application_change", application.pk) in links(response)


@pytest.mark.parametrize(
    ("lifetime", "words"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=3599), "3599 seconds"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(hours=5), "5 hours"),
        (timedelta(days=10), "10 days"),
        (timedelta(days=7), "1 week"),
    ],
)
def test_lifetime_is_said_in_the_largest_unit_that_says_it_exactly(operator, alice, lifetime, words):
    application = ApplicationFactory(access_token_lifetime=lifetime)

    response = generate(operator, application)

    assert facts(response)["Access token lives for"] == words


def test_generation_is_logged_without_the_tokens(operator, application, alice):
    response = generate(operator, application)

    message = f"Generated tokens for user alice: grant {Grant.objects.get()}, notes:read notes:write."
    assert log() == [("application", str(application.pk), application.name, message)]
    assert [value(response, name) in message for name in ("access-token", "refresh-token")] == [False, False]


def test_tokens_are_stored_by_nobody_and_shown_once(operator, application, alice, caplog):
    caplog.set_level(1)

    response = generate(operator, application)

    raw_values = [value(response, name) for name in ("access-token", "refresh-token")]
    pages = [
        operator.get(url).content.decode()
        for url in (
            *[address(f"application_{page}", application.pk) for page in ("tokens", "change", "history")],
            address("grant_change", Grant.objects.get().pk),
        )
    ]
    kept = repr([dict(operator.session), log(), response.headers, response.cookies, everything(), pages])
    assert "no-store" in response.headers["Cache-Control"]
    assert [raw for raw in raw_values if raw in kept or raw in caplog.text] == []


def test_page_that_is_reloaded_starts_no_second_session(operator, application, alice):
    sent = FOR_ALICE | {"once": form_with(operator.get(address("application_tokens", application.pk)), "once")["once"]}
    generate(operator, application, sent)
    before = everything()

    response = generate(operator, application, sent)

    assert errors(response) == {"once": [SENT_BEFORE]}
    assert SENT_BEFORE in text_of(response)
    assert everything() == before
    assert len(log()) == 1


def test_page_that_is_opened_anew_generates_further_tokens(operator, application, alice):
    for _number in range(2):
        page = operator.get(address("application_tokens", application.pk))
        generate(operator, application, FOR_ALICE | {"once": form_with(page, "once")["once"]})

    assert Grant.objects.filter(user=alice).count() == 2


def test_form_that_was_refused_can_be_mended_and_sent(operator, application, alice):
    page = operator.get(address("application_tokens", application.pk))
    refused = generate(operator, application, form_with(page, "once") | FOR_ALICE | {"username": "alicia"})

    response = generate(operator, application, form_with(refused, "once") | FOR_ALICE)

    assert value(response, "access-token")


def test_application_acts_for_itself_where_it_may(operator, application):
    response = generate(operator, application, {"username": "", "scope": ["notes:read"]})

    grant = Grant.objects.get()
    assert (grant.user, grant.grant_type, grant.scope) == (None, "client_credentials", "notes:read")
    assert AccessToken.objects.get(digest=crypto.digest(value(response, "access-token"))).is_live
    assert facts(response) == {"Scope": "notes:read", "Access token lives for": "1 hour", "Grant": str(grant)}
    assert not RefreshToken.objects.exists()
    assert [entry[3] for entry in log()] == [f"Generated tokens for the application itself: grant {grant}, notes:read."]


def test_application_without_refresh_tokens_gets_an_access_token_alone(operator, alice):
    application = ApplicationFactory(grant_types="authorization_code")

    response = generate(operator, application)

    assert "refresh-token" not in response.content.decode()
    assert not RefreshToken.objects.exists()


REQUIRED = ["This field is required."]
REFUSED = [
    ({"username": "bob"}, {"username": ["There is no user of that name."]}),
    ({"username": "a\x00"}, {"username": ["Null characters are not allowed."]}),
    ({"username": "gone"}, {"__all__": ["A grant cannot start: user inactive."]}),
    ({"scope": ["PRODUCTION"]}, {"scope": ["Select a valid choice. PRODUCTION is not one of the available choices."]}),
    ({"scope": ["no such"]}, {"scope": ["Select a valid choice. no such is not one of the available choices."]}),
    (
        {"scope": []},
        {"__all__": ["Nothing was requested, or nothing of it is the application's and the user's to grant."]},
    ),
]


@pytest.mark.parametrize(("change", "complaints"), REFUSED, ids=str)
def test_what_cannot_be_generated_is_refused_and_starts_nothing(operator, alice, change, complaints):
    UserFactory(username="gone", is_active=False)
    application = ApplicationFactory(scope="notes:read notes:write")

    response = generate(operator, application, FOR_ALICE | change)

    assert errors(response) == complaints
    assert [message in text_of(response) for messages in complaints.values() for message in messages] == [True]
    assert not Grant.objects.exists()
    assert log() == []


@pytest.mark.parametrize("bent", [{"public": True}, {"grant_types": "authorization_code refresh_token"}], ids=str)
def test_application_that_may_not_act_for_itself_needs_a_user(operator, bent):
    response = generate(operator, ApplicationFactory(**bent), {"username": "", "scope": ["notes:read"]})

    assert errors(response) == {"username": REQUIRED}
    assert not Grant.objects.exists()


def test_inactive_application_gets_no_tokens(operator, alice):
    response = generate(operator, ApplicationFactory(is_active=False))

    assert errors(response) == {"__all__": ["A grant cannot start: application inactive."]}
    assert not Grant.objects.exists()


def test_nobody_reaches_above_themselves(application, superuser):
    client = browser(staff("view_application", "issue_tokens"))

    response = generate(client, application, FOR_ALICE | {"username": "boss"})

    assert errors(response) == {"username": ["Only a superuser may generate tokens for a superuser."]}
    assert not Grant.objects.exists()


def test_superuser_generates_tokens_for_a_superuser(operator, application, superuser):
    generate(operator, application, FOR_ALICE | {"username": "boss"})

    assert Grant.objects.get().user == superuser


def scopes_offered(response):
    html = response.content.decode()
    return re.findall(r'<input type="checkbox" name="scope" value="([\w:]+)"[^>]*?( checked)?>\s*(.*?)</label>', html)


def test_page_offers_what_the_application_may_have(operator):
    application = ApplicationFactory(scope="notes:read SANDBOX gone")

    response = operator.get(address("application_tokens", application.pk))

    assert scopes_offered(response) == [
        ("notes:read", " checked", "Read your notes"),
        ("SANDBOX", "", "Use the sandbox"),
    ]


def test_page_proposes_only_what_the_application_may_have(operator):
    application = ApplicationFactory(scope="SANDBOX")

    response = operator.get(address("application_tokens", application.pk))

    assert scopes_offered(response) == [("SANDBOX", "", "Use the sandbox")]


@pytest.mark.parametrize(("bent", "count"), [({}, 1), ({"public": True}, 0)])
def test_page_says_where_a_user_may_be_left_out(operator, bent, count):
    text = text_of(operator.get(address("application_tokens", ApplicationFactory(**bent).pk)))

    assert text.count("Leave it empty for tokens of the application itself.") == count


PERMITTED = [["view_application", "issue_tokens"], ["change_application", "issue_tokens"]]
FORBIDDEN = [
    [],
    ["issue_tokens"],
    ["view_application"],
    ["add_application", "change_application", "delete_application", "view_application", "revoke_grant", "add_grant"],
]


@pytest.mark.parametrize("permissions", PERMITTED, ids=str)
def test_whoever_has_the_permission_generates_tokens(application, alice, permissions):
    response = generate(browser(staff(*permissions)), application)

    assert AccessToken.objects.get(digest=crypto.digest(value(response, "access-token"))).is_live


@pytest.mark.parametrize("permissions", FORBIDDEN, ids=str)
def test_whoever_lacks_the_permission_generates_none(application, alice, permissions):
    client = browser(staff(*permissions))

    answers = [client.get(address("application_tokens", application.pk)), generate(client, application)]

    assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 2
    assert (Grant.objects.count(), log()) == (0, [])


def test_who_is_not_signed_in_signs_in_first(application, alice):
    response = generate(Client(), application)

    assert response.url == f"/admin/login/?next={address('application_tokens', application.pk)}"
    assert not Grant.objects.exists()


def test_other_sites_generate_nothing(superuser, application, alice):
    response = generate(browser(superuser, enforce_csrf_checks=True), application)

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert not Grant.objects.exists()


def test_a_link_generates_nothing(operator, application, alice):
    response = operator.get(address("application_tokens", application.pk, **FOR_ALICE))

    assert response.status_code == HTTPStatus.OK
    assert not Grant.objects.exists()


def lines(response):
    """Return the command lines on the page: title to command."""
    html = response.content.decode()
    titles = re.findall(r'<label for="curl-\d+">(.*?)</label>', html)
    commands = re.findall(r'<textarea id="curl-\d+".*?>(.*?)</textarea>', html, re.DOTALL)
    return dict(zip(titles, map(unescape, commands), strict=True))


def proof_of(application):
    """Return what has to be put in the place of the mark that stands for the application's proof."""
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
    assert (revoked.status, revoked.text) == (HTTPStatus.OK, "")
    assert Grant.objects.get().revoked_reason == "client_request"


def test_application_that_acts_for_itself_has_nothing_to_refresh(operator, application):
    response = generate(operator, application, {"username": "", "scope": ["notes:read"]})

    commands = lines(response)
    token = value(response, "access-token")
    assert list(commands) == ["Revoke"]
    assert commands["Revoke"] == (
        f"curl -u {application.client_id}:CLIENT_SECRET http://testserver/oauth/revoke -d token={token}"
    )


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("secret", "Put the application's secret in the place of CLIENT_SECRET."),
        ("assertion", "Put an assertion signed by the application in the place of CLIENT_ASSERTION"),
        ("public", None),
    ],
)
def test_page_says_what_to_put_into_the_lines(operator, alice, kind, sentence):
    text = text_of(generate(operator, KINDS[kind]()))

    assert re.findall(r"Put .*? in the place of CLIENT_\w+\.?", text)[:1] == ([sentence] if sentence else [])


def test_generated_grant_is_revoked_as_any_other(operator, application, alice):
    refresh_token = value(generate(operator, application), "refresh-token")

    operator.post(address("grant_revoke", Grant.objects.get().pk), {"confirm": "yes", "reason": "generated by mistake"})

    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    answer = post_form("token", {**form, "client_id": application.client_id, "client_secret": SECRET})
    assert answer.json()["error"] == "invalid_grant"
