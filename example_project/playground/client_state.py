"""The state of the client for one browser: its tokens, the thief's tokens, and a log of what was done.

A real client would be another site with a session of its own. So this state has a session and a cookie of its own too:
signing in or out of the server, which replaces the session there, does not change it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import wraps
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse

from example_project.demo.accounts import PLAYGROUND_RETRY, PLAYGROUND_STRICT, DemoApplication
from example_project.http_log import Exchange
from example_project.playground.client import DemoClient, TokenPair

COOKIE = "playground"
CLIENT_AGENT, THIEF_AGENT = "Notebook/1.0", "Thief/6.6"
"""The user agents of the client and of the thief."""

APPLICATIONS = {"strict": PLAYGROUND_STRICT, "retry": PLAYGROUND_RETRY}
MAX_LOG_ENTRIES = 12
MAX_PENDING = 5
_KEY = "client"


@dataclass(kw_only=True)
class LogEntry:
    """An action, its outcome (see ``captions``), and its requests with their responses.

    ``delays``: after how many milliseconds each API refused a revoked token, None if it did not.
    """

    action: str
    outcome: str
    exchanges: list[Exchange]
    delays: dict[str, int | None] = field(default_factory=dict)


@dataclass(kw_only=True)
class PendingAuthorization:
    """An authorization request without a response so far, with what the client needs when the browser returns."""

    kind: str
    verifier: str
    url: str
    exchanges: list[Exchange]


@dataclass(kw_only=True)
class ClientState:
    """``kind`` is a key of APPLICATIONS, ``server`` the server's metadata; ``pending`` has the ``state`` as its key."""

    kind: str = "strict"
    server: dict[str, str] = field(default_factory=dict)
    pending: dict[str, PendingAuthorization] = field(default_factory=dict)
    pair: TokenPair | None = None
    spent_refresh_token: str = ""
    thief_pair: TokenPair | None = None
    log: list[LogEntry] = field(default_factory=list)

    @property
    def application(self) -> DemoApplication:
        return APPLICATIONS[self.kind]

    def client(self, user_agent: str = CLIENT_AGENT) -> DemoClient:
        return DemoClient(self.application, user_agent=user_agent, server=self.server)

    def add_pending(self, state: str, authorization: PendingAuthorization) -> None:
        newest = list(self.pending.items())[1 - MAX_PENDING :]
        self.pending = {**dict(newest), state: authorization}

    def reset(self, kind: str) -> None:
        """Forget the tokens and the log; from now on the client is the application ``kind``."""
        self.kind, self.pair, self.spent_refresh_token, self.thief_pair, self.log = kind, None, "", None, []

    def store(self, pair: TokenPair) -> None:
        """Store a new pair. A real client would delete the old refresh token; this one keeps it to use it again."""
        if self.pair is not None and self.pair["refresh_token"] != pair["refresh_token"]:
            self.spent_refresh_token = self.pair["refresh_token"]
        self.pair = pair

    def add_log_entry(self, entry: LogEntry) -> None:
        self.log = [entry, *self.log][:MAX_LOG_ENTRIES]

    @classmethod
    def load(cls, session: SessionBase) -> "ClientState":
        """Return the state in the session; an empty one if another version of this site stored it."""
        try:
            stored = dict(session.get(_KEY, {}))
            log = [LogEntry(**_with_exchanges(entry)) for entry in stored.pop("log", [])]
            pending = {
                state: PendingAuthorization(**_with_exchanges(authorization))
                for state, authorization in stored.pop("pending", {}).items()
            }
            loaded = cls(**stored, log=log, pending=pending)
        except (KeyError, TypeError):
            return cls()
        return loaded if loaded.kind in APPLICATIONS else cls()


def _with_exchanges(stored: dict[str, Any]) -> dict[str, Any]:
    return stored | {"exchanges": [Exchange(**exchange) for exchange in stored["exchanges"]]}


def with_client_state(
    view: Callable[[HttpRequest, ClientState], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Pass the browser's state to the view, and store it if the view has changed it."""

    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        store = import_module(settings.SESSION_ENGINE).SessionStore
        session: SessionBase = store(request.COOKIES.get(COOKIE))
        state = ClientState.load(session)
        response = view(request, state)
        if (changed := asdict(state)) != session.get(_KEY, asdict(ClientState())):
            session[_KEY] = changed
            session.save()
            response.set_cookie(
                COOKIE, session.session_key or "", secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax"
            )
        return response

    return wrapped
