"""A leaked token is pasted: its grant is found, and the token is stored nowhere."""

import logging
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import quote_plus
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import BigIntegerField, F, Value
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from tests.admin.many import grants_of
from tests.admin.pages import admin_url, browser, column, links, messages_on, staff
from tests.conftest import NOW
from tests.factories import PASSWORD, SECRET, AccessTokenFactory, AuthorizationCodeFactory
from tests.foreign import ACCESS, CURRENT, SPENT, move_in
from tests.jwts import assemble
from tests.oauth import OAuthClient

pytestmark = pytest.mark.django_db
NO_SUCH_TOKEN = [("warning", "No token of this server was found in the text.")]


WORKS = "It works: who has it can act for the user now. Treat it as theft: revoke, and call the user."
WORKS_NO_MORE = (
    "It works no more, but the grant is active: who has it may have the current tokens as well. "
    "Treat it as theft: revoke, and call the user."
)
WORDS = {
    "current refresh token": f"You pasted refresh token 3 of this grant: current. {WORKS}",
    "spent refresh token": f"You pasted refresh token 1 of this grant: spent. {WORKS_NO_MORE}",
    "pruned refresh token": f"You pasted refresh token 2 of this grant: spent, its row was pruned. {WORKS_NO_MORE}",
    "active access token": f"You pasted an access token of this grant: active. {WORKS}",
    "revoked access token": f"You pasted an access token of this grant: revoked. {WORKS_NO_MORE}",
}
NOTHING_TO_REVOKE = "No token of this grant works any more: there is nothing to revoke."
SURROUNDINGS = [
    "{}",
    "  {}\r\n",
    'Sep 12 03:00:00 api nginx: "GET /notes HTTP/1.1" 200 "Authorization: Bearer {}" curl/8.5',
    '{{"access_token": "{}", "token_type": "Bearer"}}',
    r"body: {{\"token\":\"{}\"}}\n",
    "grant_type=refresh_token&refresh_token={}&scope=notes%3Aread",
    "https%3A%2F%2Fapp.example%2Fcb%3Ftoken%3D{}%26state%3Dx",
    "<td>{}</td>",
    "export_ort_{}",
    "goat_oat_{}",
    "oat_ ort_ \x00 {}",
    "ünï \N{GOAT}{}\N{GOAT}",
]


LONGEST_REQUEST_LINE = 4094
"""Gunicorn's default."""


def tokens_of(grants):
    """Store an access token for each grant and return the raw texts."""
    raw = {f"oat_{number:043}": grant for number, grant in enumerate(grants)}
    AccessToken.objects.bulk_create(AccessTokenFactory.build(grant=grant, raw=text) for text, grant in raw.items())
    return list(raw)


def find(client, text, **options):
    return client.post(admin_url("grant_find"), {"text": text}, **options)


@pytest.mark.parametrize("which", WORDS)
def test_pasted_token_leads_to_its_grant_and_is_named(admin_browser, client_app, held_tokens, which):
    response = find(admin_browser, held_tokens[which], follow=True)

    assert response.redirect_chain == [(admin_url("grant_change", client_app.grant.pk), HTTPStatus.FOUND)]
    assert messages_on(response) == [("warning", WORDS[which])]


@pytest.mark.parametrize(
    ("ended", "state"),
    [({"revoked_at": NOW, "revoked_reason": "leak"}, "revoked"), ({"idle_expires_at": NOW}, "expired")],
)
def test_token_of_an_ended_grant_needs_no_warning(stopped_clock, admin_browser, client_app, ended, state):
    stopped_clock.shift(1)
    Grant.objects.update(created_at=NOW - timedelta(days=1), **ended)

    response = find(admin_browser, client_app.refresh_token, follow=True)

    text = f"You pasted refresh token 1 of this grant: {state}. {NOTHING_TO_REVOKE}"
    assert messages_on(response) == [("success", text)]


def test_token_of_a_blocked_grant_is_a_warning(admin_browser, client_app):
    get_user_model().objects.filter(pk=client_app.grant.user_id).update(is_active=False)

    response = find(admin_browser, client_app.access_token, follow=True)

    text = (
        "You pasted an access token of this grant: blocked. The grant is blocked only for now. "
        "Treat it as theft: revoke, and call the user."
    )
    assert messages_on(response) == [("warning", text)]


