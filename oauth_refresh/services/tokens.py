"""The tokens of a grant: which scope they have, their rows, and their raw texts, returned once (RFC 6749 §5.1)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidScope
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import AccessToken, Application, Grant, GrantEvent, RefreshToken
from oauth_refresh.scopes import OFFLINE_ACCESS, allows_access, parse_scope
from oauth_refresh.services.db import after_commit, db_alias
from oauth_refresh.services.hooks import checked_fields
from oauth_refresh.services.lookup import PresentedRefreshToken
from oauth_refresh.signals import tokens_issued

_RESERVED_FIELDS = ("access_token", "expires_in", "refresh_token", "refresh_token_expires_in", "scope", "token_type")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IssuedTokens:
    """The raw tokens of a response. ``*_expires_in`` are whole seconds; without a refresh token both are None."""

    grant: Grant
    access_token: str
    expires_in: int
    refresh_token: str | None
    refresh_token_expires_in: int | None
    scope: str
    further_fields: dict[str, Any]


def permitted_scopes(
    user: Any, *, application: Application, scopes: tuple[str, ...], refreshable: bool
) -> tuple[str, ...]:
    """Return those of ``scopes`` that ``application`` may have now, and ``user`` may grant to it.

    ``offline_access`` is kept only if the grant is ``refreshable``; the application need not list it, and
    the project's ``SCOPE_POLICY`` is not asked about it. Raises TypeError if the policy returns a text, whose letters
    would be taken for scopes.
    """
    known, policy = application.allowed_scopes, app_settings.scope_policy
    allowed = tuple(name for name in scopes if name in known and name != OFFLINE_ACCESS)
    if policy is not None and user is not None and allowed:
        permitted = policy(user=user, application=application, scopes=allowed)
        if isinstance(permitted, str):
            raise TypeError("SCOPE_POLICY must return a collection of scopes, not a text.")
        allowed = tuple({*allowed} & {*permitted})
    return tuple(name for name in scopes if name in allowed or (name == OFFLINE_ACCESS and refreshable))


def narrowed_scope(grant: Grant, *, requested: str | None, refreshable: bool = True) -> tuple[str, ...]:
    """Return the scope of an access token: what was granted and is still allowed, or the ``requested`` part of it.

    What was taken from application or user since is left out. Raises InvalidScope for what was never granted, and if
    nothing is left.
    """
    asked = grant.scopes if requested is None else parse_scope(requested)
    foreign = next((name for name in asked if name not in grant.scopes), None)
    if foreign is not None:
        raise InvalidScope("A requested scope was not granted.", scope=foreign)
    left = permitted_scopes(grant.user, application=grant.application, scopes=asked, refreshable=refreshable)
    if allows_access(grant.scopes) and not allows_access(left):
        if requested is None:
            raise InvalidScope("Nothing of the granted scope is still allowed.")
        reason = "Nothing of the requested scope is still allowed." if asked else "The requested scope is empty."
        raise InvalidScope(reason, scope=first_wrong_scope(asked, granted=left))
    return left


def first_wrong_scope(asked: tuple[str, ...], *, granted: tuple[str, ...]) -> str | None:
    """Return which scope to name where too little of those ``asked`` for can be granted."""
    return next((name for name in asked if name not in granted), next(iter(asked), None))


def issue_pair(
    grant: Grant,
    *,
    scope: tuple[str, ...],
    grant_type: str,
    now: datetime,
    client_info: ClientInfo,
    refreshable: bool = True,
    secrets: crypto.PairSecrets | None = None,
) -> IssuedTokens:
    """Store the tokens of the grant's present generation and return their raw texts; ``tokens_issued`` after commit.

    No refresh token unless ``refreshable``. Without ``secrets`` the texts are random.
    """
    secrets = secrets or crypto.generate_pair_secrets()
    refresh_token = None
    if refreshable:
        refresh_token = mint_refresh_token(grant, secret=secrets.refresh_token)
        row = RefreshToken(
            grant=grant,
            generation=grant.generation,
            digest=crypto.digest(refresh_token),
            created_at=now,
            expires_at=grant.idle_expires_at,
            address=client_info.address,
            user_agent=client_info.user_agent,
        )
        RefreshToken.objects.using(db_alias()).bulk_create([row])
    return issue_access_token(
        grant,
        refresh_token=refresh_token,
        scope=scope,
        grant_type=grant_type,
        now=now,
        secret=secrets.access_token,
    )


def issue_access_token(
    grant: Grant,
    *,
    refresh_token: str | None,
    scope: tuple[str, ...],
    grant_type: str,
    now: datetime,
    secret: bytes | None = None,
) -> IssuedTokens:
    """Store an access token of the grant's present generation and return it with the raw ``refresh_token``, if any."""
    raw = mint_access_token(secret=secret)
    access_token = AccessToken(
        grant=grant,
        generation=grant.generation,
        digest=crypto.digest(raw),
        scope=" ".join(scope),
        created_at=now,
        expires_at=grant.access_token_expiry(now),
    )
    AccessToken.objects.using(db_alias()).bulk_create([access_token])  # unlike save(), it sends no signals of Django
    after_commit(partial(tokens_issued.send_robust, sender=Grant, grant=grant, grant_type=grant_type))
    return as_issued(access_token, raw=raw, refresh_token=refresh_token, grant_type=grant_type, now=now)


def as_issued(
    access_token: AccessToken, *, raw: str, refresh_token: str | None, grant_type: str, now: datetime
) -> IssuedTokens:
    """Return what a response at ``now`` says of a pair; ``raw`` is the text of the access token."""
    grant, hook = access_token.grant, app_settings.token_response_fields
    further = (
        {} if hook is None else checked_fields(hook(grant=grant, grant_type=grant_type), reserved=_RESERVED_FIELDS)
    )
    return IssuedTokens(
        grant=grant,
        access_token=raw,
        expires_in=_whole_seconds(access_token.expires_at - now),
        refresh_token=refresh_token,
        refresh_token_expires_in=None if refresh_token is None else _whole_seconds(grant.idle_expires_at - now),
        scope=access_token.scope,
        further_fields=further,
    )


def mint_refresh_token(grant: Grant, *, secret: bytes) -> str:
    """Return the raw refresh token of the grant's present generation that ``secret`` makes."""
    return crypto.mint_refresh_token(
        public_id=grant.public_id,
        generation=grant.generation,
        mac_key=bytes(grant.mac_key),
        prefix=app_settings.refresh_token_prefix,
        secret=secret,
    )


def mint_access_token(*, secret: bytes | None) -> str:
    """Return the raw access token that ``secret`` makes, or a random one."""
    return crypto.mint_opaque_token(prefix=app_settings.access_token_prefix, secret=secret)


def record_event(kind: GrantEvent.Kind, presented: PresentedRefreshToken, *, client_info: ClientInfo) -> None:
    """Write an event: a refresh token was presented that was spent before, from this client."""
    GrantEvent(
        grant=presented.grant,
        kind=kind,
        generation=presented.generation,
        address=client_info.address,
        user_agent=client_info.user_agent,
    ).save(using=db_alias(), force_insert=True)


def _whole_seconds(lifetime: timedelta) -> int:
    """Round up, so that a token with a fraction of a second left is not said to be expired."""
    return ceil(lifetime.total_seconds())
