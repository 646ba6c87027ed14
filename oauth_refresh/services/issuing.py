"""Start a grant and hand out its first tokens (RFC 6749 §5.1)."""

from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidGrant, InvalidScope
from oauth_refresh.models import (
    NO_CLIENT_INFO,
    OPERATOR,
    Application,
    ClientInfo,
    Grant,
    GrantType,
    password_fingerprints,
)
from oauth_refresh.scopes import join_scope, keep_allowed, parse_scope
from oauth_refresh.services.handing_out import IssuedTokens, hand_out, insert_refresh_token
from oauth_refresh.services.hooks import permitted_scopes
from oauth_refresh.services.transactions import retry_serialization_failure, write_alias, writing

_STARTERS = frozenset({*GrantType.values, OPERATOR} - {GrantType.REFRESH_TOKEN})


@retry_serialization_failure
def issue_tokens(
    application: Application,
    *,
    user: Any,
    grant_type: str,
    scope: str | None = None,
    client_info: ClientInfo = NO_CLIENT_INFO,
) -> IssuedTokens:
    """Start a grant of ``application`` for ``user`` (None for client_credentials) and return its first tokens.

    ``grant_type`` is how the session began, one of GrantType or OPERATOR; it decides whether there is a refresh token.
    Raises InvalidScope if ``scope`` is wider than the application's, InvalidGrant if the user or application is
    inactive, ValueError for a grant type that starts nothing, or that needs a user.
    """
    if grant_type not in _STARTERS or (user is None and grant_type != GrantType.CLIENT_CREDENTIALS):
        raise ValueError(f"{grant_type!r} cannot start a grant {'without' if user is None else 'for'} a user.")
    now = timezone.now()
    granted = grantable_scope(application, scope, user=user)
    refreshable = yields_refresh_token(application, grant_type)
    grant = new_grant(application, user=user, grant_type=grant_type, scope=granted, client_info=client_info, now=now)
    grant.generation = grant.access_floor = 1
    grant.idle_expires_at = grant.next_idle_expiry(now, refreshable=refreshable)
    with writing(durable=False):
        grant.user = _locked_user(user)
        if (dead := grant.why_dead(now)) is not None:
            raise InvalidGrant(f"A grant cannot start: {dead}.")
        grant.save(using=write_alias(), force_insert=True)
        refresh_token = insert_refresh_token(grant, now=now, client_info=client_info) if refreshable else None
        return hand_out(grant, refresh_token=refresh_token, scope=granted, grant_type=grant_type, now=now)


def _locked_user(user: Any) -> Any:
    """Return the user as stored now, held until the grant is: a deactivation comes before it, or finds it.

    What the caller has may come from a replica. Raises InvalidGrant if the user is gone.
    """
    if user is None:
        return None
    no_key = transaction.get_connection(write_alias()).features.has_select_for_no_key_update
    users = get_user_model()._base_manager.using(write_alias()).select_for_update(no_key=no_key)
    stored = users.filter(pk=user.pk).order_by("pk").first()  # no join that an ordering may ask for can be locked
    if stored is None:
        raise InvalidGrant("A grant cannot start: the user is gone.")
    return stored


def new_grant(
    application: Application,
    *,
    user: Any,
    grant_type: str,
    scope: tuple[str, ...],
    client_info: ClientInfo,
    now: datetime,
) -> Grant:
    """Return an unsaved grant that is not started: generation 0, and no idle expiry yet."""
    return Grant(
        application=application,
        user=user,
        grant_type=grant_type,
        scope=join_scope(scope),
        created_at=now,
        expires_at=application.grant_expiry(now),
        password_fingerprint=next(password_fingerprints(user), ""),
        address=client_info.address,
        user_agent=client_info.user_agent,
    )


def yields_refresh_token(application: Application, grant_type: str) -> bool:
    """Whether a grant that starts by ``grant_type`` has refresh tokens: the server and the application must agree."""
    return (
        (grant_type == OPERATOR or grant_type.rpartition(":")[2] in app_settings.refresh_token_grant_types)
        and GrantType.REFRESH_TOKEN in app_settings.grant_types
        and application.allows_grant_type(GrantType.REFRESH_TOKEN)
    )


def grantable_scope(application: Application, requested: str | None, *, user: Any) -> tuple[str, ...]:
    """Return the scopes to grant: of those requested, or of the default, what ``user`` may grant (RFC 6749 §3.3).

    Raises InvalidScope if one is unknown or not the application's, or if nothing is left where the project has scopes.
    """
    allowed = application.allowed_scopes
    granted = keep_allowed(app_settings.default_scopes, allowed) if requested is None else parse_scope(requested)
    if any(name not in allowed for name in granted):
        raise InvalidScope("A requested scope is unknown or not the application's.")
    permitted = permitted_scopes(user, application=application, scopes=granted)
    if app_settings.scopes and not permitted:
        raise InvalidScope("Nothing was requested, or nothing of it is the application's and the user's to grant.")
    return permitted


def available_scope(grant: Grant) -> tuple[str, ...]:
    """Return what was granted, is still the application's, and the user's to grant. Raises InvalidScope if nothing."""
    allowed = keep_allowed(grant.scopes, grant.application.allowed_scopes)
    available = permitted_scopes(grant.user, application=grant.application, scopes=allowed)
    if grant.scope and not available:
        raise InvalidScope("Nothing of the granted scope is still allowed.")
    return available


def narrowed_scope(grant: Grant, *, requested: str | None) -> tuple[str, ...]:
    """Return the scope of an access token by refresh: what was granted and is still allowed, or a part of it."""
    available = available_scope(grant)
    chosen = available if requested is None else parse_scope(requested)
    if any(name not in available for name in chosen):
        raise InvalidScope("A requested scope was not granted, or is no longer allowed.")
    if grant.scope and not chosen:
        raise InvalidScope("The requested scope is empty.")
    return chosen
