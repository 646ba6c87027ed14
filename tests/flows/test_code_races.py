"""Parallel redemptions of one code against a running server: one wins, and then the session is dead.

``RACE_ROUNDS`` in the environment says how often; a code is fetched for each round, as a browser would.
"""

import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.cookiejar import CookieJar
from threading import Barrier
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener, urlopen

import pytest

from tests.consent import CHALLENGE, REDIRECT_URI, VERIFIER
from tests.flows.server import manage_all

ROUNDS = int(os.environ.get("RACE_ROUNDS", "10"))
RACERS = 8
PASSWORD = "a long enough password"
CREATE_APPLICATION = (
    *("oauth_create_application", "Phone", "--client-id", "phone", "--public", "--redirect-uri", REDIRECT_URI),
    *("--grant-type", "authorization_code", "--grant-type", "refresh_token"),
)
TRUST_IT = "from oauth_refresh.models import Application; Application.objects.update(is_trusted=True)"


class StayHere(HTTPRedirectHandler):
    """Follow no redirect: the code is in the address that it leads to."""

    def http_error_302(self, req, fp, code, msg, headers):
        return fp

    http_error_303 = http_error_302


@pytest.fixture(scope="module")
def phone_app(origin, database_url):
    """Register a public application that is trusted, and a user."""
    create_user = ("createsuperuser", "--noinput", "--username", "eve", "--email", "eve@example.com")
    commands = (CREATE_APPLICATION, create_user, ("shell", "-c", TRUST_IT))
    manage_all(*commands, database_url=database_url, DJANGO_SUPERUSER_PASSWORD=PASSWORD)


@pytest.fixture(scope="module")
def browser(phone_app, origin):
    """A browser in which the user signed in."""
    cookies = CookieJar()
    browser = build_opener(HTTPCookieProcessor(cookies), StayHere())
    with browser.open(f"{origin}/login/") as page:
        page.read()
    [token] = [cookie.value for cookie in cookies if cookie.name == "csrftoken"]
    form = {"username": "eve", "password": PASSWORD, "csrfmiddlewaretoken": token}
    with browser.open(f"{origin}/login/", data=urlencode(form).encode()) as redirect:
        assert redirect.status == HTTPStatus.FOUND
    return browser


def fetch_code(browser, origin):
    query = {
        "response_type": "code",
        "client_id": "phone",
        "redirect_uri": REDIRECT_URI,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    with browser.open(f"{origin}/oauth/authorize?{urlencode(query)}") as redirect:
        return parse_qs(urlsplit(redirect.headers["Location"]).query)["code"][0]


def post(url, **parameters):
    """POST a form as the public application; return the status and the JSON answer."""
    request = Request(url, data=urlencode({"client_id": "phone", **parameters}).encode())
    try:
        with urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read() or b"{}")
    except HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


def redeem(origin, code, **changes):
    parameters = {"code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER, **changes}
    return post(f"{origin}/oauth/token", grant_type="authorization_code", **parameters)


def refresh(origin, token):
    return post(f"{origin}/oauth/token", grant_type="refresh_token", refresh_token=token)


def race(*calls):
    """Start all calls at the same moment and return their results in order."""
    barrier = Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_parallel_redemptions_have_one_winner_and_leave_no_live_session(origin, browser, turn):
    code = fetch_code(browser, origin)

    answers = race(*[lambda: redeem(origin, code)] * RACERS)

    outcome = Counter(status for status, _body in answers)
    assert outcome == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: RACERS - 1}
    [winner] = [body for status, body in answers if status == HTTPStatus.OK]
    assert refresh(origin, winner["refresh_token"])[0] == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_wrong_redemptions_that_race_a_right_one_do_no_harm(origin, browser, turn):
    code = fetch_code(browser, origin)
    wrong = [lambda: redeem(origin, code, code_verifier="x" * 43)] * (RACERS - 1)

    (status, tokens), *refusals = race(lambda: redeem(origin, code), *wrong)

    assert status == HTTPStatus.OK
    assert {status for status, _body in refusals} == {HTTPStatus.BAD_REQUEST}
    assert refresh(origin, tokens["refresh_token"])[0] == HTTPStatus.OK


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_nothing_lives_after_a_replay_that_raced_a_refresh(origin, browser, turn):
    code = fetch_code(browser, origin)
    _status, tokens = redeem(origin, code)

    replayed, refreshed = race(lambda: redeem(origin, code), lambda: refresh(origin, tokens["refresh_token"]))

    assert replayed[0] == HTTPStatus.BAD_REQUEST
    assert refreshed[0] in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}
    last = refreshed[1].get("refresh_token", tokens["refresh_token"])
    assert refresh(origin, last)[0] == HTTPStatus.BAD_REQUEST
