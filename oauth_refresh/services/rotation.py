"""Refresh (RFC 6749 §6): find the presented refresh token, judge it, spend it, and notice when it is used again.

Each grant has one current refresh token: the one of the grant's ``generation``. To spend it is one conditional UPDATE
of the grant's row, ``generation = g + 1 WHERE generation = g AND revoked_at IS NULL``. Of two requests that present the
same token only one can make that update, so it is the lock as well, and no token row is ever changed.
"""

import logging
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import ConcurrentChange, ContentionError, InvalidGrant, ReceiverMissing, RefreshVetoed
from oauth_refresh.http import NO_CLIENT_INFO, ClientInfo
from oauth_refresh.models import Application, Grant, GrantEvent, GrantType, RefreshToken, RevocationReason
from oauth_refresh.services.db import after_commit, atomic_write, db_alias, retry_serialization_failure
from oauth_refresh.services.lookup import PresentedRefreshToken, find_refresh_token
from oauth_refresh.services.retry import derive_successors, is_retry, repeat_response
from oauth_refresh.services.revocation import revoke_grant
from oauth_refresh.services.tokens import IssuedTokens, issue_access_token, issue_pair, narrowed_scope, record_event
from oauth_refresh.signals import refresh_token_exchanged, refresh_token_reused

logger = logging.getLogger(__name__)

# If another request changed the grant, read it again: its generation is another one then, or it is revoked. Inside the
# retry window the second attempt may meet another retry; the third finds the limit reached, or a later generation.
_ATTEMPTS = 3


@dataclass(slots=True, kw_only=True)
class Rotation:
    """One refresh in progress, as ``refresh_token_exchanged`` carries it: the rows that were read, and what changes.

    ``advanced`` is the grant as it is after ``spend``, and None before. No raw token is in it.
    """

    grant: Grant
    refresh_token: RefreshToken
    rotates: bool
    now: datetime
    client_info: ClientInfo
    retry_salt: bytes | None = field(default=None, repr=False)
    advanced: Grant | None = None

    def spend(self) -> None:
        """Spend the presented refresh token. Raises ConcurrentChange.

        A second call changes nothing, unless the first was undone by a savepoint of the receiver that made it.
        """
        try:
            self.advanced = advance_grant(self.grant, **self._changes())
        except ConcurrentChange:
            if self.advanced is None:
                raise

    def _changes(self) -> dict[str, Any]:
        if not self.rotates:
            return {"refreshed_at": self.now, "retry_salt": None}
        successor = self.grant.generation + 1
        revokes_access = self.grant.application.revokes_access_on_refresh
        return {
            "generation": successor,
            "refreshed_at": self.now,
            "idle_expires_at": self.grant.next_idle_expiry(self.now),
            "access_floor": successor if revokes_access else self.grant.access_floor,
            "retry_salt": self.retry_salt,
            "retries": 0,
        }


def refresh(
    application: Application,
    *,
    raw_refresh_token: str,
    scope: str | None = None,
    client_info: ClientInfo = NO_CLIENT_INFO,
) -> IssuedTokens:
    """Trade a refresh token of ``application``, already authenticated, for a new pair.

    ``scope`` may narrow the access token; the refresh token keeps the whole granted scope. A spent token revokes its
    grant, committed before the error is raised, except inside the retry window or with ``REVOKE_ON_REUSE`` off.
    Raises InvalidGrant or InvalidScope. With nothing changed, also ReceiverMissing if no receiver spent the old token,
    ContentionError, TransactionBroken, and RuntimeError inside a transaction of the caller.
    """
    for _attempt in range(_ATTEMPTS):
        with suppress(ConcurrentChange):  # another request changed the grant first: read it again
            return _refresh_once(application, raw_refresh_token=raw_refresh_token, scope=scope, client_info=client_info)
    raise ContentionError("The grant changed at each attempt to refresh, and yet the token was still current.")


def _refresh_once(
    application: Application, *, raw_refresh_token: str, scope: str | None, client_info: ClientInfo
) -> IssuedTokens:
    """Find, judge and spend the presented token. Raises ConcurrentChange if another request was faster."""
    now = timezone.now()
    presented = _find_own(application, raw_refresh_token)
    # Before the question of reuse: a grant that was ended on purpose or by time has nothing left to protect.
    if (ended := presented.grant.end_reason(now)) is not None:
        raise InvalidGrant(f"The grant is {ended}.")
    if presented.is_spent:
        if is_retry(presented, now=now):
            return repeat_response(
                presented, raw_refresh_token=raw_refresh_token, scope=scope, client_info=client_info, now=now
            )
        revoke_on_reuse(presented, client_info=client_info)
        raise InvalidGrant("The refresh token was spent before.")
    rotation = Rotation(
        grant=presented.grant,
        refresh_token=_require_current(presented, now=now),
        rotates=application.rotates,
        now=now,
        client_info=client_info,
    )
    granted = narrowed_scope(presented.grant, requested=scope)
    try:
        return _rotate(rotation, raw_refresh_token=raw_refresh_token, scope=granted)
    except RefreshVetoed as veto:
        raise InvalidGrant(f"A receiver vetoed the refresh: {veto or 'no reason given'}.") from veto


