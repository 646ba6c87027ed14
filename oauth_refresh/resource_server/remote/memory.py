"""Answers that are kept, and when they count: until they are old, until the feed names them, while the feed is fresh.

All times are of the monotonic clock, in seconds. Readers take no lock: each looks up one key of one dict, and what it
finds is never changed.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from threading import Lock

from oauth_refresh.resource_server.remote.answers import Introspection, Name, RemoteToken

INACTIVE_SECONDS = 5
"""How long "not active" is kept. Short, because tokens become active again when a hidden user is shown again."""

_NEVER = float("-inf")


class Missing(Enum):
    """Nothing is kept that counts now."""

    MISSING = "missing"


MISSING = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer, when its introspection began, until when it counts, and the names by which a notice may report it."""

    token: RemoteToken
    asked_at: float
    until: float
    names: tuple[Name, ...]


class Memory:
    """Kept answers by the digest of their token; a revocation drops those whose introspection began before it was read.

    A notice does not remove entries, but its names are stored with the time of its arrival. So it also covers an answer
    that arrives later: its introspection began before, and the server may have checked the token before the revocation.
    """

    def __init__(
        self,
        *,
        max_age: float,
        max_lag: float,
        most_active: int = 50_000,
        most_inactive: int = 10_000,
        most_names: int = 100_000,
    ) -> None:
        self.stale_refusals = 0
        self._max_age, self._max_lag = max_age, max_lag
        self._most_active, self._most_inactive, self._most_names = most_active, most_inactive, most_names
        self._lock = Lock()
        self._active: OrderedDict[bytes, Entry] = OrderedDict()  # in the order in which they were asked for
        self._inactive: OrderedDict[bytes, float] = OrderedDict()  # until when
        self._named: OrderedDict[Name, float] = OrderedDict()  # when a notice that named it arrived last
        self._all_dropped_at = self._polled_at = _NEVER

    def __len__(self) -> int:
        return len(self._active)

    @property
    def inactive_count(self) -> int:
        return len(self._inactive)

    @property
    def feed_age(self) -> float:
        """Seconds since the last successful poll began; infinite before the first."""
        return time.monotonic() - self._polled_at

    @property
    def is_fresh(self) -> bool:
        """Whether kept answers count: what was revoked until ``max_lag`` ago has been dropped."""
        return self.feed_age <= self._max_lag

    def find(self, key: bytes) -> RemoteToken | Missing | None:
        """Return the kept answer, None for a token that is not active; MISSING if none counts."""
        now = time.monotonic()
        entry = self._active.get(key)
        if entry is not None and entry.until > now and not self._is_dropped(entry.names, asked_at=entry.asked_at):
            if now - self._polled_at <= self._max_lag:
                return entry.token
            self.stale_refusals += 1
        return None if self._inactive.get(key, now) > now else MISSING

    def was_named_since(self, token: RemoteToken, asked_at: float) -> bool:
        """Whether a notice about the token arrived since its introspection began, so that the answer may be older."""
        return self._is_dropped(token.names or (), asked_at=asked_at)

    def keep(self, key: bytes, answer: Introspection, *, asked_at: float) -> None:
        """Keep an answer whose introspection began at ``asked_at``: at most ``max_age``, and not beyond its expiry."""
        with self._lock:
            self._active.pop(key, None)
            self._inactive.pop(key, None)
            if answer.token is None:
                self._inactive[key] = asked_at + min(self._max_age, INACTIVE_SECONDS)
                _shorten(self._inactive, self._most_inactive)
                return
            names = answer.token.names
            seconds = self._max_age if answer.seconds_left is None else min(self._max_age, answer.seconds_left)
            if names is not None and seconds > 0:  # without names a revocation could not be recognized
                self._active[key] = Entry(answer.token, asked_at, asked_at + seconds, names)
                _shorten(self._active, self._most_active)

    def drop(self, names: tuple[Name, ...], *, at: float) -> None:
        """Let no answer count that names any of ``names`` and whose introspection began before ``at``."""
        with self._lock:
            for name in names:
                self._named[name] = at
                self._named.move_to_end(name)
            if len(self._named) > self._most_names:
                self._drop_everything(at)

    def drop_everything(self, *, at: float) -> None:
        with self._lock:
            self._drop_everything(at)

    def polled(self, *, began_at: float) -> None:
        """Record that the feed was read to its end, and remove what no longer counts."""
        oldest = time.monotonic() - self._max_age
        with self._lock:
            self._polled_at = began_at
            while self._active and next(iter(self._active.values())).asked_at < oldest:
                self._active.popitem(last=False)
            while self._inactive and next(iter(self._inactive.values())) < oldest:
                self._inactive.popitem(last=False)
            # An introspection may still be under way that began before a notice arrived: keep these a little longer.
            while self._named and next(iter(self._named.values())) < oldest - self._max_lag:
                self._named.popitem(last=False)

    def _drop_everything(self, at: float) -> None:
        self._all_dropped_at = at
        self._active.clear()
        self._named.clear()

    def _is_dropped(self, names: tuple[Name, ...], *, asked_at: float) -> bool:
        # In this order: names are forgotten only after everything was dropped.
        named = self._named
        if named and any(named.get(name, _NEVER) >= asked_at for name in names):
            return True
        return asked_at <= self._all_dropped_at


def _shorten(kept: "OrderedDict[bytes, Entry] | OrderedDict[bytes, float]", most: int) -> None:
    """Remove the oldest until there are at most ``most``."""
    while len(kept) > most:
        kept.popitem(last=False)
