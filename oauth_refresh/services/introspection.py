"""Introspection (RFC 7662): whether a token is active, and what it is for. It changes no token."""

from typing import Any

from django.utils import timezone

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidClient
from oauth_refresh.models import AccessToken, Application, RefreshToken
from oauth_refresh.resources import effective_resources
from oauth_refresh.scopes import scopes_at
from oauth_refresh.services.hooks import checked_fields
from oauth_refresh.services.lookup import PresentedRefreshToken, find_token

_INACTIVE = {"active": False}
_RESERVED_FIELDS = ("active", "aud", "client_id", "exp", "grant_id", "iat", "iss", "scope", "sub", "token_type")


def introspect(caller: Application, raw_token: str) -> dict[str, Any]:
    """Return the members of the answer to ``caller``, an authenticated application; ``active`` alone if not for it.

    A caller sees its own tokens; a resource server sees the access tokens of all applications, but no refresh token of
    another, which an API might accept as an access token (RFC 7662 §4). Raises InvalidClient for a public application;
    ImporterFailed.
    """
    if caller.is_public:
        raise InvalidClient("A public application cannot authenticate, so it may not introspect.")
    found = find_token(raw_token)
    token = found.row if isinstance(found, PresentedRefreshToken) else found
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
    if token.grant.application_id == caller.pk:
        return True
    if not caller.is_resource_server or not isinstance(token, AccessToken):
        return False
    # It does not see tokens for another API, which it could otherwise present there (RFC 8707 §3).
    return not caller.resource_names or bool(_resources_for(caller, token))


def _described(caller: Application, token: AccessToken | RefreshToken) -> dict[str, Any]:
    grant = token.grant
    scopes = token.scopes if isinstance(token, AccessToken) else grant.scopes
    resources = _resources_for(caller, token)
    if grant.application_id != caller.pk:  # a resource server sees the scopes of its own list and resources
        allowed = caller.scope.split() or scopes
        scopes = tuple(name for name in scopes_at(resources, scopes) if name in allowed)
    members = {
        "active": True,
        "scope": " ".join(scopes),
        "client_id": grant.application.client_id,
        "grant_id": str(grant.public_id),
        "token_type": "Bearer" if isinstance(token, AccessToken) else None,
        "exp": int(token.expires_at.timestamp()),
        "iat": int(token.created_at.timestamp()),
        "sub": grant.application.client_id if grant.user is None else str(grant.user.pk),
        "username": None if grant.user is None else str(grant.user.get_username()),  # the column may be a number
        "iss": app_settings.issuer,
        "aud": (resources[0] if len(resources) == 1 else list(resources)) or app_settings.issuer,
    }
    return {name: value for name, value in members.items() if value is not None}


def _resources_for(caller: Application, token: AccessToken | RefreshToken) -> tuple[str, ...]:
    """Return the resources of the token, to a resource server only those that it is itself."""
    names = token.resource_names if isinstance(token, AccessToken) else token.grant.resource_names
    resources, own = effective_resources(names), caller.resource_names
    if not own or token.grant.application_id == caller.pk:
        return resources
    return tuple(name for name in resources if name in own)