def _find_own(application: Application, raw_refresh_token: str) -> PresentedRefreshToken:
    presented = find_refresh_token(raw_refresh_token)
    if presented is None:
        raise InvalidGrant("The text is no refresh token of this server.")
    # Before any consequence: a token that another client stole or found must not end the owner's grant.
    if presented.grant.application_id != application.pk:
        raise InvalidGrant("The refresh token was issued to another application.")
    presented.grant.application = application  # authenticated just now, so it need not be joined
    return presented


def _require_current(presented: PresentedRefreshToken, *, now: datetime) -> RefreshToken:
    """Return the row of the current refresh token of an active grant. Raises InvalidGrant for any other."""
    grant, row = presented.grant, presented.row
    # The MAC proves that we issued it, but a database that was restored from a backup may not hold its row.
    if row is None or presented.generation > grant.generation:
        raise InvalidGrant(
            "The refresh token has a valid MAC, but its row is missing: a restored backup, or a deleted row."
        )
    if row.expires_at <= now:
        raise InvalidGrant("The refresh token is expired.")
    if (reason := grant.inactive_reason(now)) is not None:
        raise InvalidGrant(f"The grant is not active: {reason}.")
    return row


@retry_serialization_failure
def _rotate(rotation: Rotation, *, raw_refresh_token: str, scope: tuple[str, ...]) -> IssuedTokens:
    """Let the receiver spend the token, then insert the pair, in one transaction. Raises ConcurrentChange.

    The update comes first: of two transactions that inserted first, one would wait for the other and then fail.
    """
    rotation = copy(rotation)  # a second attempt begins with what was read
    secrets = None
    if rotation.rotates and rotation.grant.application.effective("retry_window"):
        rotation.retry_salt = crypto.generate_salt()
        secrets = derive_successors(rotation.grant, raw_refresh_token, scope=scope, salt=rotation.retry_salt)
    with atomic_write():
        refresh_token_exchanged.send(
            sender=Grant,
            grant=rotation.grant,
            refresh_token=rotation.refresh_token,
            rotates=rotation.rotates,
            client_info=rotation.client_info,
            rotation=rotation,
        )
        if rotation.advanced is None:
            raise ReceiverMissing(
                "The old refresh token was not spent, so nothing was issued: connect "
                "oauth_refresh.receivers.deactivate_old_refresh_tokens to refresh_token_exchanged."
            )
        if rotation.rotates:
            return issue_pair(
                rotation.advanced,
                scope=scope,
                grant_type=GrantType.REFRESH_TOKEN,
                now=rotation.now,
                client_info=rotation.client_info,
                secrets=secrets,
            )
        return issue_access_token(
            rotation.advanced,
            refresh_token=raw_refresh_token,
            scope=scope,
            grant_type=GrantType.REFRESH_TOKEN,
            now=rotation.now,
        )


def advance_grant(grant: Grant, **columns: Any) -> Grant:
    """Set ``columns`` if the grant is unrevoked and of the generation that was read, and return it as it is then.

    The grant that was read stays as it was. Raises ConcurrentChange if another request changed or revoked it first.
    """
    unchanged = Grant.objects.using(db_alias()).unrevoked().filter(pk=grant.pk, generation=grant.generation)
    if not unchanged.update(**columns):
        raise ConcurrentChange
    advanced = copy(grant)
    for column, value in columns.items():
        setattr(advanced, column, value)
    return advanced


@retry_serialization_failure
def revoke_on_reuse(presented: PresentedRefreshToken, *, client_info: ClientInfo) -> None:
    """Revoke the grant of a spent refresh token that its own client presented again (RFC 9700 §4.14.2).

    Two parties hold the token, and the server cannot tell which is the thief. Committed on return, although the answer
    will be an error. ``REVOKE_ON_REUSE`` off: only the event and the signal.
    """
    grant = presented.grant
    with atomic_write():
        if app_settings.revoke_on_reuse:
            revoke_grant(grant, reason=RevocationReason.REUSE_DETECTED)
        record_event(GrantEvent.Kind.REUSED, presented, client_info=client_info)
        after_commit(
            partial(
                refresh_token_reused.send_robust,
                sender=Grant,
                grant=grant,
                generation=presented.generation,
                client_info=client_info,
            )
        )
    logger.warning("Refresh token %d of grant %s was used again after it was spent.", presented.generation, grant)
