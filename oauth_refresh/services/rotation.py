"""Refresh (RFC 6749 §6): find the presented refresh token, judge it, spend it, and notice when it is used again.

Each grant has one current refresh token: the one of the grant's ``generation``. To spend it is one conditional UPDATE
of the grant's row, ``generation = g + 1 WHERE generation = g AND revoked_at IS NULL``. Of two requests that present the
same token only one can make that update, so it is the lock as well, and no token row is ever changed.
"""

import logging
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Model
from django.utils import timezone

from oauth_refresh.errors import ConcurrentChange, ContentionError, InvalidGrant, ReceiverMissing, RefreshVetoed
from oauth_refresh.http import NO_CLIENT_INFO, ClientInfo
from oauth_refresh.models import Application, Grant, GrantEvent, GrantType, RefreshToken, RevocationReason
from oauth_refresh.models.retry_slots import MOST_SLOTS
from oauth_refresh.services.db import after_commit, atomic_write, retry_serialization_failure
from oauth_refresh.services.lookup import PresentedRefreshToken, find_refresh_token
from oauth_refresh.services.retry import derive_pair, next_slots, repeat_response
from oauth_refresh.services.revocation import revoke_grant
from oauth_refresh.services.spent_tokens import SpentToken, circumstances, find_successors, record_event, record_refusal
from oauth_refresh.services.statements import advance_grant, needs_transaction, with_columns
from oauth_refresh.services.tokens import (
    Access,
    IssuedTokens,
    RequestedAccess,
    announce,
    as_issued,
    make_access_token,
    make_pair,
    narrowed_access,
)
from oauth_refresh.signals import DEACTIVATION_UID, refresh_token_exchanged, refresh_token_reused

logger = logging.getLogger(__name__)

_CONCURRENT = "Its client most likely refreshed twice at once: give the application a retry window."
_THEFT = "Treat it as theft."
# If another request changed the grant, read it again: its generation is another one then, or it is revoked. Inside the
# retry window each attempt may meet a further refresh, until the token is older than the slots reach and is refused.
_ATTEMPTS = MOST_SLOTS + 2


@dataclass(slots=True, kw_only=True)
class Rotation:
    """One refresh in progress, as ``refresh_token_exchanged`` carries it: the rows that were read, and what changes.

    ``advanced`` is the grant as ``spend`` leaves it, ``rows`` are the tokens that it inserts. No raw token is in it.
    """

    grant: Grant
    refresh_token: RefreshToken
    rotates: bool
    client_info: ClientInfo
    advanced: Grant
    columns: dict[str, Any] = field(repr=False)
    rows: tuple[Model, ...] = field(repr=False)
    is_spent: bool = False

    def spend(self) -> None:
        """Spend the presented refresh token and insert the new ones. Raises ConcurrentChange.

        A second call changes nothing, unless the first was undone by a savepoint of the receiver that made it.
        """
        try:
            advance_grant(self.grant, self.columns, rows=self.rows)
        except ConcurrentChange:
            if not self.is_spent:
                raise
        self.is_spent = True


def refresh(
    application: Application,
    *,
    raw_refresh_token: str,
    scope: str | None = None,
    resources: Sequence[str] = (),
    client_info: ClientInfo = NO_CLIENT_INFO,
    row: RefreshToken | None = None,
) -> IssuedTokens:
    """Trade a refresh token of ``application``, already authenticated, for a new pair.

    ``scope`` and ``resources`` may narrow the access token; the refresh token keeps all that was granted. ``row``: what
    ``find_refresh_row`` returned for the same text a moment ago, which saves a statement. A spent token revokes its
    grant, committed before the error is raised, except inside the retry window or with ``REVOKE_ON_REUSE`` off.
    Raises InvalidGrant, InvalidScope or InvalidTarget. With nothing changed, also ReceiverMissing if no receiver spent
    the old token, ImporterFailed, ContentionError, TransactionBroken, and RuntimeError inside the caller's transaction.
    """
    requested = RequestedAccess(scope=scope, resources=resources)
    for _attempt in range(_ATTEMPTS):
        presented = _find_own(application, raw_refresh_token, row=row)
        with suppress(ConcurrentChange):  # another request changed the grant first: read it again
            return _refresh_once(presented, raw_refresh_token, requested=requested, client_info=client_info)
        row = None
    raise ContentionError("The grant changed at each attempt to refresh, and yet the token was still current.")


def _refresh_once(
    presented: PresentedRefreshToken, raw_refresh_token: str, *, requested: RequestedAccess, client_info: ClientInfo
) -> IssuedTokens:
    """Judge and spend the presented token. Raises ConcurrentChange if another request was faster."""
    now = timezone.now()
    # Before the question of reuse: a grant that was ended on purpose or by time has nothing left to protect.
    if (ended := presented.grant.end_reason(now)) is not None:
        raise InvalidGrant(f"The grant is {ended}.")
    if presented.is_spent:
        spent = find_successors(presented, client_info=client_info, now=now)
        return _answer_spent(spent, raw_refresh_token, requested=requested)
    row = _require_current(presented, now=now)
    access = narrowed_access(presented.grant, requested=requested)
    try:
        return _rotate(row, raw_refresh_token=raw_refresh_token, access=access, client_info=client_info, now=now)
    except RefreshVetoed as veto:
        raise InvalidGrant(f"A receiver vetoed the refresh: {veto or 'no reason given'}.") from veto


