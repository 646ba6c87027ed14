"""Refresh (RFC 6749 §6): spend a refresh token and hand out its successors, or find out why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from oauth_refresh.errors import ContentionError, DeactivationMissing, InvalidGrant, RefreshVetoed
from oauth_refresh.models import NO_CLIENT_INFO, Application, ClientInfo, Grant, GrantType, RefreshToken
from oauth_refresh.services.handing_out import IssuedTokens, hand_out, insert_refresh_token
from oauth_refresh.services.issuing import narrowed_scope
from oauth_refresh.services.lookup import PresentedRefreshToken, find_refresh_token
from oauth_refresh.services.movement import Overtaken, move, moved
from oauth_refresh.services.retrying import is_retry, new_retry_salt, repeat_response, successor_secrets
from oauth_refresh.services.reuse import sound_reuse_alarm
from oauth_refresh.services.transactions import retry_serialization_failure, writing
from oauth_refresh.signals import refresh_token_exchanged

# Who loses a race looks again and finds the winner's generation or a revocation. Inside the retry window the second
# look may lose to others who retry; the third finds their count, or that the grant has moved on.
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One refresh token on its way to its successors: what the conditional update tests and sets."""

    grant: Grant
    refresh_token: RefreshToken
    rotates: bool
    now: datetime
    client_info: ClientInfo
    retry_salt: bytes | None = field(repr=False)

    @property
    def changes(self) -> Mapping[str, Any]:
        """Return the columns of the grant that the exchange sets."""
        if not self.rotates:
            return {"refreshed_at": self.now, "retry_salt": None}
        grant = self.grant
        successor = grant.generation + 1
        return {
            "generation": successor,
            "refreshed_at": self.now,
            "idle_expires_at": grant.next_idle_expiry(self.now),
            "access_floor": successor if grant.application.kills_old_access_tokens else grant.access_floor,
            "retry_salt": self.retry_salt,
            "retries": 0,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Deactivation:
    """The answer of the deactivating receiver: which generation it dealt with, and whether nobody came before."""

    grant_id: int
    generation: int
    succeeded: bool

    def concerns(self, exchange: Exchange) -> bool:
        return (self.grant_id, self.generation) == (exchange.grant.pk, exchange.grant.generation)


def refresh(
    application: Application,
    *,
    raw_refresh_token: str,
    scope: str | None = None,
    client_info: ClientInfo = NO_CLIENT_INFO,
) -> IssuedTokens:
    """Trade a refresh token of ``application``, already authenticated, for a new pair.

    ``scope`` may narrow the access token; the refresh token keeps the whole granted scope. A spent token revokes its
    grant, committed before the error is raised. Raises InvalidGrant or InvalidScope; with nothing changed, also
    DeactivationMissing if no receiver spent the old token, and RuntimeError inside a transaction of the caller.
    """
    for _attempt in range(_ATTEMPTS):
        now = timezone.now()
        presented = _require_own(application, find_refresh_token(raw_refresh_token))
        _require_lasting(presented.grant, now=now)
        try:
            if is_retry(presented, now=now):
                return repeat_response(
                    presented, raw_refresh_token=raw_refresh_token, scope=scope, client_info=client_info, now=now
                )
            exchange = Exchange(
                grant=presented.grant,
                refresh_token=_require_usable(presented, now=now, client_info=client_info),
                rotates=application.rotates,
                now=now,
                client_info=client_info,
                retry_salt=new_retry_salt(application),
            )
            granted = narrowed_scope(presented.grant, requested=scope)
            return _carry_out(exchange, raw_refresh_token=raw_refresh_token, scope=granted)
        except RefreshVetoed as veto:
            raise InvalidGrant(f"A receiver vetoed the refresh: {veto or 'no reason given'}.") from veto
        except Overtaken:
            continue
    raise ContentionError("A refresh lost its race, but no winner was to be seen.")


def deactivate_old_refresh_token(exchange: Exchange) -> Deactivation:
    """Spend the presented refresh token by the one conditional update that is also the lock (design: one row moves).

    A stranger to this generation, or a revocation that came first, leaves it undone.
    """
    succeeded = move(exchange.grant, exchange.changes)
    return Deactivation(grant_id=exchange.grant.pk, generation=exchange.grant.generation, succeeded=succeeded)


def _require_own(application: Application, presented: PresentedRefreshToken | None) -> PresentedRefreshToken:
    if presented is None:
        raise InvalidGrant("The text is no refresh token of this server.")
    if presented.grant.application_id != application.pk:
        raise InvalidGrant("The refresh token was issued to another application.")
    presented.grant.application = application  # read a moment ago, so it need not be joined
    return presented


def _require_lasting(grant: Grant, *, now: datetime) -> None:
    """Refuse what was ended on purpose or by time, without an alarm."""
    if (ended := grant.why_ended(now)) is not None:
        raise InvalidGrant(f"The grant is {ended}.")


def _require_usable(presented: PresentedRefreshToken, *, now: datetime, client_info: ClientInfo) -> RefreshToken:
    """Return the row of a live refresh token of a lasting grant, or refuse; a spent one sounds the alarm first."""
    grant, row = presented.grant, presented.row
    if presented.generation < grant.generation:
        sound_reuse_alarm(presented, client_info=client_info)
        raise InvalidGrant("The refresh token was spent before.")
    if row is None or presented.generation > grant.generation:
        raise InvalidGrant("The refresh token is genuine, but not known for its generation: a pruned or restored row.")
    if row.expires_at <= now:
        raise InvalidGrant("The refresh token is expired.")
    if (dead := grant.why_dead(now)) is not None:
        raise InvalidGrant(f"The grant is not live: {dead}.")
    return row


@retry_serialization_failure
def _carry_out(exchange: Exchange, *, raw_refresh_token: str, scope: tuple[str, ...]) -> IssuedTokens:
    """Update first, then insert. Raises Overtaken, with everything undone, if somebody else was faster."""
    secrets = successor_secrets(
        exchange.grant, raw_predecessor=raw_refresh_token, scope=scope, salt=exchange.retry_salt
    )
    with writing():
        if not _deactivation(exchange).succeeded:
            raise Overtaken
        grant, now = moved(exchange.grant, exchange.changes), exchange.now
        refresh_token = raw_refresh_token
        if exchange.rotates:
            refresh_token = insert_refresh_token(
                grant, now=now, client_info=exchange.client_info, secret=secrets.refresh_token
            )
        return hand_out(
            grant,
            refresh_token=refresh_token,
            scope=scope,
            grant_type=GrantType.REFRESH_TOKEN,
            now=now,
            secret=secrets.access_token,
        )


def _deactivation(exchange: Exchange) -> Deactivation:
    """Let the receivers act, and return the one answer that says what became of the presented token."""
    results: Sequence[tuple[object, object]] = refresh_token_exchanged.send(
        sender=Grant,
        grant=exchange.grant,
        refresh_token=exchange.refresh_token,
        rotates=exchange.rotates,
        client_info=exchange.client_info,
        exchange=exchange,
    )
    answers = [answer for _receiver, answer in results if isinstance(answer, Deactivation)]
    if len(answers) != 1 or not answers[0].concerns(exchange):
        raise DeactivationMissing(
            "Nobody deactivated the old refresh token, so nothing was issued: connect "
            "oauth_refresh.receivers.deactivate_old_refresh_tokens to refresh_token_exchanged, once."
        )
    return answers[0]
