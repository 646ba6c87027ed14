"""The grant types (RFC 6749 §4, §6): each file validates one kind of token request, then calls a service."""

from collections.abc import Callable, Mapping

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import UnauthorizedClient, UnsupportedGrantType
from oauth_refresh.grant_types import authorization_code, client_credentials, jwt_bearer, password, refresh_token
from oauth_refresh.grant_types.requests import ClientRequest, Parameters
from oauth_refresh.models import GrantType
from oauth_refresh.services import IssuedTokens

__all__ = ["HANDLERS", "ClientRequest", "Parameters", "exchange"]

HANDLERS: Mapping[str, Callable[[ClientRequest], IssuedTokens]] = {
    GrantType.AUTHORIZATION_CODE: authorization_code.exchange,
    GrantType.CLIENT_CREDENTIALS: client_credentials.exchange,
    GrantType.JWT_BEARER: jwt_bearer.exchange,
    GrantType.PASSWORD: password.exchange,
    GrantType.REFRESH_TOKEN: refresh_token.exchange,
}


def exchange(request: ClientRequest) -> IssuedTokens:
    """Return the tokens that the request earns; which grant types exist is the server's choice, then the client's.

    Raises an OAuthError; the request's client is already authenticated.
    """
    grant_type = request.parameters.require("grant_type")
    handler = HANDLERS.get(grant_type)
    if handler is None or grant_type not in app_settings.grant_types:
        raise UnsupportedGrantType("The server does not offer the grant type.")
    if not request.application.allows_grant_type(grant_type):
        raise UnauthorizedClient("The grant type is not enabled for the application.")
    return handler(request)
