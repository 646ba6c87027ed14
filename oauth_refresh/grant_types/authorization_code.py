"""The authorization code grant at the token endpoint (RFC 6749 §4.1.3); the code says which scope was consented to."""

from oauth_refresh.grant_types.requests import ClientRequest
from oauth_refresh.services import IssuedTokens
from oauth_refresh.services.codes import redeem_code


def exchange(request: ClientRequest) -> IssuedTokens:
    return redeem_code(
        request.application,
        raw_code=request.parameters.require("code"),
        redirect_uri=request.parameters.get("redirect_uri"),
        code_verifier=request.parameters.get("code_verifier"),
        client_info=request.client_info,
    )
