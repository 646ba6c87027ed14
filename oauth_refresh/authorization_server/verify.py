"""``GET verify``: check the access token of a request for a gateway, which asks before it forwards the request.

nginx's ``auth_request`` and others like it act on the status alone: 2xx lets in, 401 and 403 are passed on to the
client with their challenge (RFC 6750 §3), and any other status is an error of the gateway. So a malformed header or
query is answered with 401 or 403 too.
"""

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.response import Response

from oauth_refresh.authorization_server.views import ProtocolResponse, ProtocolView
from oauth_refresh.bearer import challenge, read_bearer
from oauth_refresh.conf import app_settings
from oauth_refresh.conf.values import SCOPE_TOKEN
from oauth_refresh.errors import InsufficientScope, InvalidToken, OAuthError
from oauth_refresh.models import AccessToken
from oauth_refresh.resources import is_for_resource
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
            headers = {"WWW-Authenticate": _challenge(request._request)}
            return ProtocolResponse({}, status=HTTPStatus.UNAUTHORIZED, headers=headers)
        needed = _needed(request._request)
        token = authenticate_access_token(raw, resource=next(iter(needed.resources), None))
        if needed.is_malformed:
            raise InsufficientScope("The query has too many parameters.", scopes=())
        if not all(is_for_resource(token.resource_names, resource) for resource in needed.resources):
            raise InvalidToken("The access token was not issued for the resource.")
        if not set(needed.scopes) <= set(token.scopes):
            raise InsufficientScope("The access token lacks a scope.", scopes=needed.writable_scopes)
        return ProtocolResponse(status=HTTPStatus.NO_CONTENT, headers=_headers_about(token))

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if isinstance(exc, OAuthError):
            response["WWW-Authenticate"] = _challenge(self.request._request, exc)
            # Other endpoints answer 400 for a malformed header or plain http, which nginx would turn into 500.
            if response.status_code != HTTPStatus.FORBIDDEN:
                response.status_code = HTTPStatus.UNAUTHORIZED
        return response


@dataclass(frozen=True, slots=True, kw_only=True)
class _Needed:
    """The scopes and resources that the query names.

    All values of a repeated parameter count, so a client that can append to the query cannot weaken it.
    """

    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    is_malformed: bool = False

    @property
    def writable_scopes(self) -> tuple[str, ...]:
        """Return the scopes that may stand in a challenge, each once."""
        return tuple(dict.fromkeys(name for name in self.scopes if SCOPE_TOKEN.fullmatch(name)))


def _needed(request: HttpRequest) -> _Needed:
    try:
        scopes, resources = request.GET.getlist("scope"), request.GET.getlist("resource")
    except SuspiciousOperation:  # too many parameters
        return _Needed(is_malformed=True)
    # A gateway whose variable is empty sends an empty scope. No token has that one; otherwise every token would pass.
    return _Needed(
        scopes=tuple(name for text in scopes for name in text.split(" ") if name or not text.strip(" ")),
        resources=tuple(resources),
    )


def _challenge(request: HttpRequest, error: OAuthError | None = None) -> str:
    needed = _needed(request)
    resource = next((name for name in needed.resources if name in app_settings.resources), None)
    return challenge(error, scopes=needed.writable_scopes, resource=resource)


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