WORDS_OF_ANOTHER_SERVER = {
    CURRENT: "You pasted refresh token 3 of this grant: current. It works: ",
    SPENT[0]: "You pasted refresh token 1 of this grant: spent. It works no more, but the grant is active: ",
    ACCESS: "You pasted an access token of this grant: active. It works: ",
}


@pytest.mark.parametrize("surroundings", [text for text in SURROUNDINGS if "_{}" not in text])
@pytest.mark.parametrize("raw", WORDS_OF_ANOTHER_SERVER)
def test_token_of_another_server_leads_to_its_grant(admin_browser, other_server, moved, raw, surroundings):
    response = find(admin_browser, surroundings.format(raw), follow=True)

    assert response.redirect_chain == [(admin_url("grant_change", moved.pk), HTTPStatus.FOUND)]
    [(level, text)] = messages_on(response)
    assert (level, text.startswith(WORDS_OF_ANOTHER_SERVER[raw])) == ("warning", True)
    assert raw not in other_server.asked  # it was moved before


@pytest.mark.parametrize("text", ["{}.", "/revoke/{}", "a.{}.b", "{} {}"])
def test_token_of_another_server_is_found_beside_what_is_none(admin_browser, moved, text):
    assert find(admin_browser, text.format(CURRENT, "x" * 30)).url == admin_url("grant_change", moved.pk)


@pytest.mark.parametrize("raw", [CURRENT, SPENT[1], ACCESS])
def test_session_of_another_server_that_was_not_moved_yet_is_found(admin_browser, other_server, application, user, raw):
    other_server.hold(application, user)

    response = find(admin_browser, f"refresh_token={raw}&client_id=x")

    assert response.url == admin_url("grant_change", Grant.objects.get().pk)


def test_importer_that_fails_is_logged_without_the_token(admin_browser, client_app, oauth_settings, caplog):
    oauth_settings(FOREIGN_TOKENS=["tests.foreign.fail_then_adopt"])

    response = find(admin_browser, f"{CURRENT} {client_app.access_token}", follow=True)

    assert messages_on(response)[0] == (
        "warning",
        "Tokens of the server that you move from could not be looked up: the log says why.",
    )
    assert response.redirect_chain == [(admin_url("grant_change", client_app.grant.pk), HTTPStatus.FOUND)]
    assert "fail_then_adopt" in caplog.text
    assert CURRENT not in caplog.text


def test_short_token_of_another_server_is_found_if_it_is_the_whole_text(admin_browser, other_server, application, user):
    grant = move_in(application, user, current="short")

    assert find(admin_browser, " short\n").url == admin_url("grant_change", grant.pk)


def test_token_of_another_server_is_not_looked_for_where_none_is_accepted(admin_browser, application, user):
    move_in(application, user)

    response = find(admin_browser, CURRENT, follow=True)

    assert messages_on(response) == NO_SUCH_TOKEN


def test_token_of_another_server_in_a_search_is_taken_out_of_the_url(admin_browser, moved):
    response = admin_browser.get(admin_url("grant_changelist"), {"q": CURRENT})

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, admin_url("grant_changelist"))


def test_newest_refresh_token_is_found_after_its_row_was_pruned(admin_browser, client_app):
    RefreshToken.objects.all().delete()

    response = find(admin_browser, client_app.refresh_token, follow=True)

    text = f"You pasted refresh token 1 of this grant: current, its row was pruned. {WORKS}"
    assert messages_on(response) == [("warning", text)]


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("which", ["current refresh token", "active access token"])
def test_token_is_found_in_surrounding_text(admin_browser, client_app, held_tokens, which, surroundings):
    response = find(admin_browser, surroundings.format(held_tokens[which]))

    assert response.url == admin_url("grant_change", client_app.grant.pk)


def test_tokens_of_one_grant_lead_to_it_by_the_first(admin_browser, client_app, held_tokens):
    response = find(admin_browser, "\n".join(held_tokens.values()), follow=True)

    assert response.redirect_chain == [(admin_url("grant_change", client_app.grant.pk), HTTPStatus.FOUND)]
    assert messages_on(response) == [
        ("warning", WORDS["current refresh token"]),
        ("info", "Tokens found: 5. Grants: 1, of which active: 1."),
    ]


