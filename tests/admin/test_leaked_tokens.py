"""A leaked token is pasted: its grant is found, and the token is kept nowhere."""

import logging
from http import HTTPStatus
from urllib.parse import quote_plus
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models import BigIntegerField, F, Value
from django.test import Client
from django.test.utils import CaptureQueriesContext

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from tests.admin.many import grants_of
from tests.admin.pages import address, browser, column, links, staff, told
from tests.conftest import SECRET
from tests.factories import PASSWORD, AccessTokenFactory, AuthorizationCodeFactory
from tests.jwts import assemble
from tests.oauth import OAuthClient

pytestmark = pytest.mark.django_db
NO_SUCH_TOKEN = [("warning", "No such token.")]


@pytest.fixture
def held(client_app):
    """Every token that a client may come to hold, by what has become of it; generation 2 was pruned."""
    spent, dead = client_app.refresh_token, client_app.access_token
    client_app.rotate()
    pruned = client_app.refresh_token
    client_app.rotate()
    RefreshToken.objects.filter(generation=2).delete()
    return {
        "live refresh token": client_app.refresh_token,
        "spent refresh token": spent,
        "pruned refresh token": pruned,
        "live access token": client_app.access_token,
        "dead access token": dead,
    }


WORDS = {
    "live refresh token": "What you pasted is refresh token 3 of this grant: the newest one.",
    "spent refresh token": "What you pasted is refresh token 1 of this grant: spent.",
    "pruned refresh token": "What you pasted is refresh token 2 of this grant: spent, its row was pruned.",
    "live access token": "What you pasted is an access token of this grant: it works.",
    "dead access token": "What you pasted is an access token of this grant: it does not work any more.",
}
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
    return client.post(address("grant_find"), {"text": text}, **options)


@pytest.mark.parametrize("which", WORDS)
def test_pasted_token_leads_to_its_grant_and_is_named(operator, client_app, held, which):
    response = find(operator, held[which], follow=True)

    assert response.redirect_chain == [(address("grant_change", client_app.grant.pk), HTTPStatus.FOUND)]
    assert told(response) == [("info", WORDS[which])]


def test_newest_refresh_token_is_found_after_its_row_was_pruned(operator, client_app):
    RefreshToken.objects.all().delete()

    response = find(operator, client_app.refresh_token, follow=True)

    assert told(response) == [
        ("info", "What you pasted is refresh token 1 of this grant: the newest one, its row was pruned.")
    ]


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("which", ["live refresh token", "live access token"])
def test_token_is_found_in_whatever_surrounds_it(operator, client_app, held, which, surroundings):
    response = find(operator, surroundings.format(held[which]))

    assert response.url == address("grant_change", client_app.grant.pk)


def test_tokens_of_one_grant_lead_to_it_by_the_first(operator, client_app, held):
    response = find(operator, "\n".join(held.values()), follow=True)

    assert response.redirect_chain == [(address("grant_change", client_app.grant.pk), HTTPStatus.FOUND)]
    assert told(response) == [("info", WORDS["live refresh token"])]


def test_tokens_of_several_grants_lead_to_a_list_of_just_these(operator, client_app, public_client, user):
    third = OAuthClient(client_app.application, SECRET).start(user=user)

    response = find(operator, f"{public_client.refresh_token} {third.access_token} {third.refresh_token}", follow=True)

    keys = f"{public_client.grant.pk},{third.grant.pk}"
    assert response.redirect_chain == [(address("grant_changelist", id__in=keys).replace("%2C", ","), HTTPStatus.FOUND)]
    assert {grant.pk for grant in response.context["cl"].result_list} == {public_client.grant.pk, third.grant.pk}
    assert told(response) == []


def test_staff_who_may_only_view_grants_find_them(client_app):
    response = find(browser(staff("view_grant")), client_app.refresh_token)

    assert response.url == address("grant_change", client_app.grant.pk)


OTHERS_JWT = assemble({"alg": "RS256"}, {"iss": "https://login.example"})
GARBAGE = {
    "nothing": "",
    "spaces": " \t\r\n",
    "words": "the token that leaked",
    "NUL": "\x00",
    "prefixes": "ort_ oat_",
    "unknown access token": "oat_" + "A" * 43,
    "unknown refresh token": "ort_" + "A" * 92,
    "refresh token of nobody": crypto.mint_refresh_token(
        public_id=uuid4(), generation=1, mac_key=bytes(32), prefix="ort_"
    ),
    "JWT of others": OTHERS_JWT,
    "JWT of others in a header": f"Authorization: Bearer {OTHERS_JWT}",
    "huge": "ort_x" * 400_000,
    "lone surrogate": "\N{REPLACEMENT CHARACTER}oat_",
}


