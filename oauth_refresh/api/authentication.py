"""Bearer authentication for APIs on Django REST framework (RFC 6750)."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import Error
from django.http import HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from oauth_refresh.api.bearer_errors import BearerError, Unavailable
from oauth_refresh.bearer import challenge
from oauth_refresh.errors import OAuthError
from oauth_refresh.faults import log_fault
from oauth_refresh.models import AccessToken
from oauth_refresh.services.access import authenticate_bearer


class BearerAuthentication(BaseAuthentication):
    """Authenticate by ``Authorization: Bearer``; tokens in query strings, forms and cookies do not count.

    ``request.user`` is the token's user, an AnonymousUser where the application acts for itself; ``request.auth`` the
    AccessToken row, with ``grant``, ``application`` and ``scopes``. One statement a request, none if malformed. Put it
    first: DRF takes the challenge of a 401, and the status itself, from the first authentication class of a view.
    """

    def authenticate(self, request: Request) -> tuple[Any, AccessToken] | None:
        """Return user and token; None without a Bearer header. Raises BearerError, for a fault of ours Unavailable."""
        try:
            token = authenticate_bearer(request._request)
        except OAuthError as error:
            raise BearerError(error) from error
        except Error as fault:
            log_fault(fault, request=request._request, response=HttpResponse(status=Unavailable.status_code))
            raise Unavailable from None
        if token is None:
            return None
        return token.grant.user or AnonymousUser(), token

    def authenticate_header(self, request: Request) -> str:
        return challenge()
