"""Answer a spent refresh token with the grant's current pair, inside an opt-in window.

Tabs, threads and agents share one refresh token, and lost responses are asked for again. Inside ``RETRY_WINDOW`` all of
them get the one current pair, so nothing forks, and nothing readable is stored for it: the secrets of each pair were
derived from its predecessor, which only its client holds, from a salt in the grant's slots, and from a key of the
project. A token several generations back is walked forward, one slot at a time.
"""

import logging
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db.models import F

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import ConcurrentChange, InvalidGrant, OAuthError, TooManyRetries
from oauth_refresh.models import AccessToken, Grant, GrantEvent, GrantType, RefreshToken
from oauth_refresh.models.retry_slots import RetrySlot, pack_slots, read_slots
from oauth_refresh.resources import requested_resources
from oauth_refresh.scopes import parse_scope
from oauth_refresh.services.db import after_commit, atomic_write, db_alias, retry_serialization_failure
from oauth_refresh.services.spent_tokens import SpentToken, circumstances, record_event, record_refusal
from oauth_refresh.services.tokens import (
    Access,
    IssuedTokens,
    NewTokens,
    RequestedAccess,
    as_issued,
    mint_access_token,
    mint_refresh_token,
    narrowed_access,
)
from oauth_refresh.signals import refresh_retried

logger = logging.getLogger(__name__)

_SECONDS_TO_WAIT = 1


def next_slots(grant: Grant, *, now: datetime) -> tuple[bytes | None, bytes | None]:
    """Return a new salt, and the slots of the grant once its token is spent at ``now``; None for both without a window.

    Older salts are removed, so that a copy of the database and an old token are not enough to derive the current one.
    """
    window = grant.application.effective("retry_window")
    if not window:
        return None, None
    salt = crypto.generate_salt()
    kept = [slot for slot in read_slots(grant.retry_slots) if abs(now - slot.spent_at) < window]
    return salt, pack_slots([*kept, RetrySlot(generation=grant.generation, spent_at=now, salt=salt)])


def derive_pair(grant: Grant, raw_refresh_token: str, *, access: Access, salt: bytes) -> crypto.PairSecrets:
    """Return the secrets of the pair that succeeds the grant's refresh token, with the project's current key."""
    client_id, key = grant.application.client_id, _server_keys()[0]
    return crypto.PairSecrets(
        refresh_token=crypto.derive_refresh_secret(raw_refresh_token, server_key=key, salt=salt, client_id=client_id),
        access_token=crypto.derive_access_secret(
            raw_refresh_token, server_key=key, salt=salt, client_id=client_id, **_sorted(access)
        ),
    )


def repeat_response(spent: SpentToken, *, raw_refresh_token: str, requested: RequestedAccess) -> IssuedTokens:
    """Return the grant's current pair to a client that presents a predecessor of it.

    Nothing is extended; ``expires_in`` counts from now. Raises InvalidGrant, InvalidScope or InvalidTarget, with an
    event written and nothing revoked, if the request asks for another scope or resource, or the pair cannot be derived
    or is not valid any more; TooManyRetries, with nothing written, if it came too often; ConcurrentChange if another
    request changed the grant.
    """
    grant = spent.presented.grant
    blocked = grant.block_reason()
    if blocked is None and grant.retries >= app_settings.retry_limit:
        raise TooManyRetries("The retry is refused: RETRY_LIMIT is reached.", retry_after=_SECONDS_TO_WAIT)
    try:
        if blocked is not None:  # to wait would not help
            raise InvalidGrant(f"The retry is refused, because the grant is not active: {blocked}.")
        pair = _current_pair(spent, raw_refresh_token)
        _require_same_access(pair, requested=requested)
    except OAuthError:
        record_refusal(spent)
        raise
    return _repeat(spent, pair)


def _current_pair(spent: SpentToken, raw_refresh_token: str) -> NewTokens:
    """Walk from the presented token to the current one, and check each step against the stored digest."""
    grant, raw = spent.presented.grant, raw_refresh_token
    slots = {slot.generation: slot for slot in read_slots(grant.retry_slots)}
    for row in spent.successors:
        slot, predecessor = slots.get(row.generation - 1), raw
        found = None if slot is None else _step(grant, row, slot, raw)
        if slot is None or found is None:
            raise InvalidGrant("The retry is refused: a slot is missing, SECRET_KEY was changed, or a row was altered.")
        raw, key = found
        if row.generation == grant.generation:
            raw_access_token, access_token = _access_token(grant, predecessor, slot=slot, key=key)
            if row.expires_at <= spent.now or not access_token.is_live_at(spent.now):
                raise InvalidGrant("The retry is refused: a token of the pair is no longer valid.")
            return NewTokens(access_token=access_token, raw_access_token=raw_access_token, raw_refresh_token=raw)
    raise InvalidGrant("The retry is refused: the refresh token of the pair was deleted.")


