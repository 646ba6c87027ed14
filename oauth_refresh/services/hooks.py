"""Where a project has its say: which scopes a user may grant, and what else an answer tells.

A hook that raises, or returns what cannot be used, is a fault of the project: the request is answered with 503, and
nothing is minted, because hooks run before anything is committed.
"""

import json
from collections.abc import Mapping
from typing import Any

from oauth_refresh.conf import app_settings
from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken
from oauth_refresh.scopes import keep_allowed

_TOKEN_RESPONSE = frozenset(
    {"access_token", "expires_in", "refresh_token", "refresh_token_expires_in", "scope", "token_type"}
)
_INTROSPECTION = frozenset({"active", "aud", "client_id", "exp", "iat", "iss", "scope", "sub", "token_type"})


def permitted_scopes(user: Any, *, application: Application, scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of ``scopes`` that ``user`` may grant to ``application``, by the project's ``SCOPE_POLICY``.

    All of them where the project has no policy, or where no user is concerned. Raises TypeError for a text, whose
    letters would be taken for scopes.
    """
    policy = app_settings.scope_policy
    if policy is None or user is None or not scopes:
        return scopes
    permitted = policy(user=user, application=application, scopes=scopes)
    if isinstance(permitted, str):
        raise TypeError("SCOPE_POLICY must return a collection of scopes, not a text.")
    return keep_allowed(scopes, frozenset(permitted))


def token_response_fields(grant: Grant, *, grant_type: str) -> dict[str, Any]:
    """Return what the project's ``TOKEN_RESPONSE_FIELDS`` adds to the token response."""
    hook = app_settings.token_response_fields
    return {} if hook is None else _checked(hook(grant=grant, grant_type=grant_type), reserved=_TOKEN_RESPONSE)


def introspection_fields(token: AccessToken | RefreshToken) -> dict[str, Any]:
    """Return what the project's ``INTROSPECTION_FIELDS`` adds to the answer about a live token."""
    hook = app_settings.introspection_fields
    return {} if hook is None else _checked(hook(token=token), reserved=_INTROSPECTION)


def _checked(fields: Mapping[str, Any], *, reserved: frozenset[str]) -> dict[str, Any]:
    """Return the fields as JSON will hold them. Raises ValueError for a reserved name, TypeError for no JSON."""
    if taken := reserved & fields.keys():
        raise ValueError(f"A hook may not set {', '.join(sorted(taken))}.")
    checked: dict[str, Any] = json.loads(json.dumps(dict(fields), allow_nan=False))
    return checked
