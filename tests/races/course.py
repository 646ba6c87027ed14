"""The course of a race: a server of several processes on a database that the racers in this process share with it."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar
from urllib.parse import urlencode

import environ
from django.conf import settings
from django.db import connections

from tests.faults.stage import PROTECTED, Site

T = TypeVar("T")
WORKERS, THREADS = 2, 4


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server answered; ``body`` is empty if it was not JSON."""

    status: int
    body: Mapping[str, Any]

    @property
    def is_success(self) -> bool:
        return self.status == HTTPStatus.OK


class Course:
    """The running server, and the requests that racers make."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def post(self, path: str, headers: Mapping[str, str] | None = None, **parameters: str) -> Answer:
        form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._send("POST", path, urlencode(parameters), form)

    def refresh(self, client_id: str, refresh_token: str) -> Answer:
        """Refresh as a public application."""
        form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
        return self.post("/oauth/token", **form)

    def keep_refreshing(self, client_id: str, refresh_token: str, *, times: int) -> list[Answer]:
        """Refresh again and again with the successor, until that is refused or ``times`` is over."""
        answers: list[Answer] = []
        while len(answers) < times:
            answers.append(answer := self.refresh(client_id, refresh_token))
            if not answer.is_success:
                break
            refresh_token = answer.body["refresh_token"]
        return answers

    def revoke(self, client_id: str, token: str) -> Answer:
        return self.post("/oauth/revoke", client_id=client_id, token=token)

    def accepts(self, access_token: str) -> bool:
        """Whether the API lets the access token in."""
        answer = self._send("GET", PROTECTED, None, {"Authorization": f"Bearer {access_token}"})
        assert answer.status in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}, f"The API answered {answer}."
        return answer.is_success

    def _send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.site.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        is_json = response.headers.get_content_type() == "application/json"
        return Answer(status=response.status, body=json.loads(text) if text and is_json else {})


def race(*calls: Callable[[], T]) -> list[T]:
    """Start all calls at the same moment, each in a thread with a database connection of its own; return in order."""
    barrier = Barrier(len(calls), timeout=60)

    def run(call: Callable[[], T]) -> T:
        try:
            barrier.wait()
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@contextmanager
def open_course(database_url: str, folder: Path) -> Iterator[Course]:
    """Serve the example project by several processes, and let the ORM of this one work on the same database."""
    site = Site(
        folder=folder,
        workers=WORKERS,
        threads=THREADS,
        DATABASE_URL=database_url,
        DJANGO_SETTINGS_MODULE="tests.races.settings",
        SECRET_KEY=settings.SECRET_KEY,  # password fingerprints depend on it
        OAUTH_ISSUER=settings.OAUTH_REFRESH["ISSUER"],
    )
    with _orm_on(database_url):
        site.start()
        try:
            yield Course(site)
        finally:
            site.kill()


@contextmanager
def _orm_on(database_url: str) -> Iterator[None]:
    """Point the default connection, in this thread and all that are started meanwhile, at another database."""
    before, connection = connections.settings["default"], connections["default"]
    options = {"transaction_mode": "IMMEDIATE", "timeout": 20} if database_url.startswith("sqlite") else {}
    connections.settings["default"] = {**before, **environ.Env().db_url_config(database_url), "OPTIONS": options}
    connections["default"] = connections.create_connection("default")
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"] = connection
        connections.settings["default"] = before