def test_tokens_of_several_grants_lead_to_a_list_of_just_these(admin_browser, client_app, public_client, user):
    third = OAuthClient(client_app.application, SECRET).start(user=user)

    response = find(
        admin_browser, f"{public_client.refresh_token} {third.access_token} {third.refresh_token}", follow=True
    )

    keys = f"{public_client.grant.pk},{third.grant.pk}"
    assert response.redirect_chain == [
        (admin_url("grant_changelist", id__in=keys).replace("%2C", ","), HTTPStatus.FOUND)
    ]
    assert {grant.pk for grant in response.context["cl"].result_list} == {public_client.grant.pk, third.grant.pk}
    assert messages_on(response) == [("warning", "Tokens found: 3. Grants: 2, of which active: 2.")]
    assert response.context["title"] == "Grants of the tokens that were found"
    assert admin_url("grant_revoke_list", id__in=keys) in links(response)


def test_log_is_answered_with_what_is_found_active_and_unknown(admin_browser, client_app, public_client):
    Grant.objects.filter(pk=public_client.grant.pk).update(revoked_at=timezone.now(), revoked_reason="leak")
    noise = [f"oat_{number:043}" for number in range(3)]

    response = find(
        admin_browser, "\n".join([client_app.access_token, *noise, public_client.refresh_token]), follow=True
    )

    text = "Tokens found: 2. Grants: 2, of which active: 1. Texts of the same form that are unknown here: 3."
    assert messages_on(response) == [("warning", text)]


def test_log_of_ended_grants_needs_no_warning(admin_browser, client_app, public_client):
    Grant.objects.update(revoked_at=timezone.now(), revoked_reason="leak")

    response = find(admin_browser, f"{client_app.access_token} {public_client.refresh_token}", follow=True)

    assert messages_on(response) == [("success", "Tokens found: 2. Grants: 2, of which active: 0.")]


def test_unknown_texts_beside_one_token_are_counted(admin_browser, client_app):
    response = find(admin_browser, f"oat_{'A' * 43} {client_app.access_token}", follow=True)

    summary = "Tokens found: 1. Grants: 1, of which active: 1. Texts of the same form that are unknown here: 1."
    assert messages_on(response)[1:] == [("info", summary)]


def test_staff_who_may_only_view_grants_find_them(client_app):
    response = find(browser(staff("view_grant")), client_app.refresh_token)

    assert response.url == admin_url("grant_change", client_app.grant.pk)


OTHERS_JWT = assemble({"alg": "RS256"}, {"iss": "https://login.example"})
GARBAGE = {
    "nothing": "",
    "spaces": " \t\r\n",
    "words": "the token that leaked",
    "NUL": "\x00",
    "prefixes": "ort_ oat_",
    "unknown access token": "oat_" + "A" * 43,
    "unknown refresh token": "ort_" + "A" * 92,
    "refresh token of no grant": crypto.mint_refresh_token(
        public_id=uuid4(), generation=1, mac_key=bytes(32), prefix="ort_"
    ),
    "JWT of others": OTHERS_JWT,
    "JWT of others in a header": f"Authorization: Bearer {OTHERS_JWT}",
    "huge": "ort_x" * 400_000,
    "lone surrogate": "\N{REPLACEMENT CHARACTER}oat_",
}


@pytest.fixture
def near_misses(client_app):
    """What belongs to an active grant, but is no token of it."""
    refresh_token, access_token = client_app.refresh_token, client_app.access_token
    code = AuthorizationCodeFactory(raw="oac_" + "C" * 43)
    forged = crypto.mint_refresh_token(
        public_id=client_app.grant.public_id, generation=1, mac_key=bytes(32), prefix="ort_"
    )
    return {
        "forged": forged,
        "a character less": refresh_token[:-1],
        "another first character": refresh_token[1:],
        "another case": access_token.swapcase(),
        "halves": f"{access_token[:20]} {access_token[20:]}",
        "digest": crypto.digest(access_token),
        "client secret": SECRET,
        "code": f"oac_{'C' * 43} {code.digest}",
        "ID of the grant": str(client_app.grant.public_id),
    }


def assert_nothing_was_found(response):
    assert response.redirect_chain == [(admin_url("grant_changelist"), HTTPStatus.FOUND)]
    assert messages_on(response) == NO_SUCH_TOKEN
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
def test_text_without_a_token_is_not_found(admin_browser, client_app, text):
    response = find(admin_browser, text, follow=True)

    assert_nothing_was_found(response)


