"""``manage.py far_api``: an API on another port that refuses what the site has revoked, and the buttons for it."""

import re
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

import pytest

from example_project.demo.accounts import USER, WSO2
from tests.oauth import basic
from tests.server import call, far_api, manage
from tests.waiting import wait_until


@pytest.fixture(scope="module", autouse=True)
def running_far_api(far_port, site, database_url):
    with far_api(issuer=site, port=far_port, database_url=database_url):
        yield


@pytest.fixture
def post(site):
    """Return a function that sends a form to the site as the client, and returns the members of the answer."""

    def post(path, form):
        headers = {"Authorization": basic(WSO2.client_id, WSO2.secret)}
        answer = call(urlsplit(site).port, "POST", path, body=urlencode(form), headers=headers)
        assert answer.status == HTTPStatus.OK, answer.text
        return answer.json

    return post


def signed_in(post):
    form = {"grant_type": "password", "username": USER.username, "password": USER.password, "scope": "notes:read"}
    return post("/oauth/token", form)["access_token"]


def ask(port, raw):
    return call(port, "GET", "/api/", headers={"Authorization": f"Bearer {raw}"})


def press(visitor, action):
    """Press a button until the far API responds: on a busy machine it may need more time than it gives a request."""
    wait_until(lambda: visitor.act(action).caption != "The far API does not respond")
    return visitor.caption


def delays(visitor):
    return [int(text) for text in re.findall(r'data-counts="(\d+)"', visitor.text)]


def test_revoked_token_is_refused_at_the_other_port(far_port, post):
    raw, other = signed_in(post), signed_in(post)
    assert ask(far_port, raw).json == {"user": USER.username, "scopes": ["notes:read"]}
    wait_until(lambda: call(far_port, "GET", "/health/").json["feed_is_fresh"])
    assert (ask(far_port, raw).status, ask(far_port, other).status) == (HTTPStatus.OK, HTTPStatus.OK)

    post("/oauth/revoke", {"token": raw})

    wait_until(lambda: ask(far_port, raw).status == HTTPStatus.UNAUTHORIZED)
    assert ask(far_port, other).status == HTTPStatus.OK


def test_request_without_a_token_is_challenged(far_port):
    answer = call(far_port, "GET", "/api/")

    assert (answer.status, answer.headers["www-authenticate"]) == (HTTPStatus.UNAUTHORIZED, 'Bearer realm="far"')


def test_port_and_issuer_that_cannot_be_used_are_named(far_port, database_url):
    taken = manage("far_api", "--port", str(far_port), database_url=database_url)
    wrong = manage("far_api", "--issuer", "auth", database_url=database_url)

    assert (taken.returncode, wrong.returncode) == (1, 1)
    assert "Address already in use" in taken.stderr
    assert "issuer: write the issuer URL" in wrong.stderr


def test_playground_watches_both_apis_until_they_refuse_the_token(strict, newest_grant):
    assert press(strict, "far") == "The far API responded"
    assert press(strict, "watch") == "Revoked: both APIs refuse the token"
    local, far = delays(strict)
    assert f"This server's API, {local} ms after the revocation" in strict.text
    assert f"The far API, {far} ms after the revocation" in strict.text
    assert newest_grant()["reason"] == "client_request"

    assert press(strict, "far") == "Refused: the grant is no longer active"
    assert press(strict, "watch") == "Refused: the grant is no longer active"
    assert delays(strict) == []


def test_playground_says_while_the_far_api_has_not_read_the_revocation(strict):
    press(strict, "far")
    strict.act("revoke")
    wait_until(lambda: press(strict, "far") != "The far API still accepts the token")

    assert strict.caption == "Refused: the grant is no longer active"
