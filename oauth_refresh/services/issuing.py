"""Start a grant and hand out its first tokens (RFC 6749 §5.1)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Self

from django.db import transaction
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidGrant, InvalidScope
from oauth_refresh.models import (
    NO_CLIENT_INFO,
    OPERATOR,
    AccessToken,
    Application,
    ClientInfo,
    Grant,
    GrantType,
    RefreshToken,
    password_fingerprints,
)
from oauth_refresh.scopes import join_scope, keep_allowed, parse_scope
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

    @classmethod
    def of(cls, grant: Grant, *, access_token: str, refresh_token: str | None, scope: str, now: datetime) -> Self:
        """Return what the client is told of the pair that the grant was given at ``now``."""
        return cls(
            grant=grant,
            access_token=access_token,
            expires_in=_whole_seconds(grant.access_token_expiry(now) - now),
            refresh_token=refresh_token,
            refresh_token_expires_in=None if refresh_token is None else _whole_seconds(grant.idle_expires_at - now),
            scope=scope,
        )


def issue_tokens(
    application: Application,
    *,
    user: Any,
    grant_type: str,
    scope: str | None = None,
    client_info: ClientInfo = NO_CLIENT_INFO,
) -> IssuedTokens:
    """Start a grant of ``application`` for ``user`` (None for client_credentials) and return its first tokens.

    Raises InvalidScope if ``scope`` is wider than the application's, InvalidGrant if the user or application is
    inactive.
    """
    now = timezone.now()
    granted = grantable_scope(application, scope)
    refreshable = yields_refresh_token(application, grant_type)
    grant = Grant(
        application=application,
        user=user,
        grant_type=grant_type,
        scope=join_scope(granted),
        generation=1,
        access_floor=1,
        created_at=now,
        expires_at=application.grant_expiry(now),
        password_fingerprint=next(password_fingerprints(user), ""),
        address=client_info.address,
        user_agent=client_info.user_agent,
    )
    grant.idle_expires_at = grant.next_idle_expiry(now, refreshable=refreshable)
    if (dead := grant.why_dead(now)) is not None:
        raise InvalidGrant(f"A grant cannot start: {dead}.")
    with transaction.atomic(using=write_alias()):
        grant.save(using=write_alias(), force_insert=True)
        refresh_token = insert_refresh_token(grant, now=now, client_info=client_info) if refreshable else None
        access_token = insert_access_token(grant, scope=grant.scope, now=now)
        announce_issued(grant, grant_type=grant_type)
    return IssuedTokens.of(grant, access_token=access_token, refresh_token=refresh_token, scope=grant.scope, now=now)


def yields_refresh_token(application: Application, grant_type: str) -> bool:
    """Whether a grant that starts by ``grant_type`` has refresh tokens: the server and the application must agree."""
    return (
        (grant_type == OPERATOR or grant_type in app_settings.refresh_token_grant_types)
        and GrantType.REFRESH_TOKEN in app_settings.grant_types
        and application.allows_grant_type(GrantType.REFRESH_TOKEN)
    )


def grantable_scope(application: Application, requested: str | None) -> tuple[str, ...]:
    """Return the scopes to grant: those requested, or the default (RFC 6749 §3.3).

    Raises InvalidScope if one is unknown or not the application's, or if nothing is left where the project has scopes.
    """
    allowed = application.allowed_scopes
    granted = keep_allowed(app_settings.default_scopes, allowed) if requested is None else parse_scope(requested)
    if any(name not in allowed for name in granted):
        raise InvalidScope("A requested scope is unknown or not the application's.")
    if app_settings.scopes and not granted:
        raise InvalidScope("No scope was requested, and none of the default is the application's.")
    return granted


def insert_refresh_token(grant: Grant, *, now: datetime, client_info: ClientInfo) -> str:
    """Store the refresh token of the grant's present generation and return its raw text."""
    raw = crypto.mint_refresh_token(
        public_id=grant.public_id,
        generation=grant.generation,
        mac_key=bytes(grant.mac_key),
        prefix=app_settings.refresh_token_prefix,
    )
    RefreshToken(
        grant=grant,
        generation=grant.generation,
        digest=crypto.digest(raw),
        created_at=now,
        expires_at=grant.idle_expires_at,
        address=client_info.address,
        user_agent=client_info.user_agent,
    ).save(using=write_alias(), force_insert=True)
    return raw


def insert_access_token(grant: Grant, *, scope: str, now: datetime) -> str:
    """Store an access token of the grant's present generation and return its raw text."""
    raw = crypto.mint_access_token(prefix=app_settings.access_token_prefix)
    AccessToken(
        grant=grant,
        generation=grant.generation,
        digest=crypto.digest(raw),
        scope=scope,
        created_at=now,
        expires_at=grant.access_token_expiry(now),
    ).save(using=write_alias(), force_insert=True)
    return raw


def announce_issued(grant: Grant, *, grant_type: str) -> None:
    """Send ``tokens_issued`` once the present transaction has committed."""
    transaction.on_commit(
        partial(tokens_issued.send_robust, sender=Grant, grant=grant, grant_type=grant_type), using=write_alias()
    )


def _whole_seconds(lifetime: timedelta) -> int:
    return int(lifetime.total_seconds())