@pytest.fixture
def near_misses(client_app):
    """What belongs to a live grant, but is no token of it."""
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
    assert response.redirect_chain == [(address("grant_changelist"), HTTPStatus.FOUND)]
    assert told(response) == NO_SUCH_TOKEN
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
def test_text_without_a_token_is_no_such_token(operator, client_app, text):
    response = find(operator, text, follow=True)

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
def test_what_is_nearly_a_token_is_no_such_token(operator, near_misses, which):
    response = find(operator, near_misses[which], follow=True)

    assert_nothing_was_found(response)


def test_form_without_a_text_is_no_such_token(operator):
    response = operator.post(address("grant_find"), follow=True)

    assert_nothing_was_found(response)


def test_text_that_is_no_token_is_not_logged(operator, caplog):
    caplog.set_level(logging.DEBUG)

    find(operator, "a secret of somebody else, pasted by mistake")

    assert caplog.records == []


@pytest.mark.parametrize("which", [*WORDS, "unknown"])
def test_pasted_token_is_kept_nowhere(operator, held, caplog, which):
    caplog.set_level(logging.DEBUG)
    raw = held.get(which, "oat_" + "A" * 43)

    response = find(operator, raw)

    messages = [str(message) for message in response.wsgi_request._messages]
    kept = [
        *[f"{record.getMessage()} {vars(record)!r}" for record in caplog.records],
        *[f"{cookie.key}={cookie.value}" for cookie in response.cookies.values()],
        repr(dict(operator.session)),
        *messages,
        repr(dict(response.headers)),
        response.content.decode(),
        *[str(values) for values in LogEntry.objects.values()],
    ]
    assert len(messages) == 1
    assert [text for text in kept if raw in text or quote_plus(raw) in text] == []


def test_page_that_is_found_does_not_repeat_the_token(operator, held):
    for raw in held.values():
        response = find(operator, raw, follow=True)

        assert raw not in response.content.decode()


@pytest.mark.parametrize("method", ["get", "head", "put"])
def test_search_by_another_method_than_post_leads_to_the_list(operator, client_app, method):
    response = getattr(operator, method)(address("grant_find"))

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, address("grant_changelist"))


def test_token_in_the_address_of_the_search_finds_nothing(operator, client_app):
    response = operator.get(address("grant_find", text=client_app.refresh_token), follow=True)

    assert response.redirect_chain == [(address("grant_changelist"), HTTPStatus.FOUND)]
    assert told(response) == [("warning", WARNING)]


def test_operator_whose_session_was_over_comes_back_to_where_tokens_are_pasted(client, superuser, client_app):
    superuser.set_password(PASSWORD)
    superuser.save()
    to_sign_in = find(client, client_app.refresh_token).url

    response = client.post(to_sign_in, {"username": superuser.username, "password": PASSWORD}, follow=True)

    assert (response.status_code, response.request["PATH_INFO"]) == (HTTPStatus.OK, address("grant_changelist"))


@pytest.mark.parametrize(
    "permissions", [[], ["revoke_grant"], ["view_refreshtoken", "view_accesstoken", "delete_grant", "add_grant"]]
)
def test_nobody_finds_a_grant_without_the_permission_to_view_grants(client_app, permissions):
    response = find(browser(staff(*permissions)), client_app.refresh_token)

    assert response.status_code == HTTPStatus.FORBIDDEN


def test_who_is_not_signed_in_signs_in_first(client, client_app):
    response = find(client, client_app.refresh_token)

    assert response.url == f"/admin/login/?next={address('grant_find')}"


def test_people_who_are_no_staff_find_nothing(client_app, user):
    response = find(browser(user), client_app.refresh_token)

    assert response.url == f"/admin/login/?next={address('grant_find')}"


def test_other_sites_cannot_post_a_token(superuser, client_app):
    response = find(browser(superuser, enforce_csrf_checks=True), client_app.refresh_token)

    assert response.status_code == HTTPStatus.FORBIDDEN