@pytest.mark.parametrize(
    "which",
    [
        "forged",
        "a character less",
        "another first character",
        "another case",
        "halves",
        "digest",
        "client secret",
        "code",
        "ID of the grant",
    ],
)
def test_text_that_is_nearly_a_token_is_not_found(admin_browser, near_misses, which):
    response = find(admin_browser, near_misses[which], follow=True)

    assert_nothing_was_found(response)


def test_form_without_a_text_finds_nothing(admin_browser):
    response = admin_browser.post(admin_url("grant_find"), follow=True)

    assert_nothing_was_found(response)


def test_text_that_is_no_token_is_not_logged(admin_browser, caplog):
    caplog.set_level(logging.DEBUG)

    find(admin_browser, "a secret of another service, pasted by mistake")

    assert caplog.records == []


@pytest.mark.parametrize("which", [*WORDS, "unknown"])
def test_pasted_token_is_stored_nowhere(admin_browser, held_tokens, caplog, which):
    caplog.set_level(logging.DEBUG)
    raw = held_tokens.get(which, "oat_" + "A" * 43)

    response = find(admin_browser, raw)

    messages = [str(message) for message in response.wsgi_request._messages]
    kept = [
        *[f"{record.getMessage()} {vars(record)!r}" for record in caplog.records],
        *[f"{cookie.key}={cookie.value}" for cookie in response.cookies.values()],
        repr(dict(admin_browser.session)),
        *messages,
        repr(dict(response.headers)),
        response.content.decode(),
        *[str(values) for values in LogEntry.objects.values()],
    ]
    assert len(messages) == 1
    assert [text for text in kept if raw in text or quote_plus(raw) in text] == []


def test_page_that_is_found_does_not_repeat_the_token(admin_browser, held_tokens):
    for raw in held_tokens.values():
        response = find(admin_browser, raw, follow=True)

        assert raw not in response.content.decode()


@pytest.mark.parametrize("method", ["get", "head", "put"])
def test_search_by_another_method_than_post_leads_to_the_list(admin_browser, client_app, method):
    response = getattr(admin_browser, method)(admin_url("grant_find"))

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, admin_url("grant_changelist"))


def test_token_in_the_address_of_the_search_finds_nothing(admin_browser, client_app):
    response = admin_browser.get(admin_url("grant_find", text=client_app.refresh_token), follow=True)

    assert response.redirect_chain == [(admin_url("grant_changelist"), HTTPStatus.FOUND)]
    assert messages_on(response) == [("warning", WARNING)]


def test_sign_in_after_an_expired_session_leads_to_the_list(client, superuser, client_app):
    superuser.set_password(PASSWORD)
    superuser.save()
    to_sign_in = find(client, client_app.refresh_token).url

    response = client.post(to_sign_in, {"username": superuser.username, "password": PASSWORD}, follow=True)

    assert (response.status_code, response.request["PATH_INFO"]) == (HTTPStatus.OK, admin_url("grant_changelist"))


@pytest.mark.parametrize(
    "permissions", [[], ["revoke_grant"], ["view_refreshtoken", "view_accesstoken", "delete_grant", "add_grant"]]
)
def test_staff_without_the_permission_to_view_grants_find_none(client_app, permissions):
    response = find(browser(staff(*permissions)), client_app.refresh_token)

    assert response.status_code == HTTPStatus.FORBIDDEN


def test_anonymous_user_is_sent_to_sign_in(client, client_app):
    response = find(client, client_app.refresh_token)

    assert response.url == f"/admin/login/?next={admin_url('grant_find')}"


def test_users_who_are_not_staff_are_sent_to_sign_in(client_app, user):
    response = find(browser(user), client_app.refresh_token)

    assert response.url == f"/admin/login/?next={admin_url('grant_find')}"


def test_other_sites_cannot_post_a_token(superuser, client_app):
    response = find(browser(superuser, enforce_csrf_checks=True), client_app.refresh_token)

    assert response.status_code == HTTPStatus.FORBIDDEN


def test_form_of_the_list_posts_the_token_with_its_own_protection(superuser, client_app):
    client = browser(superuser, enforce_csrf_checks=True)
    page = client.get(admin_url("grant_changelist"))

    response = client.post(
        admin_url("grant_find"),
        {"text": client_app.refresh_token, "csrfmiddlewaretoken": page.context["csrf_token"]},
    )

    assert response.url == admin_url("grant_change", client_app.grant.pk)
    assert f'<form method="post" action="{admin_url("grant_find")}"' in page.content.decode()


