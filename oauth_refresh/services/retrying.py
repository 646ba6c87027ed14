"""The retry after a lost response: inside an opt-in window, the predecessor is traded for the very same pair again.

Nothing readable is stored for it. The secrets of the pair were derived from the predecessor, which only its client
holds, from a salt on the grant's row, and from a key of the project; whoever lacks one of the three learns nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidGrant, OAuthError
from oauth_refresh.models import AccessToken, Application, ClientInfo, Grant, GrantEvent, GrantType, RefreshToken
from oauth_refresh.scopes import join_scope
from oauth_refresh.services.handing_out import IssuedTokens, as_issued, mint_access_token, mint_refresh_token
from oauth_refresh.services.incidents import record
from oauth_refresh.services.issuing import narrowed_scope
from oauth_refresh.services.lookup import PresentedRefreshToken
from oauth_refresh.services.movement import Overtaken
from oauth_refresh.services.transactions import retry_serialization_failure, write_alias, writing
from oauth_refresh.signals import refresh_retried

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Successors:
    """The pair that a predecessor was traded for: the rows, and the raw texts that were derived again."""

    refresh_token: RefreshToken
    access_token: AccessToken
    raw_refresh_token: str
    raw_access_token: str


def new_retry_salt(application: Application) -> bytes | None:
    """Return a salt for the slot of a rotation whose response may be asked for again; None if none may."""
    return crypto.generate_salt() if application.rotates and application.effective_retry_window else None


def successor_secrets(
    grant: Grant, *, raw_predecessor: str, scope: Sequence[str], salt: bytes | None
) -> crypto.PairSecrets:
    """Return the secrets of the next pair: random, or, so that it can be minted again, derived."""
    if salt is None:
        return crypto.generate_pair_secrets()
    return _derive(grant, _server_keys()[0], raw_predecessor=raw_predecessor, scope=scope, salt=salt)


def is_retry(presented: PresentedRefreshToken, *, now: datetime) -> bool:
    """Whether the immediate predecessor comes back while the window of its rotation is open.

    Machines' clocks differ a little, so the rotation may lie ahead; but no further than the window is long, lest one
    that a wrong clock dated ahead stayed open until then.
    """
    grant = presented.grant
    return (
        presented.generation == grant.generation - 1
        and grant.application.rotates
        and grant.retry_salt is not None
        and grant.refreshed_at is not None
        and abs(now - grant.refreshed_at) < grant.application.effective_retry_window
    )


def repeat_response(
    presented: PresentedRefreshToken,
    *,
    raw_refresh_token: str,
    scope: str | None,
    client_info: ClientInfo,
    now: datetime,
) -> IssuedTokens:
    """Return the pair that the presented token was traded for. Nothing is extended; ``expires_in`` is of now.

    Raises InvalidGrant or InvalidScope, with an event written and nothing revoked, if it came too often, asks for
    another scope, or the pair is gone; Overtaken if the grant moved on meanwhile.
    """
    try:
        successors = _require_successors(presented, raw_refresh_token=raw_refresh_token, scope=scope, now=now)
    except OAuthError:
        _record_refusal(presented, client_info=client_info)
        raise
    return _repeat(presented, successors, client_info=client_info, now=now)


def _require_successors(
    presented: PresentedRefreshToken, *, raw_refresh_token: str, scope: str | None, now: datetime
) -> Successors:
    """Return the successors if they are alive and the same request would derive them again."""
    grant = presented.grant
    if grant.retries >= app_settings.retry_limit:
        raise InvalidGrant("The retry is refused: it came too often.")
    successors = _find_successors(
        grant, raw_predecessor=raw_refresh_token, scope=narrowed_scope(grant, requested=scope)
    )
    if successors is None:
        raise InvalidGrant("The retry is refused: another scope was asked for, or the key or the pair is gone.")
    if not (successors.refresh_token.is_live_at(now) and successors.access_token.is_live_at(now)):
        raise InvalidGrant("The retry is refused: a token of the pair is dead.")
    return successors


def _find_successors(grant: Grant, *, raw_predecessor: str, scope: Sequence[str]) -> Successors | None:
    """Return the pair of the grant's generation, if one of the project's keys derives just these tokens again."""
    salt, alias = bytes(grant.retry_salt or b""), write_alias()
    refresh_token = RefreshToken.objects.using(alias).filter(grant=grant, generation=grant.generation).first()
    for key in _server_keys():
        secrets = _derive(grant, key, raw_predecessor=raw_predecessor, scope=scope, salt=salt)
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


def _derive(
    grant: Grant, server_key: bytes, *, raw_predecessor: str, scope: Sequence[str], salt: bytes
) -> crypto.PairSecrets:
    return crypto.derive_pair_secrets(
        raw_predecessor,
        server_key=server_key,
        salt=salt,
        client_id=grant.application.client_id,
        scope=join_scope(sorted(scope)),
    )


@retry_serialization_failure
def _repeat(
    presented: PresentedRefreshToken, successors: Successors, *, client_info: ClientInfo, now: datetime
) -> IssuedTokens:
    """Count the retry by a conditional update, write it down, and tell. Raises Overtaken, with all undone."""
    grant, refresh_token = presented.grant, successors.refresh_token
    first_caller = ClientInfo(address=refresh_token.address, user_agent=refresh_token.user_agent)
    with writing():
        if not _count(grant):
            raise Overtaken
        record(GrantEvent.Kind.RETRIED, presented, client_info=client_info)
        transaction.on_commit(
            partial(
                refresh_retried.send_robust,
                sender=Grant,
                grant=grant,
                generation=presented.generation,
                client_info=client_info,
                same_caller=first_caller == client_info if app_settings.record_client_info else None,
            ),
            using=write_alias(),
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
    """Take one of the retries that are left, unless the grant has moved on. Return whether there was one."""
    same_generation = Grant.objects.using(write_alias()).unrevoked().filter(pk=grant.pk, generation=grant.generation)
    return same_generation.filter(retries__lt=app_settings.retry_limit).update(retries=F("retries") + 1) == 1


@retry_serialization_failure
def _record_refusal(presented: PresentedRefreshToken, *, client_info: ClientInfo) -> None:
    with writing():
        record(GrantEvent.Kind.REFUSED, presented, client_info=client_info)
