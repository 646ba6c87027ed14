"""Introspection (RFC 7662): whether a token is active, and what it is for. It changes nothing."""

from typing import Any

from django.utils import timezone

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidClient
from oauth_refresh.models import AccessToken, Application, RefreshToken
from oauth_refresh.services.hooks import checked_fields
from oauth_refresh.services.lookup import find_access_token, find_refresh_token

_INACTIVE = {"active": False}
_RESERVED_FIELDS = ("active", "aud", "client_id", "exp", "iat", "iss", "scope", "sub", "token_type")


def introspect(caller: Application, raw_token: str) -> dict[str, Any]:
    """Return the members of the answer to ``caller``, an authenticated application; ``active`` alone if not for it.

    A caller sees its own tokens; a resource server sees the access tokens of all applications, but no refresh token of
    another, which an API might accept as an access token (RFC 7662 §4). Raises InvalidClient for a public application.
    """
    if caller.is_public:
        raise InvalidClient("A public application cannot authenticate, so it may not introspect.")
    presented = find_refresh_token(raw_token)
    token = find_access_token(raw_token) if presented is None else presented.row
    if token is None or not _may_see(caller, token):
        return _INACTIVE
    if token.grant.application_id == caller.pk:
        token.grant.application = caller  # authenticated just now, so it need not be joined
    if not token.is_live_at(timezone.now()):
        return _INACTIVE
    hook = app_settings.introspection_fields
    further = {} if hook is None else checked_fields(hook(token=token), reserved=_RESERVED_FIELDS)
    return _described(caller, token) | further


def _may_see(caller: Application, token: AccessToken | RefreshToken) -> bool:
    # An answer about another application's token would let any client scan for tokens (RFC 7662 §4).
    is_owner = token.grant.application_id == caller.pk
    return is_owner or (caller.is_resource_server and isinstance(token, AccessToken))


def _described(caller: Application, token: AccessToken | RefreshToken) -> dict[str, Any]:
    grant = token.grant
    scopes = token.scopes if isinstance(token, AccessToken) else grant.scopes
    if grant.application_id != caller.pk and caller.scope:  # a resource server sees the scopes of its own list
        allowed = caller.scope.split()
        scopes = tuple(name for name in scopes if name in allowed)
    members = {
        "active": True,
        "scope": " ".join(scopes),
        "client_id": grant.application.client_id,
        "token_type": "Bearer" if isinstance(token, AccessToken) else None,
        "exp": int(token.expires_at.timestamp()),
        "iat": int(token.created_at.timestamp()),
        "sub": grant.application.client_id if grant.user is None else str(grant.user.pk),
        "username": None if grant.user is None else grant.user.get_username(),
        "iss": app_settings.issuer,
        "aud": app_settings.issuer,
    }
    return {name: value for name, value in members.items() if value is not None}