WARNING = (
    "The URL held a token, which is now in your browser's history and in the server's log. Find and revoke it: "
    "paste it into “Leaked token” in the list of grants."
)


@pytest.mark.parametrize("surroundings", ["{}", "Bearer {}", "alice {} bob", '"{}"'])
@pytest.mark.parametrize("which", ["current refresh token", "revoked access token", "unknown"])
def test_token_in_the_address_is_never_searched(admin_browser, held_tokens, which, surroundings):
    raw = held_tokens.get(which, "oat_" + "A" * 43)

    with CaptureQueriesContext(connection) as queries:
        response = admin_browser.get(admin_url("grant_changelist"), {"q": surroundings.format(raw), "state": "active"})

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, admin_url("grant_changelist"))
    assert messages_on(admin_browser.get(response.url)) == [("warning", WARNING)]
    assert [query for query in queries.captured_queries if "oauth_refresh" in query["sql"]] == []


def test_token_in_the_address_is_not_searched_by_a_posted_action_either(admin_browser, held_tokens):
    url = admin_url("grant_changelist", q=held_tokens["current refresh token"])

    response = admin_browser.post(url, {"action": "revoke_grants", "select_across": "1", "_selected_action": "all"})

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, admin_url("grant_changelist"))


def test_token_is_found_among_many_false_ones(admin_browser, client_app):
    noise = " ".join(f"oat_{number:043}" for number in range(600))

    response = find(admin_browser, f"{noise} {client_app.access_token}")

    assert response.url == admin_url("grant_change", client_app.grant.pk)


TOO_LONG = "The text is too long for one page. Paste less of it, or use oauth_revoke_grants --token-stdin."


def test_text_over_the_limit_of_the_server_gets_a_hint(superuser, settings, client_app):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    client = browser(superuser, enforce_csrf_checks=True)
    client.get(admin_url("grant_changelist"))

    response = find(client, f"{client_app.access_token} {'x' * 1_000}", follow=True)

    assert response.redirect_chain == [(admin_url("grant_changelist"), HTTPStatus.FOUND)]
    assert messages_on(response) == [("warning", TOO_LONG)]


def test_message_says_how_many_grants_the_list_leaves_out(admin_browser, application):
    response = find(admin_browser, " ".join(tokens_of(grants_of(application, 201))), follow=True)

    told_so = "Only the first 200 of 201 grants are listed. Use oauth_revoke_grants --token-stdin for all of them."
    summary = "Tokens found: 201. Grants: 201, of which active: 201."
    assert messages_on(response) == [("warning", summary), ("warning", told_so)]


def test_every_link_of_a_list_of_found_grants_is_an_address_that_servers_take(admin_browser, application):
    grants_of(application, 501)
    large = Value(9_000_000_000, output_field=BigIntegerField())  # as long as a large site's
    Grant.objects.update(id=F("id") + large)

    response = find(admin_browser, " ".join(tokens_of(Grant.objects.all())), follow=True)

    longest = max([*links(response), response.request["QUERY_STRING"]], key=len)
    assert "900000" in longest
    assert len(longest) < LONGEST_REQUEST_LINE - len("/admin/oauth_refresh/grant/ POST HTTP/1.1\r\n")


def test_prefixes_of_the_project_are_found(admin_browser, oauth_settings):
    oauth_settings(ACCESS_TOKEN_PREFIX="acme_")
    token = AccessTokenFactory(raw="acme_" + "A" * 43)

    response = find(admin_browser, f"Bearer acme_{'A' * 43}")

    assert response.url == admin_url("grant_change", token.grant.pk)


def test_list_of_found_grants_shows_whose_they_are(admin_browser, client_app, public_client):
    response = find(admin_browser, f"{client_app.access_token}\n{public_client.access_token}", follow=True)

    assert sorted(column(response, "user_and_application")) == sorted(
        f"{app.grant.user} {app.application}" for app in (client_app, public_client)
    )


def test_anonymous_browser_cannot_see_what_was_found(client_app):
    response = Client().get(admin_url("grant_change", client_app.grant.pk))

    assert response.status_code == HTTPStatus.FOUND
