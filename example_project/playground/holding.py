"""What the client holds for one browser: its pair of tokens, what a thief took, and what went over the wire.

In real life the client is another site, so its session is another than that of this server's pages, with a cookie of
its own: whoever signs in or out here takes nothing from the client.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import wraps
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse

from example_project.demo.accounts import PATIENT, STRICT, DemoApplication
from example_project.playground.client import DemoClient, Pair
from example_project.wire import Exchange

COOKIE = "playground"
OWNER, THIEF = "Notebook/1.0", "Thief/6.6"
"""How the two programs call themselves."""

APPLICATIONS = {"strict": STRICT, "patient": PATIENT}
MOST_ROUNDS = 12
MOST_CONNECTIONS = 5
_KEY = "holding"


@dataclass(kw_only=True)
class Round:
    """One press of a button: what it was, how it ended (a key of the captions), and its exchanges."""

    action: str
    ending: str
    exchanges: list[Exchange]


@dataclass(kw_only=True)
class Connecting:
    """An authorization that was begun: by which client, and what must be remembered until the user comes back."""

    kind: str
    verifier: str
    url: str
    exchanges: list[Exchange]


@dataclass(kw_only=True)
class Holding:
    """``connecting`` has what was begun, by ``state``; ``spent`` is the refresh token that the last refresh spent."""

    kind: str = "strict"
    server: dict[str, str] = field(default_factory=dict)
    connecting: dict[str, Connecting] = field(default_factory=dict)
    pair: Pair | None = None
    spent: str = ""
    stolen: Pair | None = None
    rounds: list[Round] = field(default_factory=list)

    @property
    def application(self) -> DemoApplication:
        return APPLICATIONS[self.kind]

    def client(self, program: str = OWNER) -> DemoClient:
        return DemoClient(self.application, program=program, server=self.server)

    def begin(self, state: str, connecting: Connecting) -> None:
        newest = list(self.connecting.items())[1 - MOST_CONNECTIONS :]
        self.connecting = {**dict(newest), state: connecting}

    def start(self, kind: str) -> None:
        """Forget the pair and all that happened to it."""
        self.kind, self.pair, self.spent, self.stolen, self.rounds = kind, None, "", None, []

    def take(self, pair: Pair) -> None:
        """Hold a new pair. A good client forgets the old refresh token; this one shows what becomes of it."""
        if self.pair is not None and self.pair["refresh_token"] != pair["refresh_token"]:
            self.spent = self.pair["refresh_token"]
        self.pair = pair

    def write_down(self, made: Round) -> None:
        self.rounds = [made, *self.rounds][:MOST_ROUNDS]

    @classmethod
    def load(cls, session: SessionBase) -> "Holding":
        """Return what the session holds; nothing, if another version of this site wrote it."""
        try:
            stored = dict(session.get(_KEY, {}))
            rounds = [Round(**_with_exchanges(one)) for one in stored.pop("rounds", [])]
            begun = {state: Connecting(**_with_exchanges(one)) for state, one in stored.pop("connecting", {}).items()}
            holding = cls(**stored, rounds=rounds, connecting=begun)
        except (KeyError, TypeError):
            return cls()
        return holding if holding.kind in APPLICATIONS else cls()


def _with_exchanges(stored: dict[str, Any]) -> dict[str, Any]:
    return stored | {"exchanges": [Exchange(**exchange) for exchange in stored["exchanges"]]}


def with_holding(view: Callable[[HttpRequest, Holding], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Give the view what the browser's client holds, and keep what the view made of it."""

    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        store = import_module(settings.SESSION_ENGINE).SessionStore
        session: SessionBase = store(request.COOKIES.get(COOKIE))
        holding = Holding.load(session)
        response = view(request, holding)
        if (kept := asdict(holding)) != session.get(_KEY, asdict(Holding())):
            session[_KEY] = kept
            session.save()
            response.set_cookie(
                COOKIE, session.session_key or "", secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax"
            )
        return response

    return wrapped
