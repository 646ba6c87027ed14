"""The family of a session as a drawing: a row for each thing that happened, dots on two lanes, lines between them.

Pure data, read from the public models. The texts are HTML; this says where the dots and lines beside them are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.utils import timezone

from example_project.playground.holding import THIEF
from oauth_refresh import crypto
from oauth_refresh.models import Grant, GrantEvent, RefreshToken, RevocationReason

ROW, TOP = 64, 20
"""Pixels from one row to the next, and above the first for the names of the lanes; as in playground.css."""

OWNERS_LANE, THIEFS_LANE = 36, 76
WIDTH = 104
_MOST_TOKENS = 8
_KEPT_TOKENS = 5
_MOST_EVENTS = 12


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that happened. ``kind``: live, spent, dead, gap, alarm, event, revoked or expired."""

    kind: str
    at: datetime
    title: str
    detail: str
    number: int = 0
    is_thiefs: bool = False

    @property
    def is_token(self) -> bool:
        return self.kind in {"live", "spent", "dead"}

    @property
    def is_event(self) -> bool:
        return self.kind in {"alarm", "event"}


@dataclass(frozen=True, kw_only=True)
class Dot:
    x: int
    y: int
    row: Row


@dataclass(frozen=True, kw_only=True)
class Line:
    """``kind``: next (a token's successor), back (a token that came back), end; ``path`` is for SVG."""

    kind: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Family:
    rows: list[Row]
    dots: list[Dot]
    lines: list[Line]
    is_live: bool

    @property
    def has_thief(self) -> bool:
        return any(row.is_thiefs for row in self.rows)

    @property
    def height(self) -> int:
        return TOP + ROW * len(self.rows)

    @property
    def width(self) -> int:
        return WIDTH


def find_grant(raw_refresh_token: str) -> Grant | None:
    """Return the session that a refresh token, live or spent, belongs to; None if the database no longer knows it."""
    token = (
        RefreshToken.objects.filter(digest=crypto.digest(raw_refresh_token))
        .select_related("grant__application", "grant__user")
        .first()
    )
    return None if token is None else token.grant


def family(grant: Grant) -> Family:
    """Return the drawing: what came first is at the top, and it grows downwards."""
    tokens = list(grant.refresh_tokens.order_by("generation"))
    events = list(grant.events.order_by("-pk")[:_MOST_EVENTS])[::-1]
    scopes = dict(grant.access_tokens.order_by("pk").values_list("generation", "scope"))
    pointed_at = {event.generation for event in events}
    rows = [
        *_token_rows(tokens, grant=grant, scopes=scopes, kept=pointed_at),
        *(_event_row(event) for event in events),
    ]
    rows.sort(key=lambda row: row.at)
    rows += _end(grant)
    return _drawn(rows, is_live=grant.is_live)


def _token_rows(tokens: list[RefreshToken], *, grant: Grant, scopes: dict[int, str], kept: set[int]) -> Iterable[Row]:
    """Yield a row for each token; in a long family the middle is left out, but for what events point at."""
    is_long = len(tokens) > _MOST_TOKENS
    hidden = [token for token in tokens[1:-_KEPT_TOKENS] if is_long and token.generation not in kept]
    if hidden:
        title = f"{len(hidden)} more, all spent"
        yield Row(kind="gap", at=hidden[0].created_at, title=title, detail="each replaced by the next")
    for token in tokens:
        if token not in hidden:
            yield _token_row(token, grant=grant, scope=scopes.get(token.generation, ""))


def _token_row(token: RefreshToken, *, grant: Grant, scope: str) -> Row:
    is_last = token.generation == grant.generation
    kind = "spent" if not is_last else "live" if grant.is_live else "dead"
    whose = "the thief's" if _is_thief(token) else "yours"
    may = ", ".join(name.removeprefix("notes:") for name in scope.split())
    return Row(
        kind=kind,
        at=token.created_at,
        title=f"Token {token.generation}: {kind}",
        detail=f"{whose}, may {may}" if may else whose,
        number=token.generation,
        is_thiefs=_is_thief(token),
    )


def _event_row(event: GrantEvent) -> Row:
    title, detail = {
        GrantEvent.Kind.REUSED: (f"Token {event.generation} came back", "it was spent: somebody has a copy"),
        GrantEvent.Kind.RETRIED: (f"Token {event.generation} sent again", "the same pair went out once more"),
    }.get(GrantEvent.Kind(event.kind), (f"Token {event.generation} sent again", "refused, but no alarm"))
    return Row(
        kind="alarm" if event.kind == GrantEvent.Kind.REUSED else "event",
        at=event.at,
        title=title,
        detail=detail,
        number=event.generation,
        is_thiefs=_is_thief(event),
    )


def _end(grant: Grant) -> Iterable[Row]:
    if grant.revoked_at is not None:
        reason = dict(RevocationReason.choices).get(grant.revoked_reason, grant.revoked_reason)
        yield Row(kind="revoked", at=grant.revoked_at, title="The session is over", detail=str(reason))
    elif not grant.is_live:
        reason = grant.why_dead(timezone.now()) or ""
        yield Row(kind="revoked", at=timezone.now(), title="The session is over", detail=reason)


def _is_thief(seen: RefreshToken | GrantEvent) -> bool:
    return seen.user_agent == THIEF


def _drawn(rows: list[Row], *, is_live: bool) -> Family:
    dots = [
        Dot(x=THIEFS_LANE if row.is_thiefs else OWNERS_LANE, y=TOP + ROW * index + ROW // 2, row=row)
        for index, row in enumerate(rows)
    ]
    return Family(rows=rows, dots=dots, lines=list(_lines(dots)), is_live=is_live)


def _lines(dots: list[Dot]) -> Iterable[Line]:
    """Yield a line from each token to its successor, from each that came back to where it did, and on to the end."""
    chain = [dot for dot in dots if dot.row.is_token or dot.row.kind == "gap"]
    tokens = {dot.row.number: dot for dot in chain if dot.row.is_token}
    for dot, successor in pairwise(chain):
        yield Line(kind="next", path=_curve(dot, successor))
    for dot in dots:
        if dot.row.is_event and dot.row.number in tokens:
            yield Line(kind=dot.row.kind, path=_arc(tokens[dot.row.number], dot))
    if chain and dots[-1].row.kind == "revoked":
        yield Line(kind="end", path=_curve(chain[-1], dots[-1]))


def _curve(start: Dot, end: Dot) -> str:
    """Return a path straight down, or swinging over to the other lane just before it arrives."""
    turn = end.y - ROW
    return f"M{start.x} {start.y} V{turn} C{start.x} {turn + ROW // 2} {end.x} {turn + ROW // 2} {end.x} {end.y}"


def _arc(start: Dot, end: Dot) -> str:
    """Return a path that leaves the lanes to the left and comes back."""
    left = 4
    return f"M{start.x} {start.y} C{left} {start.y + ROW // 4} {left} {end.y - ROW // 4} {end.x} {end.y}"