def test_form_of_the_list_posts_the_token_with_its_own_protection(superuser, client_app):
    client = browser(superuser, enforce_csrf_checks=True)
    page = client.get(address("grant_changelist"))

    response = client.post(
        address("grant_find"),
        {"text": client_app.refresh_token, "csrfmiddlewaretoken": page.context["csrf_token"]},
    )

    assert response.url == address("grant_change", client_app.grant.pk)
    assert f'<form method="post" action="{address("grant_find")}"' in page.content.decode()


WARNING = (
    "A token does not belong into an address: it is now in your browser's history and in the server's log, so "
    "revoke it. Paste tokens at “Leaked token” in the list of grants; from there they are posted."
)


@pytest.mark.parametrize("surroundings", ["{}", "Bearer {}", "alice {} bob", '"{}"'])
@pytest.mark.parametrize("which", ["live refresh token", "dead access token", "unknown"])
def test_token_in_the_address_is_never_searched(operator, held, which, surroundings):
    raw = held.get(which, "oat_" + "A" * 43)

    with CaptureQueriesContext(connection) as queries:
        response = operator.get(address("grant_changelist"), {"q": surroundings.format(raw), "state": "live"})

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, address("grant_changelist"))
    assert told(operator.get(response.url)) == [("warning", WARNING)]
    assert [query for query in queries.captured_queries if "oauth_refresh" in query["sql"]] == []


def test_token_in_the_address_is_not_searched_by_a_posted_action_either(operator, held):
    url = address("grant_changelist", q=held["live refresh token"])

    response = operator.post(url, {"action": "revoke_grants", "select_across": "1", "_selected_action": "all"})

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, address("grant_changelist"))


def test_noise_hides_no_token(operator, client_app):
    noise = " ".join(f"oat_{number:043}" for number in range(600))

    response = find(operator, f"{noise} {client_app.access_token}")

    assert response.url == address("grant_change", client_app.grant.pk)


TOO_LONG = "The text is too long for one page. Paste less of it, or use oauth_revoke_grants --token-stdin."


def test_text_over_the_limit_of_the_server_is_told_in_words(superuser, settings, client_app):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    client = browser(superuser, enforce_csrf_checks=True)
    client.get(address("grant_changelist"))

    response = find(client, f"{client_app.access_token} {'x' * 1_000}", follow=True)

    assert response.redirect_chain == [(address("grant_changelist"), HTTPStatus.FOUND)]
    assert told(response) == [("warning", TOO_LONG)]


def test_more_grants_than_an_address_can_hold_are_told(operator, application):
    response = find(operator, " ".join(tokens_of(grants_of(application, 201))), follow=True)

    told_so = "201 grants were found, of which 200 are listed. oauth_revoke_grants --token-stdin takes them all."
    assert told(response) == [("warning", told_so)]


def test_every_link_of_a_list_of_found_grants_is_an_address_that_servers_take(operator, application):
    grants_of(application, 501)
    large = Value(9_000_000_000, output_field=BigIntegerField())  # as long as a large site's
    Grant.objects.update(id=F("id") + large)

    response = find(operator, " ".join(tokens_of(Grant.objects.all())), follow=True)

    longest = max([*links(response), response.request["QUERY_STRING"]], key=len)
    assert "900000" in longest
    assert len(longest) < LONGEST_REQUEST_LINE - len("/admin/oauth_refresh/grant/ POST HTTP/1.1\r\n")


def test_prefixes_of_the_project_are_found(operator, settings):
    settings.OAUTH_REFRESH = settings.OAUTH_REFRESH | {"ACCESS_TOKEN_PREFIX": "acme_"}
    token = AccessTokenFactory(raw="acme_" + "A" * 43)

    response = find(operator, f"Bearer acme_{'A' * 43}")

    assert response.url == address("grant_change", token.grant.pk)


def test_list_of_found_grants_shows_whose_they_are(operator, client_app, public_client):
    response = find(operator, f"{client_app.access_token}\n{public_client.access_token}", follow=True)

    assert sorted(column(response, "who")) == sorted(
        f"{app.grant.user} {app.application}" for app in (client_app, public_client)
    )


def test_anonymous_browser_cannot_see_what_was_found(client_app):
    response = Client().get(address("grant_change", client_app.grant.pk))

    assert response.status_code == HTTPStatus.FOUND
