"""The client credentials grant (RFC 6749 §4.4): the application acts for itself."""

from oauth_refresh.errors import InvalidClient
from oauth_refresh.grant_types.requests import ClientRequest
from oauth_refresh.models import GrantType
from oauth_refresh.services import IssuedTokens, issue_tokens


def exchange(request: ClientRequest) -> IssuedTokens:
    if request.application.is_public:
        raise InvalidClient("A public application asked for client credentials, of which it has none.")
    return issue_tokens(
        request.application,
        user=None,
        grant_type=GrantType.CLIENT_CREDENTIALS,
        scope=request.parameters.get("scope"),
        client_info=request.client_info,
    )
