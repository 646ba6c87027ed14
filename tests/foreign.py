"""Tokens of another server, in its own form, and sessions that are moved here with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.models import Application, Grant
from oauth_refresh.services import ImportedAccessToken, import_session

CURRENT = "Lq3nY8mTz0bVx2cKj5hGf7dSa9pWoE"
"""A refresh token as django-oauth-toolkit makes them: 30 letters and digits."""

SPENT = ("Aq3nY8mTz0bVx2cKj5hGf7dSa9pWo1", "Bq3nY8mTz0bVx2cKj5hGf7dSa9pWo2")
"""Its predecessors, the oldest first."""

ACCESS = "Zr4oX9nUy1aWw3dLk6iHg8eTb0qVpF"
SCOPE = "notes:read notes:write"


def access_token(raw: str = ACCESS, *, scope: str = SCOPE, lifetime: timedelta = timedelta(minutes=10)) -> Any:
    return ImportedAccessToken(digest=crypto.digest(raw), scope=scope, expires_at=timezone.now() + lifetime)


def move_in(application: Application, user: Any, *, current: str = CURRENT, **arguments: Any) -> Grant:
    """Import a session whose client holds ``CURRENT`` and ``ACCESS``, and held ``SPENT``; arguments replace these."""
    session = {
        "scope": SCOPE,
        "spent_digests": [crypto.digest(raw) for raw in SPENT],
        "access_tokens": [access_token()],
    }
    return import_session(application, user=user, refresh_token_digest=crypto.digest(current), **session | arguments)


@dataclass
class OtherServer:
    """The sessions of another server that were not moved yet: what moves one, by each of its texts."""

    sessions: dict[str, Callable[[], object]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def hold(self, application: Application, user: Any, *, texts: Sequence[str] = (), **arguments: Any) -> None:
        """Hold a session that ``move_in`` would move, until one of ``texts`` is presented."""
        for raw in texts or (CURRENT, *SPENT, ACCESS):
            self.sessions[raw] = partial(move_in, application, user, **arguments)

    def adopt(self, raw: str) -> None:
        """Move the session of this text, and forget it once it is moved."""
        self.asked.append(raw)
        if (move := self.sessions.get(raw)) is not None:
            move()
            self.sessions.clear()


OTHER_SERVER = OtherServer()


def adopt(raw: str) -> str:
    """Be the importer of ``FOREIGN_TOKENS``; what it returns means nothing."""
    OTHER_SERVER.adopt(raw)
    return "this does not count"


def fail_then_adopt(raw: str) -> None:
    """Be an importer with a fault, whose error repeats the token."""
    {}[raw]
    adopt(raw)
