"""The life of a grant as entries to draw: newest first, so that what happened last is at the top."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from oauth_refresh.admin.cells import moment
from oauth_refresh.models import OPERATOR, Grant, GrantEvent, RefreshToken, RevocationReason

_MOST_REFRESHES = 200
_MOST_EVENTS = 100
_FOLDED_FROM = 4
"""How many refreshes in a row from one place are folded into one entry."""


Place = tuple[str | None, str]
"""Address and user agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened. ``kind`` is its look; ``elsewhere``: not from where the client was first seen."""

    kind: str
    at: datetime
    title: str
    detail: str = ""
    address: str | None = None
    user_agent: str = ""
    elsewhere: bool = False
    folded: "tuple[Entry, ...]" = field(default=())


def timeline(grant: Grant) -> list[Entry]:
    """Return the entries of a grant, by two statements. Runs of like refreshes are folded into one."""
    tokens = list(grant.refresh_tokens.order_by("-generation")[:_MOST_REFRESHES])
    events = list(grant.events.order_by("-at", "-pk")[:_MOST_EVENTS])
    home = _home(grant, tokens)
    spent_at = {token.generation - 1: token.created_at for token in tokens}
    entries = [
        *(_happened(event, spent_at.get(event.generation), home=home) for event in events),
        *(_refreshed(token, home=home) for token in tokens if token.generation > 1),
        *_not_kept(grant, tokens),
    ]
    entries.sort(key=lambda entry: entry.at, reverse=True)
    return [*_ended(grant), *_folded(entries), _started(grant)]  # a grant's end follows all else, its cause too


def _started(grant: Grant) -> Entry:
    how = _("by %(grant_type)s") % {"grant_type": grant.grant_type.rpartition(":")[2]}
    return Entry(
        kind="started",
        at=grant.created_at,
        title=_("Started"),
        detail=how,
        address=grant.address,
        user_agent=grant.user_agent,
    )


def _refreshed(token: RefreshToken, *, home: Place | None) -> Entry:
    return Entry(
        kind="refreshed",
        at=token.created_at,
        title=_("Refreshed"),
        detail=_("token %(number)d") % {"number": token.generation},
        **_whereabouts(token, home=home),
    )


def _happened(event: GrantEvent, spent_at: datetime | None, *, home: Place | None) -> Entry:
    """Return the entry of an event; a reuse is the alarm that a token has been copied."""
    is_alarm = event.kind == GrantEvent.Kind.REUSED
    detail = _("token %(number)d") % {"number": event.generation}
    if is_alarm and spent_at is not None:
        detail = _("token %(number)d, spent on %(time)s: somebody has a copy") % {
            "number": event.generation,
            "time": moment(spent_at),
        }
    title = _("A spent refresh token came back") if is_alarm else capfirst(event.get_kind_display())
    kind = "alarm" if is_alarm else "event"
    return Entry(kind=kind, at=event.at, title=title, detail=detail, **_whereabouts(event, home=home))


def _ended(grant: Grant) -> Iterable[Entry]:
    if grant.revoked_at is not None:
        by = _("by %(user)s") % {"user": grant.revoked_by} if grant.revoked_by is not None else ""
        detail = ", ".join(filter(None, [reason_in_words(grant.revoked_reason), by]))
        yield Entry(kind="revoked", at=grant.revoked_at, title=_("Revoked"), detail=detail)
    elif grant.why_ended(timezone.now()) is not None:
        last = min(filter(None, [grant.idle_expires_at, grant.expires_at]))
        yield Entry(kind="expired", at=last, title=_("Expired"))


def _not_kept(grant: Grant, tokens: list[RefreshToken]) -> Iterable[Entry]:
    """Say how many refreshes are not shown: their rows were pruned, or are too many."""
    shown = sum(token.generation > 1 for token in tokens)
    missing = grant.generation - 1 - shown
    if missing > 0:
        text = ngettext("%(count)d refresh is not shown", "%(count)d refreshes are not shown", missing)
        oldest = tokens[-1].created_at if shown else grant.refreshed_at or grant.created_at
        yield Entry(kind="gap", at=oldest, title=text % {"count": missing}, detail=_("pruned, or too many"))


def _folded(entries: list[Entry]) -> Iterable[Entry]:
    def likeness(entry: Entry) -> tuple[Any, ...]:
        return entry.kind, entry.address, entry.user_agent

    for (kind, address, user_agent), run in groupby(entries, key=likeness):
        alike = tuple(run)
        if kind != "refreshed" or len(alike) < _FOLDED_FROM:
            yield from alike
            continue
        yield Entry(
            kind=kind,
            at=alike[0].at,
            title=ngettext("Refreshed %(count)d time", "Refreshed %(count)d times", len(alike)) % {"count": len(alike)},
            detail=_("since %(time)s") % {"time": moment(alike[-1].at)},
            address=address,
            user_agent=user_agent,
            elsewhere=alike[0].elsewhere,
            folded=alike,
        )


def _home(grant: Grant, tokens: list[RefreshToken]) -> Place | None:
    """Return where the client was first seen: not where the grant was started, which a user's browser may have done.

    Nor where an operator was, who asked for the first token in the client's place.
    """
    first = 2 if grant.grant_type == OPERATOR else 1
    seen = (token for token in reversed(tokens) if token.address and token.generation >= first)
    return next(((token.address, token.user_agent) for token in seen), None)


def _whereabouts(seen: RefreshToken | GrantEvent, *, home: Place | None) -> dict[str, Any]:
    is_known = home is not None and seen.address is not None
    elsewhere = is_known and (seen.address, seen.user_agent) != home
    return {"address": seen.address, "user_agent": seen.user_agent, "elsewhere": elsewhere}


def reason_in_words(reason: str) -> str:
    """Return a reason of our own as a sentence, and an operator's as it was written."""
    return str(dict(RevocationReason.choices).get(reason, reason))
