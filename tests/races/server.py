"""The server of a race: the example project in several processes, on a database that this process works on too."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from threading import Event
from urllib.parse import urlencode

import environ
from django.conf import settings
from django.db import connections

from oauth_refresh.models import STAFF, Application
from oauth_refresh.services import IssuedTokens, issue_tokens
from tests.factories import ApplicationFactory, UserFactory
from tests.faults.deployment import PROTECTED, Site
from tests.server import Answer, call
from tests.waiting import LONGEST_SECONDS

WORKERS, THREADS = 2, 4


class RaceServer:
    """The running server, and the requests that are sent to it."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def post(self, path: str, headers: Mapping[str, str] | None = None, **parameters: str) -> Answer:
        return call(self.site.port, "POST", path, body=urlencode(parameters), headers=headers)

    def refresh(self, client_id: str, refresh_token: str) -> Answer:
        """Refresh as a public application."""
        form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
        return self.post("/oauth/token", **form)

    def keep_refreshing(
        self, client_id: str, refresh_token: str, *, times: int, until: Event | None = None
    ) -> list[Answer]:
        """Refresh with the newest token as many ``times``, and on ``until`` an event, or until that is refused."""
        answers: list[Answer] = []
        deadline = time.monotonic() + LONGEST_SECONDS
        while len(answers) < times or not (until is None or until.is_set() or time.monotonic() > deadline):
            answers.append(answer := self.refresh(client_id, refresh_token))
            if answer.status != HTTPStatus.OK:
                break
            refresh_token = answer.json["refresh_token"]
        return answers

    def revoke(self, client_id: str, token: str) -> Answer:
        return self.post("/oauth/revoke", client_id=client_id, token=token)

    def accepts(self, access_token: str) -> bool:
        """Whether the API accepts the access token."""
        answer = call(self.site.port, "GET", PROTECTED, headers={"Authorization": f"Bearer {access_token}"})
        assert answer.status in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}, f"The API answered {answer}."
        return answer.status == HTTPStatus.OK


def start_grant(*, retry_window: timedelta | None = None) -> tuple[Application, IssuedTokens]:
    """Start a grant of a public application of its own; return the application and the first pair."""
    application = ApplicationFactory(public=True, retry_window=retry_window)
    return application, issue_tokens(application, user=UserFactory(), grant_type=STAFF, scope="notes:read")


@contextmanager
def serving(database_url: str, folder: Path) -> Iterator[RaceServer]:
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
            yield RaceServer(site)
        finally:
            site.kill()


@contextmanager
def _orm_on(database_url: str) -> Iterator[None]:
    """Point the default connection, in this thread and all that are started meanwhile, at another database."""
    before, connection = connections.settings["default"], connections["default"]
    options = {"transaction_mode": "IMMEDIATE", "timeout": LONGEST_SECONDS} if database_url.startswith("sqlite") else {}
    connections.settings["default"] = {**before, **environ.Env().db_url_config(database_url), "OPTIONS": options}
    connections["default"] = connections.create_connection("default")
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"] = connection
        connections.settings["default"] = before
