"""Introspection (RFC 7662): what a resource server may know of a token. Nothing changes, whatever is presented."""

from typing import Any

from django.utils import timezone

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidClient
from oauth_refresh.models import AccessToken, Application, RefreshToken
from oauth_refresh.scopes import join_scope, keep_allowed
from oauth_refresh.services.hooks import introspection_fields
from oauth_refresh.services.lookup import find_access_token, find_refresh_token

_INACTIVE = {"active": False}


def introspect(caller: Application, raw_token: str) -> dict[str, Any]:
    """Return the members of the answer to ``caller``, an authenticated application; ``active`` alone if not for it.

    A caller sees its own tokens; a resource server sees everybody's access tokens, but no refresh token that is not
    its own, lest an API take one for an access token (RFC 7662 §4). Raises InvalidClient for a public application.
    """
    if caller.is_public:
        raise InvalidClient("A public application cannot authenticate, so it may not introspect.")
    presented = find_refresh_token(raw_token)
    token = find_access_token(raw_token) if presented is None else presented.row
    if token is None or not _may_see(caller, token):
        return _INACTIVE
    if token.grant.application_id == caller.pk:
        token.grant.application = caller  # read a moment ago, so it need not be joined
    if not token.is_live_at(timezone.now()):
        return _INACTIVE
    return _described(caller, token) | introspection_fields(token)


def _may_see(caller: Application, token: AccessToken | RefreshToken) -> bool:
    is_owner = token.grant.application_id == caller.pk
    return is_owner or (caller.is_resource_server and isinstance(token, AccessToken))


def _described(caller: Application, token: AccessToken | RefreshToken) -> dict[str, Any]:
    grant = token.grant
    scopes = token.scopes if isinstance(token, AccessToken) else grant.scopes
    if grant.application_id != caller.pk and caller.scope:  # a resource server sees what concerns it
        scopes = keep_allowed(scopes, caller.scope.split())
    members = {
        "active": True,
        "scope": join_scope(scopes),
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
