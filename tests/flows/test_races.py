"""Parallel requests against a running server: whoever is first wins, and nothing survives a revocation."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from threading import Barrier
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.flows.server import manage, manage_all

ROUNDS = 10
RACERS = 4


@pytest.fixture(scope="module")
def phone_app(origin, database_url):
    """Register a public application and a user."""
    create = ("oauth_create_application", "Phone", "--client-id", "phone", "--public", "--grant-type", "refresh_token")
    create_user = ("createsuperuser", "--noinput", "--username", "eve", "--email", "eve@example.com")
    manage_all(create, create_user, database_url=database_url, DJANGO_SUPERUSER_PASSWORD="a long enough password")


@pytest.fixture
def pairs(phone_app, database_url):
    """Return a fresh pair for each round."""
    arguments = ("oauth_issue_tokens", "--application", "phone", "--user", "eve", "--count", str(ROUNDS))
    return [json.loads(line) for line in manage(*arguments, database_url=database_url).stdout.splitlines()]


def post(url, **parameters):
    """POST a form as the public application; return the status and the JSON answer."""
    request = Request(url, data=urlencode({"client_id": "phone", **parameters}).encode())
    try:
        with urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read() or b"{}")
    except HTTPError as refusal:
        return refusal.code, json.loads(refusal.read())


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


def test_parallel_refreshes_have_at_most_one_winner_and_leave_no_live_family(origin, pairs):
    for pair in pairs:
        answers = race(*[lambda token=pair["refresh_token"]: refresh(origin, token)] * RACERS)

        outcome = Counter(status for status, _body in answers)
        assert outcome == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: RACERS - 1}
        [winner] = [body for status, body in answers if status == HTTPStatus.OK]
        assert refresh(origin, winner["refresh_token"])[0] == HTTPStatus.BAD_REQUEST


def test_nothing_lives_after_a_revocation_that_raced_a_refresh(origin, pairs):
    for pair in pairs:
        refreshed, revoked = race(
            lambda pair=pair: refresh(origin, pair["refresh_token"]),
            lambda pair=pair: post(f"{origin}/oauth/revoke", token=pair["access_token"]),
        )

        assert revoked[0] == HTTPStatus.OK
        assert refreshed[0] in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}
        if refreshed[0] == HTTPStatus.OK:
            assert refresh(origin, refreshed[1]["refresh_token"])[0] == HTTPStatus.BAD_REQUEST
