"""Reloading, going back, a second tab, changed requests, and data that changes while a page is open."""

from http import HTTPStatus
from urllib.parse import parse_qsl

import pytest
import requests

from tests.server import runserver

DELETE = "from oauth_refresh.models import {0}; {0}.objects.all().delete()"


@pytest.fixture(scope="module")
def site_without_tables(tmp_path_factory):
    """Serve the example with an empty database, as after its file was deleted."""
    with runserver(database_url=f"sqlite:///{tmp_path_factory.mktemp('gone') / 'site.sqlite3'}") as origin:
        yield origin


def test_reload_after_an_action_does_not_repeat_it(strict, newest_grant):
    strict.act("refresh")
    assert [answer.status_code for answer in strict.page.history] == [HTTPStatus.FOUND]

    strict.open(strict.page.url)

    assert newest_grant()["generation"] == 2


@pytest.mark.parametrize("path", ["act", "connect", "forget", "sign-in"])
def test_get_request_for_an_action_redirects_to_the_page(strict, path, newest_grant):
    strict.open(f"/playground/{path}")

    assert strict.page.url.endswith("/playground/")
    assert newest_grant()["generation"] == 1


def test_action_in_an_older_tab_uses_the_current_tokens(strict, newest_grant):
    older = strict.page
    strict.act("refresh")
    strict.page = older

    assert strict.act("refresh").caption == "New pair issued: the old tokens are invalid"
    assert newest_grant()["generation"] == 3


def test_second_request_with_the_same_code_is_ignored(strict, newest_grant):
    callback = next(answer.url for answer in strict.page.history if "code=" in answer.url)

    strict.open(callback)

    assert "This sign-in was completed already, or was started in another browser." in strict.text
    assert newest_grant()["is_live"]


def test_user_denies_access(demo):
    demo.open("/playground/").press("kind", "strict").press("decision", "deny")

    assert "You denied access, so the client received no tokens." in demo.text
    assert "The client is not connected" in demo.text


def test_denying_a_second_client_keeps_the_first(strict, newest_grant):
    strict.press("kind", "retry").press("decision", "deny")

    assert strict.act("refresh").caption == "New pair issued: the old tokens are invalid"
    assert newest_grant()["client_id"] == "playground"


def test_unknown_client_is_not_connected(demo):
    demo.open("/playground/")
    demo.page._content = demo.page.content.replace(b'value="strict"', b'value="nonsense"')

    demo.press("kind", "nonsense")

    assert demo.page.url.endswith("/playground/")


@pytest.mark.parametrize("action", ["refresh", "revoke"])
def test_client_with_a_wrong_secret_is_refused(strict, shell, create_demo_data, newest_grant, action):
    shell(
        "from oauth_refresh.models import Application; Application.objects.filter(client_id='playground').update("
        "secret_digest='0' * 64)"
    )
    try:
        assert strict.act(action).caption == "Refused"
        assert "invalid_client" in strict.text
        assert newest_grant()["is_live"]
    finally:
        create_demo_data()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"iss": "http://127.0.0.1:1"}, "The response came from another server than the client had asked"),
        ({"code": "oac_wrong"}, "The code was refused"),
        ({"state": "wrong"}, "This sign-in was completed already, or was started in another browser."),
    ],
    ids=["iss", "code", "state"],
)
def test_changed_authorization_response_is_not_accepted(demo, change, sentence):
    demo.open("/playground/").press("kind", "strict").press("decision", "allow", allow_redirects=False)
    address, _mark, query = demo.page.headers["Location"].partition("?")

    demo.open(address, params=dict(parse_qsl(query)) | change)

    assert sentence in demo.text
    assert "The client is not connected" in demo.text


def test_unknown_session_cookie_means_not_connected(strict):
    strict.cookies.pop("playground")
    strict.cookies["playground"] = "long-gone"

    strict.open("/playground/")

    assert "The client is not connected" in strict.text


def test_form_loaded_before_a_sign_in_offers_to_reload(own_sign_in):
    older = own_sign_in.page
    own_sign_in.press("as", "admin")
    own_sign_in.page = older
    own_sign_in.cookies.set("csrftoken", "x" * 32)

    own_sign_in.act("refresh")

    assert own_sign_in.page.status_code == HTTPStatus.FORBIDDEN
    assert "This page was out of date" in own_sign_in.text
    assert 'href="/playground/"' in own_sign_in.text


def test_playground_at_another_address_links_to_the_right_one(site):
    answer = requests.get(site.replace("127.0.0.1", "localhost") + "/playground/", timeout=30)

    assert answer.status_code == HTTPStatus.MISDIRECTED_REQUEST
    assert f'href="{site}/playground/"' in answer.text


def test_unknown_action_does_nothing(strict, newest_grant):
    strict.page._content = strict.page.content.replace(b'value="refresh"', b'value="nonsense"')

    strict.act("nonsense")

    assert strict.caption == "Connected: the client has its first tokens"
    assert newest_grant()["generation"] == 1


def test_disabled_action_says_what_to_do_first(strict):
    strict.page._content = strict.page.content.replace(b'value="refresh"', b'value="replay"')

    strict.act("replay")

    assert "Refresh first: no token is spent yet." in strict.text


def test_deleted_grant_can_be_replaced_by_connecting_again(strict, shell):
    shell(DELETE.format("Grant"))

    assert strict.act("refresh").caption == "The server does not know this grant"
    assert strict.can_press("kind", "strict")
    assert strict.text.count("Connect again</button>") == 1
    assert not strict.can_press("action", "refresh")


def test_thief_has_no_buttons_for_a_deleted_grant(strict, shell):
    strict.act("steal")
    assert strict.can_press("action", "thief-read")
    shell(DELETE.format("Grant"))

    assert not strict.open("/playground/").can_press("action", "thief-read")


def test_deleted_application_cannot_be_connected(strict, shell, create_demo_data):
    shell(DELETE.format("Application"))
    try:
        assert strict.act("refresh").caption == "The server does not know this grant"
        strict.press("kind", "strict")
        assert "The data of the demonstration is missing. Start the site with manage.py demo." in strict.text
    finally:
        create_demo_data()


def test_admin_with_another_password_is_not_signed_in(own_sign_in, shell, create_demo_data):
    shell("from django.contrib.auth.models import User; User.objects.filter(username='admin').update(password='!')")
    try:
        own_sign_in.press("as", "admin")
        assert "The password of admin was changed, so you are not signed in." in own_sign_in.text
    finally:
        shell("from django.contrib.auth.models import User; User.objects.get(username='admin').delete()")
        create_demo_data()


@pytest.mark.parametrize("path", ["/playground/", "/oauth/applications/", "/admin/"])
def test_page_without_a_database_says_so(site_without_tables, path):
    cookies = {"sessionid": "no-such-session", "playground": "no-such-session"}  # Django looks up keys of 8 characters

    answer = requests.get(site_without_tables + path, cookies=cookies, timeout=20)

    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "The database is not available" in answer.text
    assert "Traceback" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_disconnected_client_can_connect_again(strict, newest_grant):
    assert strict.act("revoke").caption == "Disconnected: the grant is revoked"

    strict.press("kind", "strict").press("decision", "allow")

    assert newest_grant()["is_live"]
