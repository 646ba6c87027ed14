"""Bearer authentication for APIs on Django REST framework (RFC 6750)."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import Error
from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from oauth_refresh.errors import ImporterFailed, OAuthError
from oauth_refresh.http import log_server_error
from oauth_refresh.models import AccessToken
from oauth_refresh.resource_server.bearer import authenticate_bearer
from oauth_refresh.resource_server.refusals import (
    BearerError,
    Unavailable,
    keep_answers_private,
    required_resource,
    view_challenge,
)


class BearerRequest(Request):
    """The type of the request of a view that needs a token, to annotate it with: DRF's own class, and ``auth``."""

    auth: AccessToken


class BearerAuthentication(BaseAuthentication):
    """Authenticate by ``Authorization: Bearer``; tokens in query strings, forms and cookies do not count.

    ``request.user`` is the token's user, an AnonymousUser where the application acts for itself; ``request.auth`` the
    AccessToken row, with ``grant``, ``application`` and ``scopes``. One statement a request, none if malformed. Put it
    first: DRF takes the challenge of a 401, and the status itself, from the first authentication class of a view, and
    asks the next class only if the first found no token. Responses are private, unless the view says otherwise.
    The system checks of views recognize the class by ``accepts_access_tokens``. ``required_resource``, one of
    ``RESOURCES``, is what the token must have been issued for (RFC 8707), unless the view names another.
    """

    accepts_access_tokens = True
    required_resource: str | None = None

    def authenticate(self, request: Request) -> tuple[Any, AccessToken] | None:
        """Return user and token; None without a Bearer header. Raises BearerError, or Unavailable."""
        view = request.parser_context.get("view")
        keep_answers_private(view)
        try:
            token = authenticate_bearer(request._request, resource=required_resource(view, authentication=self))
        except OAuthError as error:
            raise BearerError(error, view=view, method=request.method or "", authentication=self) from error
        except (Error, ImporterFailed) as error:
            log_server_error(error, request=request._request, response=HttpResponse(status=Unavailable.status_code))
            raise Unavailable from None  # the error is logged; its text could hold the token
        if token is None:
            return None
        return token.grant.user or AnonymousUser(), token

    def authenticate_header(self, request: Request) -> str:
        return view_challenge(request.parser_context.get("view"), request.method or "", authentication=self)
