"""Repeat a response that was lost: inside an opt-in window, a spent token is traded for the very same pair again.

Nothing readable is stored for it. The secrets of the pair were derived from the spent token, which only its client
holds, from a salt on the grant's row, and from a key of the project; without all three they are random.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db.models import F

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import ConcurrentChange, InvalidGrant, OAuthError
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import AccessToken, Grant, GrantEvent, GrantType, RefreshToken
from oauth_refresh.services.db import after_commit, atomic_write, db_alias, retry_serialization_failure
from oauth_refresh.services.lookup import PresentedRefreshToken
from oauth_refresh.services.tokens import (
    IssuedTokens,
    as_issued,
    mint_access_token,
    mint_refresh_token,
    narrowed_scope,
    record_event,
)
from oauth_refresh.signals import refresh_retried

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Successors:
    """The pair that a predecessor was traded for: the rows, and the raw texts that were derived again."""

    refresh_token: RefreshToken
    access_token: AccessToken
    raw_refresh_token: str
    raw_access_token: str


def derive_successors(
    grant: Grant, raw_refresh_token: str, *, scope: Sequence[str], salt: bytes, server_key: bytes | None = None
) -> crypto.PairSecrets:
    """Return the secrets of the pair that succeeds a refresh token of the grant; by default with the current key."""
    return crypto.derive_pair_secrets(
        raw_refresh_token,
        server_key=server_key or _server_keys()[0],
        salt=salt,
        client_id=grant.application.client_id,
        scope=" ".join(sorted(scope)),
    )


def is_retry(presented: PresentedRefreshToken, *, now: datetime) -> bool:
    """Whether the token that was spent last is presented again while the window of its rotation is open."""
    grant = presented.grant
    if presented.generation != grant.generation - 1 or not grant.application.rotates:
        return False
    if grant.retry_salt is None or grant.refreshed_at is None:
        return False
    # The clocks of several machines differ a little, so the rotation may lie ahead; but not by more than the window:
    # one that a wrong clock dated ahead would otherwise stay open until then.
    return bool(abs(now - grant.refreshed_at) < grant.application.effective("retry_window"))


def repeat_response(
    presented: PresentedRefreshToken,
    *,
    raw_refresh_token: str,
    scope: str | None,
    client_info: ClientInfo,
    now: datetime,
) -> IssuedTokens:
    """Return the pair that the presented token was traded for. Nothing is extended; ``expires_in`` counts from now.

    Raises InvalidGrant or InvalidScope, with an event written and nothing revoked, if it came too often, asks for
    another scope, or the pair is gone; ConcurrentChange if another request changed the grant.
    """
    try:
        successors = _require_successors(presented, raw_refresh_token=raw_refresh_token, scope=scope, now=now)
    except OAuthError as error:
        refusal = error
    else:
        return _repeat(presented, successors, client_info=client_info, now=now)
    _record_refusal(presented, client_info=client_info)
    raise refusal


def _require_successors(
    presented: PresentedRefreshToken, *, raw_refresh_token: str, scope: str | None, now: datetime
) -> Successors:
    """Return the successors if they are valid and the same request derives them again."""
    grant = presented.grant
    if grant.retries >= app_settings.retry_limit:
        raise InvalidGrant("The retry is refused: RETRY_LIMIT is reached.")
    successors = _find_successors(
        grant, raw_predecessor=raw_refresh_token, scope=narrowed_scope(grant, requested=scope)
    )
    # Another scope derives other secrets, which match no row: a repeat cannot widen or change what was issued.
    if successors is None:
        raise InvalidGrant("The retry is refused: the scope differs, SECRET_KEY was changed, or the pair was deleted.")
    if not (successors.refresh_token.is_live_at(now) and successors.access_token.is_live_at(now)):
        raise InvalidGrant("The retry is refused: a token of the pair is no longer valid.")
    return successors


def _find_successors(grant: Grant, *, raw_predecessor: str, scope: Sequence[str]) -> Successors | None:
    """Return the pair of the grant's generation, if one of the project's keys derives just these tokens again."""
    salt, alias = bytes(grant.retry_salt or b""), db_alias()
    refresh_token = RefreshToken.objects.using(alias).filter(grant=grant, generation=grant.generation).first()
    for key in _server_keys():
        secrets = derive_successors(grant, raw_predecessor, scope=scope, salt=salt, server_key=key)
        raw_refresh_token = mint_refresh_token(grant, secret=secrets.refresh_token)
        if refresh_token is None or refresh_token.digest != crypto.digest(raw_refresh_token):
            continue
        raw_access_token = mint_access_token(secret=secrets.access_token)
        access_token = AccessToken.objects.using(alias).filter(digest=crypto.digest(raw_access_token)).first()
        if access_token is not None:
            refresh_token.grant = access_token.grant = grant
            return Successors(
                refresh_token=refresh_token,
                access_token=access_token,
                raw_refresh_token=raw_refresh_token,
                raw_access_token=raw_access_token,
            )
    return None


def _server_keys() -> tuple[bytes, ...]:
    """Return a key for each secret of the project, the current one first: a retry may come after they were changed."""
    return crypto.server_keys([settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS])


@retry_serialization_failure
def _repeat(
    presented: PresentedRefreshToken, successors: Successors, *, client_info: ClientInfo, now: datetime
) -> IssuedTokens:
    """Count the retry by a conditional update and record it. Raises ConcurrentChange, with nothing written."""
    grant, refresh_token = presented.grant, successors.refresh_token
    first_caller = ClientInfo(address=refresh_token.address, user_agent=refresh_token.user_agent)
    with atomic_write():
        if not _count(grant):
            raise ConcurrentChange
        record_event(GrantEvent.Kind.RETRIED, presented, client_info=client_info)
        after_commit(
            partial(
                refresh_retried.send_robust,
                sender=Grant,
                grant=grant,
                generation=presented.generation,
                client_info=client_info,
                same_caller=first_caller == client_info if app_settings.record_client_info else None,
            )
        )
        issued = as_issued(
            successors.access_token,
            raw=successors.raw_access_token,
            refresh_token=successors.raw_refresh_token,
            grant_type=GrantType.REFRESH_TOKEN,
            now=now,
        )
    logger.info("The response to refresh token %d of grant %s was repeated.", presented.generation, grant.public_id)
    return issued


def _count(grant: Grant) -> bool:
    """Use one of the retries that are left, unless the grant has advanced. Return whether there was one."""
    same_generation = Grant.objects.using(db_alias()).unrevoked().filter(pk=grant.pk, generation=grant.generation)
    return same_generation.filter(retries__lt=app_settings.retry_limit).update(retries=F("retries") + 1) == 1


@retry_serialization_failure
def _record_refusal(presented: PresentedRefreshToken, *, client_info: ClientInfo) -> None:
    with atomic_write():
        record_event(GrantEvent.Kind.REFUSED, presented, client_info=client_info)
