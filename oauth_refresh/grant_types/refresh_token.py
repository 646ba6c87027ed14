"""The refresh token grant (RFC 6749 §6)."""

from oauth_refresh.grant_types.requests import ClientRequest
from oauth_refresh.services import IssuedTokens, refresh


def exchange(request: ClientRequest) -> IssuedTokens:
    return refresh(
        request.application,
        raw_refresh_token=request.parameters.require("refresh_token"),
        scope=request.parameters.get("scope"),
        client_info=request.client_info,
    )
