"""The limit for guessing client secrets and passwords (RFC 6749 §2.3.1, §4.3.2, §10.10), counted in Django's cache.

A guess is counted before it is compared, by an operation of the cache that also says whether it is one too many: of a
thousand guesses at the same moment, no more than the limit are compared. A right one is taken off the count again.

It is counted for one account and one address, so that the owner is not locked out by an attacker elsewhere. Where no
account was found it is counted for the address alone: each invented name would otherwise be an entry in the cache,
which forgets others to make room. While the cache fails, guesses are not limited, so that its outage does not stop
every login; passwords are then as exposed as without a limit.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import IPv4Address, IPv6Network, ip_address
from math import ceil
from typing import Any, cast

from django.core.cache import DEFAULT_CACHE_ALIAS, cache, caches
from django.core.cache.backends.base import BaseCache

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import OAuthError, TooManyAttempts

logger = logging.getLogger(__name__)

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SMALLEST_NETWORK = 64
"""The prefix of the smallest IPv6 network that a customer gets (RFC 6177): one attacker has all its addresses."""
_SLOTS_AT_ONCE = 100
_MARGIN_SECONDS = 2
"""The entries of a window outlive it, also in a cache that rounds times to seconds."""


class _Window:
    """The guesses at one account from one address, in the time that begins with the first of them."""

    def __init__(self, *identity: object, rate: str) -> None:
        number, _slash, unit = rate.partition("/")
        self._limit, seconds = int(number), _SECONDS[unit[0]]
        name = f"oauth_refresh.guesses.{crypto.digest(repr(identity))}"
        self._ends_at = cast("float", cache.get_or_set(name, time.time() + seconds, seconds))
        # A later window has entries of its own: of two processes that add an entry which has expired, the database
        # cache may tell both that they were first.
        self._entry = f"{name}.{self._ends_at}"
        self._timeout = seconds + _MARGIN_SECONDS

    def seconds_left(self) -> int:
        return max(1, ceil(self._ends_at - time.time()))

    def take(self) -> Callable[[], object] | None:
        """Count one more guess, and return what takes it back; None, and nothing is counted, if it is one too many."""
        # By ``incr``, where the cache has one that is atomic. That of the base class reads and writes, so that two
        # processes can count one guess.
        if type(caches[DEFAULT_CACHE_ALIAS]).incr is BaseCache.incr:
            return self._take_slot()
        cache.add(self._entry, 0, self._timeout)
        if cache.incr(self._entry) <= self._limit:
            return partial(cache.decr, self._entry)
        cache.decr(self._entry)
        return None

    def _take_slot(self) -> Callable[[], object] | None:
        """Do the same by ``add``: each guess needs an entry of its own, and of two processes only one can add it."""
        for first in range(0, self._limit, _SLOTS_AT_ONCE):
            numbers = range(first, min(first + _SLOTS_AT_ONCE, self._limit))
            slots = [f"{self._entry}.{number}" for number in numbers]
            taken = cache.get_many(slots)
            for slot in slots:
                if slot not in taken and cache.add(slot, True, self._timeout):
                    return partial(cache.delete, slot)
        return None


@contextmanager
def limited_guess(kind: str, *, account: Any, address: str | None, failure: type[OAuthError]) -> Iterator[None]:
    """Let the block compare a guess; it counts if the block raises ``failure``. Arguments and errors as count_guess."""
    take_back = count_guess(kind, account=account, address=address)
    failed = False
    try:
        yield
    except failure:
        failed = True
        if account is not None:
            # A login may know an account by more names than the user manager does, such as an e-mail address. With
            # these the address has no further attempts.
            with suppress(TooManyAttempts):
                count_guess(kind, account=None, address=address)
        raise
    finally:
        if not failed:
            take_back()


def count_guess(kind: str, *, account: Any, address: str | None) -> Callable[[], None]:
    """Count a guess at the account with this primary key (None: no account was found), and return what takes it back.

    From an address that cannot be read, guesses are counted for the account alone: all such callers share that counter,
    and no other. Raises TooManyAttempts, with nothing counted, if it is one too many.
    """
    rate = app_settings.failure_rate
    if rate is None or (account is None and address is None):
        return _take_nothing_back
    taken: Callable[[], object] | None = None
    with _cache_may_be_down():
        window = _Window(kind, account, address and _network_of(address), rate=rate)
        if (taken := window.take()) is None:
            raise TooManyAttempts(f"A {kind} failed to authenticate too often.", retry_after=window.seconds_left())
    return _take_nothing_back if taken is None else partial(_take_back, taken)


def may_try(kind: str, *, account: Any, rate: str) -> bool:
    """Count an attempt of this account, whether it fails or not; return False if it is one too many for the rate."""
    return _Window(kind, account, rate=rate).take() is not None


def _take_nothing_back() -> None:
    pass


def _take_back(taken: Callable[[], object]) -> None:
    with _cache_may_be_down():
        taken()


def _network_of(address: str) -> str:
    """Return what one caller has: an IPv4 address, also one that is written as IPv6, or a whole IPv6 network."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return address
    return str(parsed.ipv4_mapped or IPv6Network((parsed, _SMALLEST_NETWORK), strict=False))


@contextmanager
def _cache_may_be_down() -> Iterator[None]:
    try:
        yield
    except OAuthError:
        raise
    except Exception as error:  # noqa: BLE001  every kind of cache has errors of its own
        logger.error("The cache is down (%s), so failed attempts are not limited.", type(error).__name__)
