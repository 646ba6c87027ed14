"""What happened lately, counted by the database in parts of equal length: refreshes, alarms, grants and failures."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Value
from django.utils import timezone

from oauth_refresh.models import Grant, GrantEvent, RefreshToken
from oauth_refresh.services.failure_counts import authentication_failures

_LARGEST = 5
_MOST_ALARMS_READ = 1_000
_DAY = timedelta(days=1)

PERIODS: dict[str, tuple[timedelta, timedelta]] = {
    "hour": (timedelta(hours=1), timedelta(minutes=5)),
    "day": (_DAY, timedelta(hours=1)),
    "week": (timedelta(days=7), timedelta(hours=6)),
    "month": (timedelta(days=30), _DAY),
}
"""The length of each period, and of its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """How many there were in each part of the period, oldest first."""

    name: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """How many grants with an alarm one application, user or address has. ``key`` is what a list is filtered by."""

    key: Any
    name: str
    grants: int


def period_limits(period: str, now: datetime) -> list[datetime]:
    """Return the times between which is counted, oldest first: one more than there are parts.

    Parts begin on the clock of the site, at full minutes, hours or days; the last one is not over yet.
    """
    length, part = PERIODS[period]
    count = length // part
    local = timezone.localtime(now) if timezone.is_aware(now) else now
    if part >= _DAY:  # a day may have 23 or 25 hours
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        return [midnight + number * part for number in range(1 - count, 2)]
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    passed = local.replace(tzinfo=None) - midnight
    last = (now - passed % part) + part
    if timezone.is_aware(last):
        last = last.astimezone(UTC)
    return [last - number * part for number in range(count, -1, -1)]


def count_series(limits: list[datetime]) -> list[Series]:
    """Count what happened between each two of ``limits``, by one statement for each kind."""
    issued = RefreshToken.objects.filter(generation__gt=1)
    events = GrantEvent.objects
    found = [
        _series("refreshes", issued, "created_at", limits),
        _series("alarms", events.filter(kind=GrantEvent.Kind.REUSED), "at", limits),
        _series("refused", events.filter(kind=GrantEvent.Kind.REFUSED), "at", limits),
        _series("started", Grant.objects.filter(generation__gt=0), "created_at", limits),
        _series("revoked", Grant.objects.filter(generation__gt=0), "revoked_at", limits),
    ]
    if (failures := authentication_failures(limits)) is not None:
        found.append(Series(name="failures", counts=tuple(failures)))
    return found


def most_affected(column: str, title: str, *, since: datetime) -> list[Affected]:
    """Return who has the most grants with an alarm since then, by a column of events; ``title``: its name."""
    alarms = _alarms(since).exclude(**{column: None}).order_by()
    counted = alarms.values_list(column, title).annotate(n=Count("grant", distinct=True)).order_by("-n", column)
    return [Affected(key=key, name=str(name), grants=n) for key, name, n in counted[:_LARGEST]]


def affected_applications(since: datetime) -> list[Affected]:
    return most_affected("grant__application__client_id", "grant__application__name", since=since)


def affected_users(since: datetime) -> list[Affected]:
    return most_affected("grant__user", f"grant__user__{get_user_model().USERNAME_FIELD}", since=since)


def affected_addresses(since: datetime) -> list[Affected]:
    """Count both from where a token was used first and from where it was used again, in the newest alarms."""
    grants: dict[str, set[Any]] = defaultdict(set)
    alarms = _with_first_use(_alarms(since)).order_by("-at")[:_MOST_ALARMS_READ]
    for grant, *addresses in alarms.values_list("grant", "address", "first_address"):
        for address in filter(None, addresses):
            grants[address].add(grant)
    largest = sorted(grants, key=lambda address: (-len(grants[address]), address))[:_LARGEST]
    return [Affected(key=address, name=address, grants=len(grants[address])) for address in largest]


def newest_alarms(since: datetime, *, most: int) -> list[Any]:
    """Return the newest alarms since then, newest first, with their grants.

    ``first_address`` and ``first_user_agent``: from where the token was used first, None if that row was pruned.
    """
    alarms = _with_first_use(_alarms(since)).select_related("grant__application", "grant__user", "grant__revoked_by")
    return list(alarms.order_by("-at", "-pk")[:most])


def _with_first_use(alarms: QuerySet[GrantEvent]) -> QuerySet[Any]:
    """The first use of a token issued the next one: one of the two was the thief."""
    first = RefreshToken.objects.filter(grant=OuterRef("grant"), generation=OuterRef("generation") + 1)
    return alarms.annotate(
        first_address=Subquery(first.values("address")), first_user_agent=Subquery(first.values("user_agent"))
    )


def _alarms(since: datetime) -> QuerySet[GrantEvent]:
    return GrantEvent.objects.filter(kind=GrantEvent.Kind.REUSED, at__gte=since)


def _series(name: str, rows: QuerySet[Any], column: str, limits: list[datetime]) -> Series:
    """Count by a range of the index for each part: to truncate the time of each row takes the database far longer."""
    parts = [
        rows.filter(Q(**{f"{column}__gte": first, f"{column}__lt": last}))
        .order_by()
        .annotate(part=Value(number))
        .values("part")
        .annotate(n=Count("*"))  # of a column, the rows would be read
        .values_list("part", "n")
        for number, (first, last) in enumerate(pairwise(limits))
    ]
    counts = dict(parts[0].union(*parts[1:], all=True))
    return Series(name=name, counts=tuple(counts.get(number, 0) for number in range(len(parts))))
