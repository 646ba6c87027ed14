"""The resource owner password credentials grant (RFC 6749 §4.3), for migrations only: RFC 9700 §2.4 forbids it."""

from django.contrib.auth import authenticate

from oauth_refresh.errors import InvalidGrant
from oauth_refresh.grant_types.requests import ClientRequest
from oauth_refresh.models import GrantType
from oauth_refresh.services import IssuedTokens, issue_tokens


def exchange(request: ClientRequest) -> IssuedTokens:
    username = request.parameters.require("username")
    password = request.parameters.require("password")
    if "\x00" in username:  # PostgreSQL refuses NUL in text, and no user has it
        raise InvalidGrant("The user name or password is wrong.")
    user = authenticate(request.http_request, username=username, password=password)
    if user is None:
        raise InvalidGrant("The user name or password is wrong.")
    return issue_tokens(
        request.application,
        user=user,
        grant_type=GrantType.PASSWORD,
        scope=request.parameters.get("scope"),
        client_info=request.client_info,
    )
