"""A grant as a diagram: a row for each token and event, a dot beside each row, and lines between the dots.

The rows are HTML, the dots and lines SVG. There are two lanes: the client's, and one for the thief.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.utils import timezone

from example_project.playground.client_state import THIEF_AGENT
from example_project.playground.token_cards import state_of
from oauth_refresh import crypto
from oauth_refresh.models import Grant, GrantEvent, RefreshToken, RevocationReason

ROW, TOP = 64, 20
"""Pixels: the height of a row, and the space above the first row for the names of the lanes; as in playground.css."""

CLIENT_LANE, THIEF_LANE = 36, 76
WIDTH = 104
_MAX_TOKENS = 8
_LAST_TOKENS = 5
_MAX_EVENTS = 12


@dataclass(frozen=True, kw_only=True)
class Row:
    """``kind``: active, spent or inactive (a token), gap (tokens left out), reuse or retry (an event), or end."""

    kind: str
    at: datetime
    title: str
    detail: str
    number: int = 0
    is_thief: bool = False

    @property
    def is_token(self) -> bool:
        return self.kind in {"active", "spent", "inactive"}

    @property
    def is_event(self) -> bool:
        return self.kind in {"reuse", "retry"}


@dataclass(frozen=True, kw_only=True)
class Dot:
    x: int
    y: int
    row: Row


@dataclass(frozen=True, kw_only=True)
class Line:
    """``kind``: next (to the successor of a token), reuse or retry (to an event), or end; ``path`` is for SVG."""

    kind: str
    path: str


@dataclass(frozen=True, kw_only=True)
class GrantDiagram:
    rows: list[Row]
    dots: list[Dot]
    lines: list[Line]
    state: str

    @property
    def is_active(self) -> bool:
        return self.state == "active"

    @property
    def has_thief(self) -> bool:
        return any(row.is_thief for row in self.rows)

    @property
    def height(self) -> int:
        return TOP + ROW * len(self.rows)

    @property
    def width(self) -> int:
        return WIDTH


def find_grant(raw_refresh_token: str) -> Grant | None:
    """Return the grant of a refresh token, current or spent; None if the token is not in the database."""
    token = (
        RefreshToken.objects.filter(digest=crypto.digest(raw_refresh_token))
        .select_related("grant__application", "grant__user")
        .first()
    )
    return None if token is None else token.grant


def diagram_of(grant: Grant) -> GrantDiagram:
    """Return the diagram, oldest row first."""
    tokens = list(grant.refresh_tokens.order_by("generation"))
    events = list(grant.events.order_by("-pk")[:_MAX_EVENTS])[::-1]
    scopes = dict(grant.access_tokens.order_by("pk").values_list("generation", "scope"))
    rows = [
        *_token_rows(tokens, scopes=scopes, kept={event.generation for event in events}),
        *(_event_row(event) for event in events),
    ]
    rows.sort(key=lambda row: row.at)
    rows += _end_row(grant)
    dots = [
        Dot(x=THIEF_LANE if row.is_thief else CLIENT_LANE, y=TOP + ROW * index + ROW // 2, row=row)
        for index, row in enumerate(rows)
    ]
    return GrantDiagram(rows=rows, dots=dots, lines=list(_lines(dots)), state=_state(grant))


def _state(grant: Grant) -> str:
    now = timezone.now()
    return "active" if grant.inactive_reason(now) is None else grant.end_reason(now) or "inactive"


def _token_rows(tokens: list[RefreshToken], *, scopes: dict[int, str], kept: set[int]) -> Iterable[Row]:
    """Yield a row for each token. Of many tokens, those in the middle are left out unless an event needs them."""
    is_long = len(tokens) > _MAX_TOKENS
    hidden = [token for token in tokens[1:-_LAST_TOKENS] if is_long and token.generation not in kept]
    if hidden:
        title = f"{len(hidden)} more tokens, all spent"
        yield Row(kind="gap", at=hidden[0].created_at, title=title, detail="each replaced by the next one")
    for token in tokens:
        if token not in hidden:
            yield _token_row(token, scope=scopes.get(token.generation, ""))


def _token_row(token: RefreshToken, *, scope: str) -> Row:
    state = state_of(token)
    holder = "thief" if _is_thief(token) else "client"
    names = ", ".join(name.removeprefix("notes:") for name in scope.split())
    return Row(
        kind=state if state in {"active", "spent"} else "inactive",
        at=token.created_at,
        title=f"Token {token.generation}: {state}",
        detail=f"{holder}: {names}" if names else holder,
        number=token.generation,
        is_thief=_is_thief(token),
    )


def _event_row(event: GrantEvent) -> Row:
    title, detail = {
        GrantEvent.Kind.REUSED: ("used again", "it was spent: reuse detected"),
        GrantEvent.Kind.RETRIED: ("sent again", "a retry, which received the current pair"),
        GrantEvent.Kind.REFUSED: ("sent again", "refused, but not treated as a theft"),
    }[GrantEvent.Kind(event.kind)]
    return Row(
        kind="reuse" if event.kind == GrantEvent.Kind.REUSED else "retry",
        at=event.at,
        title=f"Token {event.generation} {title}",
        detail=detail,
        number=event.generation,
        is_thief=_is_thief(event),
    )


def _end_row(grant: Grant) -> Iterable[Row]:
    """Yield a row that says why the grant ended, unless it is active."""
    state, now = _state(grant), timezone.now()
    detail = {
        "revoked": dict(RevocationReason.choices).get(grant.revoked_reason, grant.revoked_reason),
        "expired": "its lifetime is over",
    }.get(state, grant.inactive_reason(now))
    if state != "active":
        yield Row(kind="end", at=grant.revoked_at or now, title=f"Grant {state}", detail=str(detail))


def _is_thief(row: RefreshToken | GrantEvent) -> bool:
    return row.user_agent == THIEF_AGENT


def _lines(dots: list[Dot]) -> Iterable[Line]:
    """Yield a line from each token to its successor, from a token to the events about it, and to the end."""
    chain = [dot for dot in dots if dot.row.is_token or dot.row.kind == "gap"]
    tokens = {dot.row.number: dot for dot in chain if dot.row.is_token}
    for dot, successor in pairwise(chain):
        yield Line(kind="next", path=_curve(dot, successor))
    for dot in dots:
        if dot.row.is_event and dot.row.number in tokens:
            yield Line(kind=dot.row.kind, path=_arc(tokens[dot.row.number], dot))
    if chain and dots[-1].row.kind == "end":
        yield Line(kind="end", path=_curve(chain[-1], dots[-1]))


def _curve(start: Dot, end: Dot) -> str:
    """Return a path straight down, which changes to the lane of ``end`` in the last row."""
    turn = end.y - ROW
    return f"M{start.x} {start.y} V{turn} C{start.x} {turn + ROW // 2} {end.x} {turn + ROW // 2} {end.x} {end.y}"


def _arc(start: Dot, end: Dot) -> str:
    """Return a path that passes the lanes on their left."""
    left = 4
    return f"M{start.x} {start.y} C{left} {start.y + ROW // 4} {left} {end.y - ROW // 4} {end.x} {end.y}"
