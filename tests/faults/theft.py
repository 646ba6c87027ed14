"""An owner and a thief use copies of one refresh token: when the grant is revoked, and what the signals show."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine

from oauth_refresh.signals import refresh_retried, refresh_token_reused
from tests.oauth import OAuthClient, post_form
from tests.signals import recorded

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
RHYTHM = timedelta(hours=1)
"""How often both refresh: when the access token expires."""

LATE = timedelta(minutes=10)

OWNER = {"REMOTE_ADDR": "192.0.2.1", "headers": {"User-Agent": "Phone/1.0"}}
STRANGER = {"REMOTE_ADDR": "198.51.100.9", "headers": {"User-Agent": "curl/8"}}


@dataclass(frozen=True, kw_only=True)
class Theft:
    """When the thief comes: ``delay`` after the owner's first refresh, negative before it, and so every hour.

    ``disguised``: behind the owner's address, under the owner's user agent. ``late_in_hour``: when LATE, not ``delay``.
    """

    delay: timedelta
    disguised: bool = False
    late_in_hour: int | None = None


@dataclass(kw_only=True)
class TheftOutcome:
    """What happened. ``refreshes`` counts the requests of both; ``ended_after``: None if the grant was not revoked."""

    refreshes: int = 0
    ended_after: timedelta | None = None
    reuse_detected: int = 0
    retries_by_same_caller: list[bool | None] = field(default_factory=list)


@dataclass
class TokenHolder:
    """The owner or the thief, who refreshes the token that they hold."""

    client: OAuthClient
    refresh_token: str
    appearance: dict[str, Any]

    def refresh(self) -> bool:
        form = {
            **self.client.credentials,
            "grant_type": "refresh_token",
            "refresh_token": self.refresh_token,
        }
        response = post_form("token", form, authorization=self.client.authorization, **self.appearance)
        if response.status_code != 200:
            return False
        self.refresh_token = response.json()["refresh_token"]
        return True


def simulate_theft(theft: Theft, client: OAuthClient, *, hours: int) -> TheftOutcome:
    """Let owner and thief refresh in turn, each their own newest token, until one of them is refused."""
    owner = TokenHolder(client, client.refresh_token, OWNER)
    thief = TokenHolder(client, client.refresh_token, OWNER if theft.disguised else STRANGER)
    outcome = TheftOutcome()
    with recorded(refresh_token_reused) as reused, recorded(refresh_retried) as retries:
        for moment, holder in _visits(owner, thief, theft=theft, hours=hours):
            outcome.refreshes += 1
            with time_machine.travel(moment, tick=False):
                if not holder.refresh():
                    outcome.ended_after = moment - BEGIN
                    break
    outcome.reuse_detected = len(reused)
    outcome.retries_by_same_caller = [retry["same_caller"] for retry in retries]
    return outcome


def _visits(
    owner: TokenHolder, thief: TokenHolder, *, theft: Theft, hours: int
) -> Iterator[tuple[datetime, TokenHolder]]:
    """Yield when each refresh comes and whose it is. The theft is at BEGIN, the first refresh an hour later."""
    visits = [(BEGIN + RHYTHM * hour, owner) for hour in range(1, hours + 1)]
    delays = {hour: LATE if hour == theft.late_in_hour else theft.delay for hour in range(1, hours + 1)}
    visits += [(BEGIN + RHYTHM * hour + delay, thief) for hour, delay in delays.items()]
    yield from sorted(visits, key=lambda visit: visit[0])
