"""Clients that behave well: no answer, a 502 or a 503 lets them send the same request again; invalid_grant is final."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlencode

PATIENCE_SECONDS = 60
TIMEOUT_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One whole answer; its header names are in small letters."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def is_fault_in_json(self) -> bool:
        """Whether it is the 503 that a fault of the server must be: for machines, and without a word of the fault."""
        if self.status != 503 or self.headers.get("content-type") != "application/json":
            return False
        said = json.loads(self.text)
        return (
            self.headers.get("retry-after", "").isdecimal()
            and set(said) == {"error", "error_description"}
            and said["error"] == "temporarily_unavailable"
        )


@dataclass(kw_only=True)
class Session:
    """What a client holds, and what it has been through. ``lost``: why it must ask its user to sign in again."""

    client_id: str
    grant: str
    access_token: str
    refresh_token: str
    refreshes: int = 0
    lost: str | None = None


@dataclass(kw_only=True)
class Tally:
    """What all clients have seen. ``wrong`` are answers that no fault may cause."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0


class GoodClient:
    """Refreshes sessions at one server, and asks again as long as that may help.

    ``proxied``: a 502 or 504 of a proxy counts as no answer; from the server itself they are wrong.
    """

    def __init__(self, port: int, *, proxied: bool = False, pause_seconds: float = 0.25) -> None:
        self.port, self.proxied, self.pause_seconds = port, proxied, pause_seconds
        self.tally = Tally()
        self._lock = threading.Lock()

    def refresh(self, session: Session) -> bool:
        """Refresh until there is a verdict; return whether the session goes on."""
        begun = time.monotonic()
        while session.lost is None:
            answer = self.ask_once(session)
            if answer is not None and answer.status == 200:
                pair = json.loads(answer.text)
                session.access_token, session.refresh_token = pair["access_token"], pair["refresh_token"]
                session.refreshes += 1
                self._note("200", seconds=time.monotonic() - begun)
                return True
            if not self._may_ask_again(answer):
                session.lost = "no answer at all" if answer is None else f"{answer.status} {answer.text[:200]}"
            elif time.monotonic() - begun > PATIENCE_SECONDS:
                session.lost = "no success within the client's patience"
            else:
                time.sleep(self.pause_seconds)
        return False

    def ask_once(self, session: Session) -> Answer | None:
        """Send the refresh request once; return None if no whole answer came."""
        form = {
            "grant_type": "refresh_token",
            "client_id": session.client_id,
            "refresh_token": session.refresh_token,
        }
        with suppress(OSError, HTTPException):
            return call(self.port, "POST", "/oauth/token", body=urlencode(form))
        return None

    def get(self, path: str, *, bearer: str) -> int:
        """Call an API until there is an answer other than 503, and return its status."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_SECONDS:
            with suppress(OSError, HTTPException):
                answer = call(self.port, "GET", path, bearer=bearer)
                if answer.status != 503:
                    return answer.status
            time.sleep(self.pause_seconds)
        return 503

    def _may_ask_again(self, answer: Answer | None) -> bool:
        if answer is None:
            self._note("none")
            return True
        self._note(str(answer.status))
        if self.proxied and answer.status in {502, 504}:
            return True
        if not answer.is_fault_in_json and answer.status != 400:
            self._note_wrong(answer)
        return answer.status >= 500

    def _note(self, what: str, *, seconds: float = 0.0) -> None:
        with self._lock:
            self.tally.answers[what] += 1
            self.tally.slowest_seconds = max(self.tally.slowest_seconds, seconds)

    def _note_wrong(self, answer: Answer) -> None:
        with self._lock:
            self.tally.wrong.append(f"{answer.status} {answer.headers.get('content-type')} {answer.text[:500]}")


def call(port: int, method: str, path: str, *, body: str | None = None, bearer: str | None = None) -> Answer:
    """Make one request on a connection of its own. Raises OSError or HTTPException if no whole answer comes."""
    headers = {"Connection": "close"}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(status=response.status, headers=named, text=text)


def run_under_load(
    client: GoodClient, sessions: Sequence[Session], *, rounds: int, threads: int, disturb: Callable[[], object]
) -> float:
    """Refresh every session once a round, until the ``rounds`` are over and ``disturb`` has returned.

    The rounds are run by ``threads``, each with its own share of the sessions. Return how many seconds it took.
    """
    disturbed = threading.Event()

    def keep_refreshing(share: Iterable[Session]) -> None:
        share, done = list(share), 0
        while done < rounds or not disturbed.is_set():
            for session in share:
                client.refresh(session)
            if all(session.lost for session in share):
                return
            done += 1

    begun = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(keep_refreshing, sessions[number::threads]) for number in range(threads)]
        try:
            disturb()
        finally:
            disturbed.set()
        for one in running:
            one.result()
    return time.monotonic() - begun
