"""``GET verify``: check the access token of a request for a gateway, which asks before it forwards the request.

nginx's ``auth_request`` and others like it act on the status alone: 2xx lets in, 401 and 403 are passed on to the
client with their challenge (RFC 6750 §3), and any other status is an error of the gateway. So a malformed header or
query is answered with 401 or 403 too.
"""

from http import HTTPStatus
from urllib.parse import quote

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.response import Response

from oauth_refresh.authorization_server.views import ProtocolResponse, ProtocolView
from oauth_refresh.bearer import challenge, read_bearer
from oauth_refresh.conf import SCOPE_TOKEN, app_settings
from oauth_refresh.errors import InsufficientScope, InvalidToken, OAuthError
from oauth_refresh.models import AccessToken
from oauth_refresh.services import authenticate_access_token

# Everything else is percent-encoded, so that no name can end a header, begin another, or be read in two ways.
_SAFE_IN_HEADERS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


class VerifyView(ProtocolView):
    """``GET verify?scope=…``: 204 for a live token that has every scope, 401 or 403 with a challenge for any other."""

    http_method_names = ["get", "head"]

    @property
    def default_response_headers(self) -> dict[str, str]:
        return super().default_response_headers | {"Vary": "Authorization"}

    def get(self, request: Request) -> Response:
        raw = read_bearer(request._request)
        if raw is None:  # no error code for a request without a token (RFC 6750 §3.1)
            return ProtocolResponse({}, status=HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": challenge()})
        token = authenticate_access_token(raw)
        _require_scope_and_resource(token, request._request)
        return ProtocolResponse(status=HTTPStatus.NO_CONTENT, headers=_headers_about(token))

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if isinstance(exc, OAuthError):
            response["WWW-Authenticate"] = challenge(exc)
            # Other endpoints answer 400 for a malformed header or plain http, which nginx would turn into 500.
            if response.status_code != HTTPStatus.FORBIDDEN:
                response.status_code = HTTPStatus.UNAUTHORIZED
        return response


def _require_scope_and_resource(token: AccessToken, request: HttpRequest) -> None:
    """Raise InvalidToken or InsufficientScope unless the token has every scope and the resource that the query names.

    All values of a repeated parameter are required, so a client that can append to the query cannot weaken it.
    """
    try:
        scopes, resources = request.GET.getlist("scope"), request.GET.getlist("resource")
    except SuspiciousOperation as error:
        raise InsufficientScope("The query has too many parameters.", scopes=()) from error
    # Tokens are issued for this server as a whole, which introspection names as their audience.
    if any(resource != app_settings.issuer for resource in resources):
        raise InvalidToken("The access token was not issued for the resource.")
    # A gateway whose variable is empty sends an empty scope. No token has that one; otherwise every token would pass.
    needed = [name for text in scopes for name in text.split(" ") if name or not text.strip(" ")]
    if not set(needed) <= set(token.scopes):
        known = tuple(dict.fromkeys(name for name in needed if SCOPE_TOKEN.fullmatch(name)))
        raise InsufficientScope("The access token lacks a scope.", scopes=known)


def _headers_about(token: AccessToken) -> dict[str, str]:
    """Return what a gateway may pass on to the API.

    The subject is a user's primary key, and left out where the application acts for itself: its client ID in the same
    place could be the key of a user (RFC 9700 §4.15). User names are left out, since the client would read them too.
    """
    user = token.grant.user
    about = {
        "X-OAuth-Client-ID": _encoded(token.application.client_id),
        "X-OAuth-Scope": " ".join(map(_encoded, token.scopes)),
    }
    return about if user is None else {"X-OAuth-Subject": _encoded(str(user.pk)), **about}


def _encoded(text: str) -> str:
    return quote(text, safe=_SAFE_IN_HEADERS)
