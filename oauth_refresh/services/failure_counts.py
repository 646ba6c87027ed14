"""How many clients failed to authenticate, by minute and by hour, counted in Django's cache.

Not in the database: anybody can cause such a failure, and would make it write. So the counts are lost with the cache,
are those of one process if the cache is, and may be too low where its ``incr`` is not atomic.
"""

import logging
from datetime import datetime, timedelta
from itertools import pairwise

from django.core.cache import cache

logger = logging.getLogger(__name__)

_NAME = "oauth_refresh.authentication_failures"
_MINUTE, _HOUR = 60, 3_600
_SECONDS_KEPT = {_MINUTE: 2 * _HOUR, _HOUR: 32 * 24 * _HOUR}


def count_authentication_failure(now: datetime) -> None:
    """Count one failure. Does nothing while the cache is down, so that the client gets its answer."""
    try:
        for length, timeout in _SECONDS_KEPT.items():
            name = _entry(int(now.timestamp()) // length, length=length)
            cache.add(name, 0, timeout)
            cache.incr(name)
    except Exception as error:  # noqa: BLE001  every kind of cache has errors of its own
        logger.error("The cache is down (%s), so a failed authentication is not counted.", type(error).__name__)


def authentication_failures(limits: list[datetime]) -> list[int] | None:
    """Return how many there were between each two of these times, oldest first; None while the cache is down.

    Where the first is more than an hour before the last, they are counted by whole hours.
    """
    length = _MINUTE if limits[-1] - limits[0] <= timedelta(hours=1, minutes=10) else _HOUR
    numbers = range(int(limits[0].timestamp()) // length, -(-int(limits[-1].timestamp()) // length))
    names = {_entry(number, length=length): number * length for number in numbers}
    try:
        found = cache.get_many(names)
    except Exception as error:  # noqa: BLE001  as above
        logger.error("The cache is down (%s), so failed authentications are not shown.", type(error).__name__)
        return None
    bounds = [limit.timestamp() for limit in limits]
    at = [(names[name], count) for name, count in found.items()]
    return [sum(count for start, count in at if first <= start < last) for first, last in pairwise(bounds)]


def _entry(number: int, *, length: int) -> str:
    return f"{_NAME}.{length}.{number}"
