"""The life of a grant as entries to draw: newest first, so that what happened last is at the top."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from oauth_refresh.admin.display import alarm_meaning, end_description, format_time, how_started, program
from oauth_refresh.models import STAFF, Grant, GrantEvent, RefreshToken

_MOST_REFRESHES = 200
_MOST_EVENTS = 100
_FOLDED_FROM = 4  # so many refreshes in a row from one origin become one entry

Origin = tuple[str | None, str]
"""Address and user agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened. ``kind`` is its look; ``is_elsewhere``: not from where the client was first seen.

    ``meaning``: what it most likely is, and what to do; ``leads_to_window``: give the application a retry window.
    """

    kind: str
    at: datetime
    title: str
    detail: str = ""
    meaning: str = ""
    leads_to_window: bool = False
    origin: Origin = (None, "")
    is_elsewhere: bool = False
    folded: "tuple[Entry, ...]" = ()

    @property
    def address(self) -> str | None:
        return self.origin[0]

    @property
    def program(self) -> SafeString:
        return program(self.origin[1])


def timeline(grant: Grant) -> list[Entry]:
    """Return the entries of a grant, by two statements. Runs of like refreshes are folded into one."""
    tokens = list(grant.refresh_tokens.order_by("-generation")[:_MOST_REFRESHES])
    events = list(grant.events.order_by("-at", "-pk")[:_MOST_EVENTS])
    refreshed = [token for token in tokens if token.generation > max(1, grant.imported_generation)]
    spent_at = {token.generation - 1: token.created_at for token in refreshed}
    entries = [
        *(_event_entry(event, spent_at.get(event.generation)) for event in events),
        *(
            _entry(token, kind="refreshed", at=token.created_at, title=_("Refreshed"), detail=_token_number(token))
            for token in refreshed
        ),
    ]
    first = _first_origin(grant, tokens)
    entries = [  # an origin that was not recorded is never elsewhere
        replace(entry, is_elsewhere=None not in (first, entry.origin[0]) and entry.origin != first) for entry in entries
    ]
    entries.extend(_gap_entries(grant, refreshed))
    entries.sort(key=lambda entry: entry.at, reverse=True)
    how = _("by %(grant_type)s") % {"grant_type": how_started(grant)}
    start = _entry(grant, kind="started", at=grant.created_at, title=_("Started"), detail=how)
    return [*_end_entries(grant), *_fold_refreshes(entries), start]  # the end comes after its cause, at the same time


def _entry(row: Grant | RefreshToken | GrantEvent, **fields: Any) -> Entry:
    return Entry(origin=(row.address, row.user_agent), **fields)


def _token_number(row: RefreshToken | GrantEvent) -> str:
    return _("token %(number)d") % {"number": row.generation}


def _event_entry(event: GrantEvent, spent_at: datetime | None) -> Entry:
    """Return the entry of an event; a reuse is an alarm, and says whether it is theft."""
    title, values = capfirst(event.get_kind_display()), {"number": event.generation}
    if event.kind != GrantEvent.Kind.REUSED:
        by_another = _("token %(number)d, by another caller than the refresh") % values
        detail = by_another if event.same_caller is False else _token_number(event)
        return _entry(event, kind="event", at=event.at, title=title, detail=detail)
    if event.seconds_since_spent is not None:
        spent_at = event.at - timedelta(seconds=event.seconds_since_spent)
    if spent_at is None:
        detail = _token_number(event)
    else:
        detail = _("token %(number)d, spent on %(time)s") % {**values, "time": format_time(spent_at)}
    return _entry(
        event,
        kind="alarm",
        at=event.at,
        title=title,
        detail=detail,
        meaning=_meaning(event),
        leads_to_window=event.looks_concurrent,
    )


def _meaning(event: GrantEvent) -> str:
    meaning = alarm_meaning(looks_concurrent=event.looks_concurrent)
    if event.looks_concurrent:
        return _("Seconds later, same caller: %(meaning)s.") % {"meaning": meaning}
    if event.same_caller is None or event.seconds_since_spent is None:
        return _("Not known whether it was the same caller: %(meaning)s.") % {"meaning": meaning}
    return _("Later, or from elsewhere: %(meaning)s.") % {"meaning": meaning}


def _end_entries(grant: Grant) -> Iterable[Entry]:
    if grant.revoked_at is not None:
        yield Entry(kind="revoked", at=grant.revoked_at, title=_("Revoked"), detail=end_description(grant))
    elif grant.end_reason(timezone.now()) is not None:
        at = min(filter(None, [grant.idle_expires_at, grant.expires_at]))
        yield Entry(kind="expired", at=at, title=_("Expired"))


def _gap_entries(grant: Grant, refreshed: list[RefreshToken]) -> Iterable[Entry]:
    """Say how many refreshes are not shown: their rows were pruned, or are too many."""
    missing = grant.refresh_count - len(refreshed)
    if missing > 0:
        title = ngettext("%(count)d refresh is not shown", "%(count)d refreshes are not shown", missing)
        oldest = refreshed[-1].created_at if refreshed else grant.refreshed_at or grant.created_at
        yield Entry(kind="gap", at=oldest, title=title % {"count": missing}, detail=_("pruned, or too many"))


def _fold_refreshes(entries: list[Entry]) -> Iterable[Entry]:
    for (kind, _origin), run in groupby(entries, key=lambda entry: (entry.kind, entry.origin)):
        alike = tuple(run)
        if kind != "refreshed" or len(alike) < _FOLDED_FROM:
            yield from alike
            continue
        title = ngettext("Refreshed %(count)d time", "Refreshed %(count)d times", len(alike)) % {"count": len(alike)}
        detail = _("since %(time)s") % {"time": format_time(alike[-1].at)}
        yield replace(alike[0], title=title, detail=detail, folded=alike)


def _first_origin(grant: Grant, tokens: list[RefreshToken]) -> Origin | None:
    """Return where the client was first seen: with the first token that it asked for itself.

    Not where the grant was started, which may have been the user's browser, nor where staff were who issued the first
    token.
    """
    first = 2 if grant.grant_type == STAFF else 1
    origins = ((token.address, token.user_agent) for token in reversed(tokens) if token.generation >= first)
    return next((origin for origin in origins if origin[0]), None)
