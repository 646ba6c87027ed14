"""A limit for failed authentication (RFC 6749 §2.3.1, §4.3.2): by DRF's throttle, on Django's cache.

It is counted for one client or user and one address together, so that an attacker cannot lock the owner out from
another address. A success is not counted. While the cache fails, failures are not limited, so that its outage does not
stop every client; passwords are then as exposed as without a limit.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from unicodedata import normalize

from django.http import HttpRequest
from rest_framework.throttling import SimpleRateThrottle

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import OAuthError, TooManyAttempts
from oauth_refresh.http import read_address

logger = logging.getLogger(__name__)

_LONGEST_NAME = 255
"""To normalize a text may take the square of its length: a long user name must not occupy the server."""


class FailureThrottle(SimpleRateThrottle):
    """The failures of one client or user from one address within the time of ``FAILURE_RATE``, the newest first."""

    num_requests: int
    duration: int

    def __init__(self, identity: str) -> None:
        super().__init__()
        self.key = f"oauth_refresh.failures.{crypto.digest(identity)}"

    def get_rate(self) -> str | None:
        return app_settings.failure_rate

    def seconds_to_wait(self) -> int:
        """Return how long no further attempt is allowed; 0 if one is."""
        failures = self._recent()
        if len(failures) < self.num_requests:
            return 0
        return ceil(failures[-1] + self.duration - self.timer())

    def count(self) -> None:
        self.cache.set(self.key, [self.timer(), *self._recent()], self.duration)

    def _recent(self) -> list[float]:
        since = self.timer() - self.duration
        return [moment for moment in self.cache.get(self.key, ()) if moment > since]


@contextmanager
def limited_failures(request: HttpRequest, *, kind: str, name: str | None, failure: type[OAuthError]) -> Iterator[None]:
    """Let the block authenticate ``name``, and count it if it raises ``failure``.

    Raises TooManyAttempts instead of entering the block if that happened too often. No name, no limit.
    """
    if name is None or app_settings.failure_rate is None:
        yield
        return
    throttle = FailureThrottle(f"{kind} {read_address(request)} {_folded(name)}")
    with _cache_may_be_down():
        if (seconds := throttle.seconds_to_wait()) > 0:
            raise TooManyAttempts(f"A {kind} failed to authenticate too often.", retry_after=seconds)
    try:
        yield
    except failure:
        with _cache_may_be_down():
            throttle.count()
        raise


def _folded(name: str) -> str:
    """Return one text for all spellings of ``name`` that a database or a login may take for the same.

    MariaDB ignores case, accents and trailing spaces, some collations also invisible characters. If each spelling were
    counted by itself, an attacker would have as many attempts with every one.
    """
    characters = normalize("NFKD", name[:_LONGEST_NAME]).casefold()
    return "".join(character for character in characters if character.isalnum())


@contextmanager
def _cache_may_be_down() -> Iterator[None]:
    try:
        yield
    except OAuthError:
        raise
    except Exception as error:  # noqa: BLE001  every kind of cache has errors of its own
        logger.error("The cache is down (%s), so failed attempts are not limited.", type(error).__name__)
