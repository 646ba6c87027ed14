"""The tokens of a grant: which scope they have, their rows, and their raw texts, returned once (RFC 6749 §5.1)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any

from django.db.models import Model

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidScope, InvalidTarget
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken
from oauth_refresh.resources import default_resources, requested_resources
from oauth_refresh.scopes import OFFLINE_ACCESS, allows_access, parse_scope, scopes_at
from oauth_refresh.services.db import after_commit, db_alias
from oauth_refresh.services.hooks import checked_fields
from oauth_refresh.signals import tokens_issued

_RESERVED_FIELDS = ("access_token", "expires_in", "refresh_token", "refresh_token_expires_in", "scope", "token_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What an access token allows: its scope, at the resources that it is for. No resource: this server as a whole."""

    scope: tuple[str, ...]
    resources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedAccess:
    """What a request asks for: a scope, None if it names none, and resources (RFC 6749 §3.3, RFC 8707 §2)."""

    scope: str | None = None
    resources: Sequence[str] = ()


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


def narrowed_access(grant: Grant, *, requested: RequestedAccess, refreshable: bool = True) -> Access:
    """Return what an access token allows: what was granted and is still allowed, or the ``requested`` part of it.

    What was taken from application or user since is left out. Raises InvalidScope or InvalidTarget for what was never
    granted, and if nothing is left.
    """
    resources = _narrowed_resources(grant, requested.resources)
    scope = _narrowed_scope(grant, requested=requested.scope, resources=resources, refreshable=refreshable)
    return Access(scope=scope, resources=resources)


def _narrowed_resources(grant: Grant, requested: Sequence[str]) -> tuple[str, ...]:
    granted, asked = grant.resource_names or default_resources(), requested_resources(requested)
    if not set(asked) <= set(granted):
        raise InvalidTarget("A requested resource was not granted.")
    configured = app_settings.resources
    # Without RESOURCES too, since they may be set again before the token expires.
    left = asked or tuple(name for name in granted if not configured or name in configured)
    if configured and granted and not left:  # a token for this server as a whole would allow more than was granted
        raise InvalidTarget("None of the granted resources exists any more.")
    return left


def _narrowed_scope(
    grant: Grant, *, requested: str | None, resources: tuple[str, ...], refreshable: bool
) -> tuple[str, ...]:
    asked = grant.scopes if requested is None else parse_scope(requested)
    foreign = next((name for name in asked if name not in grant.scopes), None)
    if foreign is not None:
        raise InvalidScope("A requested scope was not granted.", scope=foreign)
    permitted = permitted_scopes(grant.user, application=grant.application, scopes=asked, refreshable=refreshable)
    left = scopes_at(resources, permitted)
    if allows_access(grant.scopes) and not allows_access(left):
        if requested is None:
            raise InvalidScope("Nothing of the granted scope is still allowed.")
        reason = "Nothing of the requested scope is still allowed." if asked else "The requested scope is empty."
        raise InvalidScope(reason, scope=first_wrong_scope(asked, granted=left))
    return left


def first_wrong_scope(asked: tuple[str, ...], *, granted: tuple[str, ...]) -> str | None:
    """Return which scope to name where too little of those ``asked`` for can be granted."""
    return next((name for name in asked if name not in granted), next(iter(asked), None))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NewTokens:
    """Tokens that are made and not stored yet. ``refresh_token`` is None if there is none, or an old one is kept."""

    access_token: AccessToken
    refresh_token: RefreshToken | None = None
    raw_access_token: str
    raw_refresh_token: str | None

    @property
    def rows(self) -> tuple[Model, ...]:
        """Return what is to be inserted."""
        return (self.access_token,) if self.refresh_token is None else (self.refresh_token, self.access_token)


