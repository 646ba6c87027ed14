"""The buttons for the API on another port, ``manage.py far_api``: call it, and see how soon it refuses a revoked token.

It keeps what the server said about a token, and reads every half second what was revoked.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus

import requests

from example_project.playground.actions import NOTES, Result
from example_project.playground.client import TIMEOUT, DemoClient, Refused, Unreachable
from example_project.playground.client_state import ClientState
from example_project.settings import FAR_API_URL

LOCAL, FAR = "This server's API", "The far API"
LONGEST_WATCH, PAUSE = 5.0, 0.01
"""Seconds: how long a token is sent until it is refused, and the pause before it is sent again."""


def call_far_api(state: ClientState) -> Result:
    client = state.client()
    try:
        is_accepted = _is_accepted(client, FAR, state)
    except Unreachable:
        return Result(succeeded=False, exchanges=client.exchanges, outcome="silent")
    if not is_accepted and _is_accepted(client, LOCAL, state):
        return Result(succeeded=False, exchanges=client.exchanges, outcome="elsewhere")
    return Result(succeeded=is_accepted, exchanges=client.exchanges)


def revoke_and_watch(state: ClientState) -> Result:
    """Revoke the grant, and call both APIs until they refuse the access token.

    Nothing is revoked unless both accept it, because there would be nothing to see.
    """
    client = state.client()
    if not _is_accepted(client, LOCAL, state):
        return Result(succeeded=False, exchanges=client.exchanges)
    try:
        is_kept = _is_accepted_and_kept(client, state)
    except Unreachable:
        return Result(succeeded=False, exchanges=client.exchanges, outcome="silent")
    if not is_kept:
        return Result(succeeded=False, exchanges=client.exchanges, outcome="elsewhere")
    try:
        client.revoke(state.pair["refresh_token"] if state.pair else "")
    except Refused:
        return Result(succeeded=False, exchanges=client.exchanges)
    return _watch(state, client, revoked_at=time.monotonic())


def _watch(state: ClientState, client: DemoClient, *, revoked_at: float) -> Result:
    """Call both APIs at the same time, each from a thread, until both have refused the token."""
    watchers = {LOCAL: state.client(), FAR: state.client()}
    with ThreadPoolExecutor() as threads:
        found = threads.map(lambda api: _until_refused(watchers[api], api, state, since=revoked_at), watchers)
        delays = dict(zip(watchers, found, strict=True))
    exchanges = [*client.exchanges, *watchers[LOCAL].exchanges, *watchers[FAR].exchanges]
    outcome = "accepted" if None in delays.values() else ""
    return Result(succeeded=not outcome, exchanges=exchanges, outcome=outcome, delays=delays)


def _until_refused(client: DemoClient, api: str, state: ClientState, *, since: float) -> int | None:
    """Return after how many milliseconds a refusal arrived, or None. Of the exchanges, keep the last two."""
    milliseconds = 0
    while milliseconds <= LONGEST_WATCH * 1000:
        try:
            is_refused = not _is_accepted(client, api, state)
        except Unreachable:
            is_refused = False
        milliseconds = round((time.monotonic() - since) * 1000)
        note = f"{api}, {milliseconds} ms after the revocation"
        client.exchanges = [*client.exchanges[-2:-1], *(replace(last, note=note) for last in client.exchanges[-1:])]
        if is_refused:
            return milliseconds
        time.sleep(PAUSE)
    return None


def _is_accepted_and_kept(client: DemoClient, state: ClientState) -> bool:
    """Call the far API until it has kept its answer. The first token lets it begin to read what was revoked."""
    if not _is_accepted(client, FAR, state):
        return False
    deadline = time.monotonic() + LONGEST_WATCH
    while not _far_api_keeps_answers() and time.monotonic() < deadline:
        time.sleep(PAUSE)
    client.exchanges.pop()  # the call below is the same one
    return _is_accepted(client, FAR, state)


def _far_api_keeps_answers() -> bool:
    with requests.Session() as session:
        session.trust_env = False  # as in DemoClient
        try:
            return bool(session.get(f"{FAR_API_URL}/health/", timeout=TIMEOUT).json()["feed_is_fresh"])
        except (requests.RequestException, KeyError, TypeError) as error:
            raise Unreachable("The far API did not return its state.") from error


def _is_accepted(client: DemoClient, api: str, state: ClientState) -> bool:
    url = f"{FAR_API_URL}/api/" if api == FAR else state.server["issuer"] + NOTES
    access_token = state.pair["access_token"] if state.pair else ""
    status = client.call(url, access_token=access_token)
    if api == FAR:
        client.exchanges[-1] = replace(client.exchanges[-1], note=FAR)  # the log shows paths only
    return status < HTTPStatus.BAD_REQUEST
