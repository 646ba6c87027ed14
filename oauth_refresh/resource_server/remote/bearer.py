"""Authenticate the bearer token of a request by the authorization server elsewhere (RFC 6750 §2.1)."""

from typing import Any

from django.http import HttpRequest

from oauth_refresh.bearer import BearerToken, read_bearer
from oauth_refresh.errors import InvalidToken
from oauth_refresh.resource_server.remote.answers import RemoteToken
from oauth_refresh.resource_server.remote.configured import remote_tokens
from oauth_refresh.resource_server.remote.users import user_of

BearerToken.register(RemoteToken)


def authenticate_remotely(request: HttpRequest) -> tuple[Any, RemoteToken] | None:
    """Return user and token of a request; None without a Bearer header.

    Raises InvalidRequest, InvalidToken, and Unavailable if the token cannot be checked now.
    """
    raw = read_bearer(request)
    if raw is None:
        return None
    token = remote_tokens().check(raw)
    if token is None:
        raise InvalidToken("The authorization server says that the token is not active, or it is none of its tokens.")
    return user_of(token), token
