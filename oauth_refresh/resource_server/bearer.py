"""Authenticate the bearer token of a request to an API (RFC 6750 §2.1)."""

from django.http import HttpRequest

from oauth_refresh.bearer import read_bearer
from oauth_refresh.models import AccessToken
from oauth_refresh.services import authenticate_access_token


def authenticate_bearer(request: HttpRequest, *, resource: str | None) -> AccessToken | None:
    """Return the live access token of a request; None without a Bearer header.

    It must be for ``resource``, as in ``authenticate_access_token``. Raises InvalidRequest, InvalidToken.
    """
    raw = read_bearer(request)
    return None if raw is None else authenticate_access_token(raw, resource=resource)
