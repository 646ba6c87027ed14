"""Tokens that somebody in charge hands out, without a request of the client (WSO2's "generate through the UI")."""

from typing import Any

from oauth_refresh.errors import UnauthorizedClient
from oauth_refresh.models import NO_CLIENT_INFO, OPERATOR, Application, ClientInfo, GrantType
from oauth_refresh.services.handing_out import IssuedTokens
from oauth_refresh.services.issuing import issue_tokens


def issue_for_operator(
    application: Application, *, user: Any, scope: str | None = None, client_info: ClientInfo = NO_CLIENT_INFO
) -> IssuedTokens:
    """Start a grant for ``user``, or without one for the application itself, and return its first tokens.

    Raises UnauthorizedClient if there is no user and the application may not act for itself; else as ``issue_tokens``.
    """
    if user is None and (application.is_public or not application.allows_grant_type(GrantType.CLIENT_CREDENTIALS)):
        raise UnauthorizedClient("The application may not act for itself (client_credentials), so it needs a user.")
    grant_type = OPERATOR if user is not None else GrantType.CLIENT_CREDENTIALS
    return issue_tokens(application, user=user, grant_type=grant_type, scope=scope, client_info=client_info)
