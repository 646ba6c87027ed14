"""What people do to a page: reload, go back, open it twice, leave it open while the world changes."""

from http import HTTPStatus
from urllib.parse import parse_qsl

import pytest
import requests

from tests.example.conftest import DEMO_DATA
from tests.flows.server import runserver

DELETE = "from oauth_refresh.models import {0}; {0}.objects.all().delete()"


@pytest.fixture(scope="module")
def site_without_tables(tmp_path_factory):
    """Serve the example as it is after its database was deleted."""
    with runserver(database_url=f"sqlite:///{tmp_path_factory.mktemp('gone') / 'site.sqlite3'}") as origin:
        yield origin


def test_reload_after_a_button_repeats_nothing(strict, newest_grant):
    strict.act("refresh")
    assert [answer.status_code for answer in strict.page.history] == [HTTPStatus.FOUND]

    strict.open(strict.page.url)

    assert newest_grant()["generation"] == 2


@pytest.mark.parametrize("path", ["act", "connect", "forget", "look"])
def test_address_of_a_button_leads_to_the_page(strict, path, newest_grant):
    strict.open(f"/playground/{path}")

    assert strict.page.url.endswith("/playground/")
    assert newest_grant()["generation"] == 1


def test_second_tab_with_an_older_page_goes_on_with_what_the_client_holds_now(strict, newest_grant):
    older = strict.page
    strict.act("refresh")
    strict.page = older

    assert strict.act("refresh").caption == "A new pair; the old one is dead"
    assert newest_grant()["generation"] == 3


def test_browser_comes_back_twice_with_the_same_code(strict, newest_grant):
    callback = next(answer.url for answer in strict.page.history if "code=" in answer.url)

    strict.open(callback)

    assert "That sign-in was finished already, or began in another browser." in strict.text
    assert newest_grant()["is_live"]


def test_user_says_no(demo):
    demo.open("/playground/").press("kind", "strict").press("decision", "deny")

    assert "You said no, so the client got nothing." in demo.text
    assert "The client holds nothing yet" in demo.text


def test_user_who_says_no_to_another_client_keeps_the_first(strict, newest_grant):
    strict.press("kind", "patient").press("decision", "deny")

    assert strict.act("refresh").caption == "A new pair; the old one is dead"
    assert newest_grant()["client_id"] == "playground"


def test_unknown_client_is_not_connected(demo):
    demo.open("/playground/")
    demo.page._content = demo.page.content.replace(b'value="strict"', b'value="nonsense"')

    demo.press("kind", "nonsense")

    assert demo.page.url.endswith("/playground/")


@pytest.mark.parametrize("action", ["refresh", "revoke"])
def test_secret_of_the_client_was_replaced(strict, shell, newest_grant, action):
    shell(
        "from oauth_refresh.models import Application; Application.objects.filter(client_id='playground').update("
        "secret_digest='0' * 64)"
    )
    try:
        assert strict.act(action).caption == "Refused"
        assert "invalid_client" in strict.text
        assert newest_grant()["is_live"]
    finally:
        shell(DEMO_DATA)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"iss": "http://127.0.0.1:1"}, "The answer came from another server than the client had asked"),
        ({"code": "oac_wrong"}, "The code was refused"),
        ({"state": "wrong"}, "That sign-in was finished already, or began in another browser."),
    ],
    ids=["iss", "code", "state"],
)
def test_browser_comes_back_with_something_else(demo, change, sentence):
    demo.open("/playground/").press("kind", "strict").press("decision", "allow", allow_redirects=False)
    address, _mark, query = demo.page.headers["Location"].partition("?")

    demo.open(address, params=dict(parse_qsl(query)) | change)

    assert sentence in demo.text
    assert "The client holds nothing yet" in demo.text


def test_session_of_the_client_expires(strict):
    strict.cookies.pop("playground")
    strict.cookies["playground"] = "long-gone"

    strict.open("/playground/")

    assert "The client holds nothing yet" in strict.text


def test_form_that_is_older_than_a_sign_in_says_so(alone):
    older = alone.page
    alone.press("as", "admin")
    alone.page = older
    alone.cookies.set("csrftoken", "x" * 32)

    alone.act("refresh")

    assert alone.page.status_code == HTTPStatus.FORBIDDEN
    assert "This form was too old" in alone.text
    assert 'href="/playground/"' in alone.text


def test_site_under_another_name_leads_to_its_own(site):
    answer = requests.get(site.replace("127.0.0.1", "localhost") + "/playground/", timeout=30)

    assert answer.status_code == HTTPStatus.MISDIRECTED_REQUEST
    assert f'href="{site}/playground/"' in answer.text


def test_unknown_button_does_nothing(strict, newest_grant):
    strict.page._content = strict.page.content.replace(b'value="refresh"', b'value="nonsense"')

    strict.act("nonsense")

    assert strict.caption == "Connected: this is a session's first pair"
    assert newest_grant()["generation"] == 1


def test_button_that_is_not_ready_says_what_to_do_first(strict):
    strict.page._content = strict.page.content.replace(b'value="refresh"', b'value="replay"')

    strict.act("replay")

    assert "Refresh first, so that there is a spent one." in strict.text


def test_database_is_reset_while_the_page_is_open(strict, shell):
    shell(DELETE.format("Grant"))

    assert strict.act("refresh").caption == "The server no longer knows this session"
    assert strict.can_press("kind", "strict")
    assert strict.text.count("Connect again</button>") == 1
    assert not strict.can_press("action", "refresh")


def test_thief_of_a_session_that_the_server_forgot_has_no_buttons(strict, shell):
    strict.act("steal")
    assert strict.can_press("action", "thief-read")
    shell(DELETE.format("Grant"))

    assert not strict.open("/playground/").can_press("action", "thief-read")


def test_application_is_gone(strict, shell):
    shell(DELETE.format("Application"))
    try:
        assert strict.act("refresh").caption == "The server no longer knows this session"
        strict.press("kind", "strict")
        assert "The demonstration's data is not there. Start the site by manage.py demo." in strict.text
    finally:
        shell(DEMO_DATA)


def test_admin_who_has_chosen_a_password_is_not_signed_in(alone, shell):
    shell("from django.contrib.auth.models import User; User.objects.filter(username='admin').update(password='!')")
    try:
        alone.press("as", "admin")
        assert "admin no longer has the demonstration's password." in alone.text
    finally:
        shell(f"from django.contrib.auth.models import User; User.objects.get(username='admin').delete(); {DEMO_DATA}")


@pytest.mark.parametrize("path", ["/playground/", "/oauth/applications/", "/admin/"])
def test_page_says_in_words_that_the_database_is_gone(site_without_tables, path):
    cookies = {"sessionid": "of-a-session-that-was", "playground": "of-a-client-that-was"}

    answer = requests.get(site_without_tables + path, cookies=cookies, timeout=20)

    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "The database is not there" in answer.text
    assert "Traceback" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_session_that_is_over_offers_to_connect_the_same_client_again(strict, newest_grant):
    assert strict.act("revoke").caption == "Signed out: the session is over"

    strict.press("kind", "strict").press("decision", "allow")

    assert newest_grant()["is_live"]
