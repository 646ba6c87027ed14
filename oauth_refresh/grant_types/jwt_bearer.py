"""The JWT bearer grant (RFC 7523 §2.1): somebody whom the project trusts speaks for a user."""

from django.utils import timezone

from oauth_refresh.errors import InvalidClient, InvalidGrant, InvalidScope
from oauth_refresh.grant_types.requests import ClientRequest
from oauth_refresh.jose import UnreadableJWT, parse_jwt
from oauth_refresh.scopes import join_scope
from oauth_refresh.services import IssuedTokens
from oauth_refresh.services.assertions import AssertionRefused, believe_grant_assertion, redeem_assertion
from oauth_refresh.services.issuing import grantable_scope


def exchange(request: ClientRequest) -> IssuedTokens:
    if request.application.is_public:
        raise InvalidClient("A public application brought an assertion, for which it must authenticate.")
    raw_assertion, now = request.parameters.require("assertion"), timezone.now()
    try:
        token = parse_jwt(raw_assertion)
        issuer, user = believe_grant_assertion(token, now=now)
        scope = grantable_scope(request.application, request.parameters.get("scope"), user=user)
        if not issuer.allows_scope(scope):
            raise InvalidScope("The issuer may not start grants for the requested scope.")
        return redeem_assertion(
            request.application,
            token,
            user=user,
            scope=join_scope(scope) or None,
            client_info=request.client_info,
            now=now,
        )
    except (UnreadableJWT, AssertionRefused) as error:
        raise InvalidGrant(f"The assertion is refused: {error}.") from error