def _step(grant: Grant, row: RefreshToken, slot: RetrySlot, raw: str) -> tuple[str, bytes] | None:
    """Return the raw text of ``row``, and the key that it was derived with; None if it was not derived from ``raw``."""
    client_id = grant.application.client_id
    for key in _server_keys():
        secret = crypto.derive_refresh_secret(raw, server_key=key, salt=slot.salt, client_id=client_id)
        successor = mint_refresh_token(grant, secret=secret, generation=row.generation)
        if crypto.digest(successor) == row.digest:
            return successor, key
    return None


def _access_token(grant: Grant, predecessor: str, *, slot: RetrySlot, key: bytes) -> tuple[str, AccessToken]:
    """Return the access token that came with the grant's current refresh token: the raw text, and the row."""
    rows = AccessToken.objects.using(db_alias()).filter(grant=grant, generation=grant.generation).order_by("pk")
    for row in rows[:1]:
        secret = crypto.derive_access_secret(
            predecessor,
            server_key=key,
            salt=slot.salt,
            client_id=grant.application.client_id,
            **_sorted(Access(scope=row.scopes, resources=row.resource_names)),
        )
        raw = mint_access_token(secret=secret)
        if crypto.digest(raw) == row.digest:
            row.grant = grant
            return raw, row
    raise InvalidGrant("The retry is refused: the access token of the pair was deleted or altered.")


def _require_same_access(pair: NewTokens, *, requested: RequestedAccess) -> None:
    """Refuse a repetition that asks for another scope or resource than was issued.

    One that names neither gets the pair as it is.
    """
    token = pair.access_token
    names_no_resource = not requested_resources(requested.resources)
    if names_no_resource and (requested.scope is None or set(parse_scope(requested.scope)) == set(token.scopes)):
        return
    # The refresh, too, left out what was taken from the application or user. What was never granted is invalid_scope or
    # invalid_target.
    access = narrowed_access(token.grant, requested=requested)
    same_resources = names_no_resource or set(access.resources) == set(token.resource_names)
    if not same_resources or (requested.scope is not None and set(access.scope) != set(token.scopes)):
        raise InvalidGrant("The retry is refused: it asks for another scope or resource than was issued.")


def _sorted(access: Access) -> dict[str, str]:
    """Return what of the access is part of the derivation, in an order that does not depend on the request."""
    return {"scope": " ".join(sorted(access.scope)), "audience": " ".join(sorted(access.resources))}


def _server_keys() -> tuple[bytes, ...]:
    """Return a key for each secret of the project, the current one first: a retry may come after they were changed."""
    return crypto.server_keys([settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS])


@retry_serialization_failure
def _repeat(spent: SpentToken, pair: NewTokens) -> IssuedTokens:
    """Count the retry by a conditional update and record it. Raises ConcurrentChange, with nothing written."""
    grant, generation = spent.presented.grant, spent.presented.generation
    with atomic_write():
        if not _count(grant):
            raise ConcurrentChange
        event = record_event(GrantEvent.Kind.RETRIED, spent)
        after_commit(
            partial(
                refresh_retried.send_robust,
                sender=Grant,
                grant=grant,
                generation=generation,
                client_info=spent.client_info,
                same_caller=spent.same_caller,
                seconds_since_spent=spent.seconds_since_spent,
            )
        )
        issued = as_issued(pair, grant_type=GrantType.REFRESH_TOKEN, now=spent.now)
    logger.info(
        "Refresh token %d of grant %s was used again %s; it was answered with the current pair.",
        generation,
        grant,
        circumstances(event),
    )
    return issued


def _count(grant: Grant) -> bool:
    """Use one of the retries that are left, unless the grant has advanced. Return whether there was one."""
    same_generation = Grant.objects.using(db_alias()).unrevoked().filter(pk=grant.pk, generation=grant.generation)
    return same_generation.filter(retries__lt=app_settings.retry_limit).update(retries=F("retries") + 1) == 1
