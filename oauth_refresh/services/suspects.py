"""Grants that are refreshed from a new address since a moment, without an alarm: a thief may have their tokens.

The owner of a stolen token raises the alarm with the next refresh, which may be hours later. Until then there is only
this: the grant is refreshed from where it never was before, and never again from where it was. A phone that changes its
network looks the same, except that its program does not change.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, F, Min, OuterRef, QuerySet, Subquery
from django.db.models.lookups import Exact
from django.utils import timezone

from oauth_refresh.models import STAFF, GrantEvent, RefreshToken
from oauth_refresh.models.grant import live_grant

MOST_COMPARED = 20_000
"""How many refreshes are compared with the one before, newest first."""

_MOST_MOVES = 1_000
_MOST_GRANTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """``token`` was the first one that was issued at the new address, to the grant that it belongs to."""

    token: RefreshToken
    usual_address: str
    usual_user_agent: str

    @property
    def is_another_program(self) -> bool:
        return self.token.user_agent != self.usual_user_agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspects:
    """Those with another program first, then the newest first. ``compared_since`` is later than asked for if the
    refreshes were too many to compare all."""

    found: tuple[Suspect, ...]
    compared_since: datetime


def find_suspects(since: datetime) -> Suspects:
    """Return the live grants that moved to a new address since then, without an alarm. Three statements."""
    newest_first = RefreshToken.objects.filter(created_at__gte=since).order_by("-created_at")
    too_old = newest_first.values_list("created_at", flat=True)[MOST_COMPARED : MOST_COMPARED + 1].first()
    moves = _moves(since) if too_old is None else _moves(since).filter(created_at__gt=too_old)
    newest: dict[Any, Any] = {}
    for token in moves[:_MOST_MOVES]:
        newest.setdefault(token.grant_id, token)
    candidates = sorted(newest.values(), key=lambda token: bool(token.user_agent == token.previous_user_agent))
    tokens = candidates[:_MOST_GRANTS]  # sorted is stable: of each kind the newest first
    first_seen = _first_generations([token.grant_id for token in tokens])
    found = [
        Suspect(token=token, usual_address=token.previous_address, usual_user_agent=token.previous_user_agent)
        for token in tokens
        if first_seen.get((token.grant_id, token.address)) == token.generation and token.address != token.grant.address
    ]
    return Suspects(found=tuple(found), compared_since=too_old or since)


def _moves(since: datetime) -> QuerySet[RefreshToken]:
    """Return the refreshes since then that came from another address than the refresh before, newest first."""
    before = RefreshToken.objects.filter(grant=OuterRef("grant"), generation=OuterRef("generation") - 1)
    alarms = GrantEvent.objects.filter(grant=OuterRef("grant"), kind=GrantEvent.Kind.REUSED)
    first_by_staff = {"generation": 2, "grant__grant_type": STAFF}  # the token before was issued to staff, elsewhere
    return (
        RefreshToken.objects.filter(live_grant(timezone.now(), path="grant__"), created_at__gte=since)
        .exclude(address=None)
        .exclude(**first_by_staff)
        # A scalar subquery, because a join would begin with all tokens.
        .filter(~Exact(F("address"), Subquery(before.values("address"))))
        .filter(~Exists(alarms))
        .annotate(
            previous_address=Subquery(before.values("address")),
            previous_user_agent=Subquery(before.values("user_agent")),
        )
        .select_related("grant__application", "grant__user")
        .order_by("-created_at", "-generation")
    )


def _first_generations(grants: list[Any]) -> dict[tuple[Any, str], int]:
    """Return by grant and address with which generation the grant was there first."""
    tokens = RefreshToken.objects.filter(grant__in=grants).exclude(address=None).order_by()
    seen = tokens.values_list("grant", "address").annotate(first=Min("generation"))
    return {(grant, address): first for grant, address, first in seen}