def _answer_spent(spent: SpentToken, raw_refresh_token: str, *, requested: RequestedAccess) -> IssuedTokens:
    """Repeat the response inside the retry window; after it, take the repetition for theft."""
    if spent.may_retry:
        return repeat_response(spent, raw_refresh_token=raw_refresh_token, requested=requested)
    if spent.may_have_been_told_to_wait:
        record_refusal(spent)
        raise InvalidGrant("The retry is refused: it waited until the window was over.")
    revoke_on_reuse(spent)
    raise InvalidGrant("The refresh token was spent before.")


def _find_own(application: Application, raw_refresh_token: str, *, row: RefreshToken | None) -> PresentedRefreshToken:
    presented = find_refresh_token(raw_refresh_token, row=row)
    if presented is None:
        raise InvalidGrant("The text is no refresh token of this server.")
    # Before any consequence: a token that another client stole or found must not end the owner's grant.
    if presented.grant.application_id != application.pk:
        raise InvalidGrant("The refresh token was issued to another application.")
    presented.grant.application = application  # as it was when it authenticated
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
def _rotate(
    row: RefreshToken, *, raw_refresh_token: str, access: Access, client_info: ClientInfo, now: datetime
) -> IssuedTokens:
    """Let the receiver spend the token and insert its successors. Raises ConcurrentChange."""
    grant, rotates = row.grant, row.grant.application.rotates
    salt, slots = next_slots(grant, now=now) if rotates else (None, None)
    columns = changed_columns(grant, rotates=rotates, slots=slots, now=now)
    advanced = with_columns(grant, columns)
    if rotates:
        secrets = None if salt is None else derive_pair(grant, raw_refresh_token, access=access, salt=salt)
        tokens = make_pair(advanced, access=access, now=now, client_info=client_info, secrets=secrets)
    else:
        tokens = make_access_token(advanced, access=access, now=now, kept=raw_refresh_token)
    # What fails in the project's own hook fails before anything is spent.
    issued = as_issued(tokens, grant_type=GrantType.REFRESH_TOKEN, now=now)
    rotation = Rotation(
        grant=grant,
        refresh_token=row,
        rotates=rotates,
        client_info=client_info,
        advanced=advanced,
        columns=columns,
        rows=tokens.rows,
    )
    # A receiver of the project may write, or veto the refresh after ours has acted: all of that is one transaction.
    with atomic_write() if needs_transaction() or _has_receivers_of_the_project() else nullcontext():
        refresh_token_exchanged.send(
            sender=Grant,
            grant=grant,
            refresh_token=row,
            rotates=rotates,
            client_info=client_info,
            rotation=rotation,
        )
        if not rotation.is_spent:
            raise ReceiverMissing(
                "The old refresh token was not spent, so nothing was issued: connect "
                "oauth_refresh.receivers.deactivate_old_refresh_tokens to refresh_token_exchanged."
            )
        announce(issued, grant_type=GrantType.REFRESH_TOKEN)
    return issued


def changed_columns(grant: Grant, *, rotates: bool, slots: bytes | None, now: datetime) -> dict[str, Any]:
    """Return the columns of the grant that a refresh at ``now`` changes."""
    if not rotates:
        return {"refreshed_at": now, "retry_slots": None}
    successor = grant.generation + 1
    return {
        "generation": successor,
        "refreshed_at": now,
        "idle_expires_at": grant.next_idle_expiry(now),
        "access_floor": successor if grant.application.revokes_access_on_refresh else grant.access_floor,
        "retry_slots": slots,
        "retries": 0,
    }


def _has_receivers_of_the_project() -> bool:
    return any(lookup_key[0] != DEACTIVATION_UID for lookup_key, *_ in refresh_token_exchanged.receivers)


@retry_serialization_failure
def revoke_on_reuse(spent: SpentToken) -> None:
    """Revoke the grant of a spent refresh token that its own client presented again (RFC 9700 §4.14.2).

    Two parties hold the token, and the server cannot tell which is the thief. Committed on return, although the answer
    will be an error. ``REVOKE_ON_REUSE`` off: only the event and the signal.
    """
    grant, generation = spent.presented.grant, spent.presented.generation
    with atomic_write():
        if grant.application.effective("revoke_on_reuse"):
            revoke_grant(grant, reason=RevocationReason.REUSE_DETECTED)
        event = record_event(GrantEvent.Kind.REUSED, spent)
        after_commit(
            partial(
                refresh_token_reused.send_robust,
                sender=Grant,
                grant=grant,
                generation=generation,
                client_info=spent.client_info,
                seconds_since_spent=event.seconds_since_spent,
                same_caller=event.same_caller,
            )
        )
    meaning = _CONCURRENT if event.looks_concurrent else _THEFT
    logger.warning(
        "Refresh token %d of grant %s was used again %s. %s", generation, grant, circumstances(event), meaning
    )