def make_pair(
    grant: Grant,
    *,
    access: Access,
    now: datetime,
    client_info: ClientInfo,
    refreshable: bool = True,
    secrets: crypto.PairSecrets | None = None,
) -> NewTokens:
    """Make the tokens of the grant's present generation, without a refresh token unless ``refreshable``.

    Without ``secrets`` the texts are random.
    """
    secrets = secrets or crypto.generate_pair_secrets()
    if not refreshable:
        return make_access_token(grant, access=access, now=now, secret=secrets.access_token)
    raw_refresh_token = mint_refresh_token(grant, secret=secrets.refresh_token)
    refresh_token = RefreshToken(
        grant=grant,
        generation=grant.generation,
        digest=crypto.digest(raw_refresh_token),
        created_at=now,
        expires_at=grant.idle_expires_at,
        address=client_info.address,
        user_agent=client_info.user_agent,
    )
    made = make_access_token(grant, access=access, now=now, kept=raw_refresh_token, secret=secrets.access_token)
    return replace(made, refresh_token=refresh_token)


def make_access_token(
    grant: Grant, *, access: Access, now: datetime, kept: str | None = None, secret: bytes | None = None
) -> NewTokens:
    """Make an access token of the grant's present generation, beside the raw refresh token that is ``kept``, if any."""
    raw = mint_access_token(secret=secret)
    access_token = AccessToken(
        grant=grant,
        generation=grant.generation,
        digest=crypto.digest(raw),
        scope=" ".join(access.scope),
        audience=" ".join(access.resources),
        created_at=now,
        expires_at=grant.access_token_expiry(now),
    )
    return NewTokens(access_token=access_token, raw_access_token=raw, raw_refresh_token=kept)


def store(tokens: NewTokens, *, grant_type: str, now: datetime) -> IssuedTokens:
    """Insert the tokens of a grant that was just inserted, and return them; ``tokens_issued`` after commit."""
    issued = as_issued(tokens, grant_type=grant_type, now=now)
    for row in tokens.rows:
        type(row)._default_manager.using(db_alias()).bulk_create([row])  # unlike save(), it sends no signals of Django
    announce(issued, grant_type=grant_type)
    return issued


def announce(issued: IssuedTokens, *, grant_type: str) -> None:
    """Send ``tokens_issued`` after commit."""
    after_commit(partial(tokens_issued.send_robust, sender=Grant, grant=issued.grant, grant_type=grant_type))


def as_issued(tokens: NewTokens, *, grant_type: str, now: datetime) -> IssuedTokens:
    """Return what a response at ``now`` says of the tokens.

    It calls ``TOKEN_RESPONSE_FIELDS``, so it comes before the write: if that fails, nothing is spent.
    """
    grant, hook = tokens.access_token.grant, app_settings.token_response_fields
    further = (
        {} if hook is None else checked_fields(hook(grant=grant, grant_type=grant_type), reserved=_RESERVED_FIELDS)
    )
    has_refresh_token = tokens.raw_refresh_token is not None
    return IssuedTokens(
        grant=grant,
        access_token=tokens.raw_access_token,
        expires_in=_whole_seconds(tokens.access_token.expires_at - now),
        refresh_token=tokens.raw_refresh_token,
        refresh_token_expires_in=_whole_seconds(grant.idle_expires_at - now) if has_refresh_token else None,
        scope=tokens.access_token.scope,
        further_fields=further,
    )


def mint_refresh_token(grant: Grant, *, secret: bytes, generation: int | None = None) -> str:
    """Return the raw refresh token that ``secret`` makes, of the grant's present generation unless one is given."""
    return crypto.mint_refresh_token(
        public_id=grant.public_id,
        generation=grant.generation if generation is None else generation,
        mac_key=bytes(grant.mac_key),
        prefix=app_settings.refresh_token_prefix,
        secret=secret,
    )


def mint_access_token(*, secret: bytes | None) -> str:
    """Return the raw access token that ``secret`` makes, or a random one."""
    return crypto.mint_opaque_token(prefix=app_settings.access_token_prefix, secret=secret)


def _whole_seconds(lifetime: timedelta) -> int:
    """Round up, so that a token with a fraction of a second left is not said to be expired."""
    return ceil(lifetime.total_seconds())
