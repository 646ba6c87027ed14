"""Clients that behave well: no answer, a 502 or a 503 lets them send the same request again; invalid_grant is final."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from urllib.parse import urlencode

from tests.server import Answer, call

PATIENCE_SECONDS = 120


@dataclass(kw_only=True)
class HeldGrant:
    """What a client holds of a grant, and how often it refreshed. ``lost``: why its user must sign in again."""

    client_id: str
    grant: str
    access_token: str
    refresh_token: str
    refreshes: int = 0
    lost: str | None = None


@dataclass(kw_only=True)
class Tally:
    """What all clients received. ``wrong`` are answers that must not come, whatever failed."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0


class GoodClient:
    """Refreshes grants at one server, and repeats a request as long as that may help.

    ``proxied``: a 502 or 504 of a proxy counts as no answer; from the server itself they are wrong.
    """

    def __init__(self, port: int, *, proxied: bool = False, pause_seconds: float = 0.25) -> None:
        self.port, self.proxied, self.pause_seconds = port, proxied, pause_seconds
        self.tally = Tally()
        self._lock = threading.Lock()

    def refresh(self, held: HeldGrant) -> bool:
        """Repeat the request until it succeeds or is refused; return whether the client still holds the grant."""
        started = time.monotonic()
        while held.lost is None:
            answer = self.ask_once(held)
            if answer is not None and answer.status == 200:
                pair = json.loads(answer.text)
                held.access_token, held.refresh_token = pair["access_token"], pair["refresh_token"]
                held.refreshes += 1
                self._note("200", seconds=time.monotonic() - started)
                return True
            if not self._may_repeat(answer):
                held.lost = "no answer at all" if answer is None else f"{answer.status} {answer.text[:200]}"
            elif time.monotonic() - started > PATIENCE_SECONDS:
                held.lost = "no success within the client's patience"
            else:
                time.sleep(self.pause_seconds)
        return False

    def ask_once(self, held: HeldGrant) -> Answer | None:
        """Send the refresh request once; return None if no whole answer came."""
        form = {
            "grant_type": "refresh_token",
            "client_id": held.client_id,
            "refresh_token": held.refresh_token,
        }
        with suppress(OSError, HTTPException):
            return call(self.port, "POST", "/oauth/token", body=urlencode(form))
        return None

    def get(self, path: str, *, bearer: str) -> int:
        """Call an API until there is an answer other than 503, and return its status."""
        started = time.monotonic()
        while time.monotonic() - started < PATIENCE_SECONDS:
            with suppress(OSError, HTTPException):
                answer = call(self.port, "GET", path, headers={"Authorization": f"Bearer {bearer}"})
                if answer.status != 503:
                    return answer.status
            time.sleep(self.pause_seconds)
        return 503

    def _may_repeat(self, answer: Answer | None) -> bool:
        if answer is None:
            self._note("none")
            return True
        self._note(str(answer.status))
        if self.proxied and answer.status in {502, 504}:
            return True
        if not answer.is_server_error_in_json and answer.status != 400:
            self._note_wrong(answer)
        return answer.status >= 500

    def _note(self, what: str, *, seconds: float = 0.0) -> None:
        with self._lock:
            self.tally.answers[what] += 1
            self.tally.slowest_seconds = max(self.tally.slowest_seconds, seconds)

    def _note_wrong(self, answer: Answer) -> None:
        with self._lock:
            self.tally.wrong.append(f"{answer.status} {answer.headers.get('content-type')} {answer.text[:500]}")


def run_under_load(
    client: GoodClient, grants: Sequence[HeldGrant], *, rounds: int, threads: int, disturb: Callable[[Tally], object]
) -> float:
    """Refresh every grant once a round, until the ``rounds`` are over and ``disturb`` has returned.

    The rounds are run by ``threads``, each with its own share of the grants. Return how many seconds it took.
    """
    disturbed = threading.Event()

    def keep_refreshing(share: Iterable[HeldGrant]) -> None:
        share, done = list(share), 0
        while done < rounds or not disturbed.is_set():
            for held in share:
                client.refresh(held)
            if all(held.lost for held in share):
                return
            done += 1

    started = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(keep_refreshing, grants[number::threads]) for number in range(threads)]
        try:
            disturb(client.tally)
        finally:
            disturbed.set()
        for one in running:
            one.result()
    return time.monotonic() - started
