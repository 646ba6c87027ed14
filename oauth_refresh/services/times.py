"""Times as staff type them, to the minute or second, in the time zone of the site or in another one (ISO 8601)."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A span of time; None: no limit. ``until`` itself is outside of it."""

    since: datetime | None = None
    until: datetime | None = None

    def of(self, column: str) -> Q:
        """Return the condition that the column is in the period; one without limits still needs a time."""
        limits = {f"{column}__gte": self.since, f"{column}__lt": self.until}
        return Q(**{f"{column}__isnull": False}, **{name: time for name, time in limits.items() if time is not None})


def parse_period(since: str, until: str) -> Period | None:
    """Return the period between two texts, each of which may be empty; None if one of them is no time.

    A time without a zone is in that of the site. ``until`` includes the whole day, minute or second that it names. A
    time that occurs twice, or not at all, when clocks change counts in each of its meanings: the period is the longer.
    """
    starts, ends = _moments(since), _moments(until)
    if starts is None or ends is None:
        return None
    return Period(since=min(starts)[0] if starts else None, until=max(last for _first, last in ends) if ends else None)


def _moments(text: str) -> list[tuple[datetime, datetime]] | None:
    """Return beginning and end of what the text names, in each of its meanings; None if it is no time."""
    text = text.strip()
    if not text:
        return []
    with suppress(ValueError, OverflowError):  # ValueError: well formed, but there is no such day
        if (day := parse_date(text)) is not None:
            return _meanings(datetime(day.year, day.month, day.day), length=_DAY)  # noqa: DTZ001  see there
        if (time := parse_datetime(text)) is not None:
            has_seconds = text.count(":") - (text[-6:-5] in {"+", "-"}) > 1
            return _meanings(time, length=timedelta(seconds=1) if has_seconds else _MINUTE)
    return None


def _meanings(time: datetime, *, length: timedelta) -> list[tuple[datetime, datetime]]:
    if not settings.USE_TZ:
        naive = timezone.make_naive(time, timezone.get_default_timezone()) if timezone.is_aware(time) else time
        return [(naive, naive + length)]
    if timezone.is_aware(time):
        return [(time.astimezone(UTC), (time + length).astimezone(UTC))]
    zone = timezone.get_current_timezone()
    return [
        (
            time.replace(tzinfo=zone, fold=fold).astimezone(UTC),
            (time + length).replace(tzinfo=zone, fold=fold).astimezone(UTC),
        )
        for fold in (0, 1)
    ]
