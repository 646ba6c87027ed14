"""The grant types of the token endpoint, one function each; all return the tokens or raise an OAuthError.

The client is authenticated before any of them is called.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from django.contrib.auth import authenticate, get_user_model
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist, ValidationError
from django.db.models import Field
from django.utils import timezone

from oauth_refresh.authorization_server.requests import ClientRequest
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    UnauthorizedClient,
    UnsupportedGrantType,
    WrongPassword,
)
from oauth_refresh.http import read_address
from oauth_refresh.jose import UnreadableJWT, parse_jwt
from oauth_refresh.models import GrantType
from oauth_refresh.services import IssuedTokens, issue_tokens, refresh
from oauth_refresh.services.assertions import AssertionRefused, redeem_assertion, verify_grant_assertion
from oauth_refresh.services.codes import redeem_code
from oauth_refresh.services.db import db_alias, is_valid_text
from oauth_refresh.services.guess_limit import limited_guess
from oauth_refresh.services.issuing import grantable_access
from oauth_refresh.services.tokens import RequestedAccess


def handle(request: ClientRequest) -> IssuedTokens:
    """Call the function of the request's grant type, and return its tokens.

    Raises UnsupportedGrantType if the server does not offer it, UnauthorizedClient if the application may not use it.
    """
    grant_type = request.parameters.require("grant_type")
    handler = HANDLERS.get(grant_type)
    if handler is None or grant_type not in app_settings.grant_types:
        raise UnsupportedGrantType("The server does not offer the grant type.")
    if not request.application.allows_grant_type(grant_type):
        raise UnauthorizedClient("The grant type is not enabled for the application.")
    return handler(request)


def refresh_token(request: ClientRequest) -> IssuedTokens:
    """Trade a refresh token for a new pair (RFC 6749 §6)."""
    return refresh(
        request.application,
        raw_refresh_token=request.parameters.require("refresh_token"),
        scope=request.parameters.get("scope"),
        resources=request.parameters.resources,
        client_info=request.client_info,
        row=request.refresh_token_row,
    )


def authorization_code(request: ClientRequest) -> IssuedTokens:
    """Redeem an authorization code (RFC 6749 §4.1.3); its scope is the one that the user consented to."""
    return redeem_code(
        request.application,
        raw_code=request.parameters.require("code"),
        redirect_uri=request.parameters.get("redirect_uri"),
        code_verifier=request.parameters.get("code_verifier"),
        resources=request.parameters.resources,
        client_info=request.client_info,
        credentials=request.credentials,
    )


def client_credentials(request: ClientRequest) -> IssuedTokens:
    """Let the application act for itself (RFC 6749 §4.4), which only one that can authenticate may do."""
    if request.application.is_public:
        raise InvalidClient("A public application asked for client credentials, of which it has none.")
    return _issue(request, user=None, grant_type=GrantType.CLIENT_CREDENTIALS)


def password(request: ClientRequest) -> IssuedTokens:
    """Exchange a user's password (RFC 6749 §4.3); for migrations only, since RFC 9700 §2.4 forbids it."""
    username = request.parameters.require("username")
    raw_password = request.parameters.require("password")
    # A text that the column cannot hold would be a database error, 503, instead of a wrong password.
    is_possible_name = is_valid_text(username) and _can_be_a_username(username)
    account = _find_account(username) if is_possible_name and app_settings.failure_rate is not None else None
    address = read_address(request.http_request)
    with limited_guess("user", account=account, address=address, failure=WrongPassword):
        user = None
        if is_possible_name:
            user = authenticate(request.http_request, username=username, password=raw_password)
        if user is None:
            raise WrongPassword("The user name or password is wrong.")
    return _issue(request, user=user, grant_type=GrantType.PASSWORD)


def jwt_bearer(request: ClientRequest) -> IssuedTokens:
    """Accept the assertion of a trusted issuer for a user (RFC 7523 §2.1)."""
    if request.application.is_public:  # an assertion that leaked would be enough to act for its user
        raise InvalidClient("A public application sent an assertion, for which it must authenticate.")
    raw_assertion, now = request.parameters.require("assertion"), timezone.now()
    try:
        token = parse_jwt(raw_assertion)
        issuer, user = verify_grant_assertion(token, now=now)
        requested = RequestedAccess(scope=request.parameters.get("scope"), resources=request.parameters.resources)
        access = grantable_access(request.application, requested, user=user, grant_type=GrantType.JWT_BEARER)
        forbidden = next((name for name in access.scope if not issuer.allows_scope(name)), None)
        if forbidden is not None:
            raise InvalidScope(
                "The issuer may not start grants for the requested scope.",
                scope=forbidden if requested.scope else None,
            )
        return redeem_assertion(
            request.application,
            token,
            issuer=issuer,
            user=user,
            scope=" ".join(access.scope) or None,
            resources=access.resources,
            client_info=request.client_info,
            credentials=request.credentials,
            now=now,
        )
    except (UnreadableJWT, AssertionRefused) as error:
        raise InvalidGrant(f"The assertion is refused: {error}.") from error


HANDLERS: Mapping[str, Callable[[ClientRequest], IssuedTokens]] = {
    GrantType.AUTHORIZATION_CODE: authorization_code,
    GrantType.CLIENT_CREDENTIALS: client_credentials,
    GrantType.JWT_BEARER: jwt_bearer,
    GrantType.PASSWORD: password,
    GrantType.REFRESH_TOKEN: refresh_token,
}


def _issue(request: ClientRequest, *, user: Any, grant_type: str) -> IssuedTokens:
    return issue_tokens(
        request.application,
        user=user,
        grant_type=grant_type,
        scope=request.parameters.get("scope"),
        resources=request.parameters.resources,
        client_info=request.client_info,
        credentials=request.credentials,
    )


def _can_be_a_username(text: str) -> bool:
    """Whether the user model's name field, which may be a number, can be compared with ``text``."""
    user_model = get_user_model()
    field = cast("Field[Any, Any]", user_model._meta.get_field(user_model.USERNAME_FIELD))
    try:
        field.to_python(text)
    except ValidationError:
        return False
    return True


def _find_account(username: str) -> Any:
    """Return the primary key of the account that Django's login would find; None if there is none, or no single one.

    Guesses are counted by this key, and not by the name as it was sent: an attacker would have new attempts with every
    spelling, since MariaDB ignores case, accents and spaces at the end, and so may a user manager of the project.
    """
    find = getattr(get_user_model()._default_manager.db_manager(db_alias()), "get_by_natural_key", None)
    try:
        return None if find is None else find(username).pk
    except (ObjectDoesNotExist, MultipleObjectsReturned):
        return None
