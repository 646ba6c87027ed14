"""The raw tokens on their one way out: their digests are stored, their texts returned, once (RFC 6749 §5.1)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any

from django.db import transaction

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.models import AccessToken, ClientInfo, Grant, RefreshToken
from oauth_refresh.scopes import join_scope
from oauth_refresh.services.compiled import insert
from oauth_refresh.services.hooks import token_response_fields
from oauth_refresh.services.transactions import write_alias
from oauth_refresh.signals import tokens_issued


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IssuedTokens:
    """The raw tokens, on their one way out. ``*_expires_in`` are whole seconds; no refresh token: both are None."""

    grant: Grant
    access_token: str
    expires_in: int
    refresh_token: str | None
    refresh_token_expires_in: int | None
    scope: str
    further_fields: dict[str, Any]


def insert_refresh_token(grant: Grant, *, now: datetime, client_info: ClientInfo, secret: bytes | None = None) -> str:
    """Store the refresh token of the grant's present generation and return its raw text; no secret: a random one."""
    raw = mint_refresh_token(grant, secret=secret)
    refresh_token = RefreshToken(
        grant=grant,
        generation=grant.generation,
        digest=crypto.digest(raw),
        created_at=now,
        expires_at=grant.idle_expires_at,
        address=client_info.address,
        user_agent=client_info.user_agent,
    )
    insert(refresh_token)
    return raw


def hand_out(
    grant: Grant,
    *,
    refresh_token: str | None,
    scope: tuple[str, ...],
    grant_type: str,
    now: datetime,
    secret: bytes | None = None,
) -> IssuedTokens:
    """Store an access token of the grant's present generation and return the raw pair; commit tells about it."""
    raw = mint_access_token(secret=secret)
    access_token = AccessToken(
        grant=grant,
        generation=grant.generation,
        digest=crypto.digest(raw),
        scope=join_scope(scope),
        created_at=now,
        expires_at=grant.access_token_expiry(now),
    )
    insert(access_token)
    transaction.on_commit(
        partial(tokens_issued.send_robust, sender=Grant, grant=grant, grant_type=grant_type), using=write_alias()
    )
    return as_issued(access_token, raw=raw, refresh_token=refresh_token, grant_type=grant_type, now=now)


def as_issued(
    access_token: AccessToken, *, raw: str, refresh_token: str | None, grant_type: str, now: datetime
) -> IssuedTokens:
    """Return what is told of a pair at ``now``; ``raw`` is the text of the access token."""
    grant = access_token.grant
    return IssuedTokens(
        grant=grant,
        access_token=raw,
        expires_in=_whole_seconds(access_token.expires_at - now),
        refresh_token=refresh_token,
        refresh_token_expires_in=None if refresh_token is None else _whole_seconds(grant.idle_expires_at - now),
        scope=access_token.scope,
        further_fields=token_response_fields(grant, grant_type=grant_type),
    )


def mint_refresh_token(grant: Grant, *, secret: bytes | None) -> str:
    """Return the raw refresh token of the grant's present generation that ``secret`` makes, or a random one."""
    return crypto.mint_refresh_token(
        public_id=grant.public_id,
        generation=grant.generation,
        mac_key=bytes(grant.mac_key),
        prefix=app_settings.refresh_token_prefix,
        secret=secret,
    )


def mint_access_token(*, secret: bytes | None) -> str:
    return crypto.mint_opaque_token(prefix=app_settings.access_token_prefix, secret=secret)


def _whole_seconds(lifetime: timedelta) -> int:
    """Round up: what still lives is never told to have no time left."""
    return ceil(lifetime.total_seconds())
