"""Bearer authentication for APIs on Django REST framework (RFC 6750)."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import Error
from django.http import HttpResponse, HttpResponseBase
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.views import APIView

from oauth_refresh.bearer import challenge, keep_private
from oauth_refresh.errors import OAuthError
from oauth_refresh.http import RETRY_AFTER_SECONDS, log_server_error
from oauth_refresh.models import AccessToken
from oauth_refresh.resource_server.bearer import authenticate_bearer

logger = logging.getLogger(__name__)


class BearerError(APIException):
    """Answer with the error's own status and challenge, whichever authentication class of the view comes first."""

    def __init__(self, error: OAuthError) -> None:
        logger.info("Refused with %s: %s", error.code, error.reason)
        self.status_code = error.status
        self.auth_header = challenge(error)
        super().__init__({"error": error.code, "error_description": error.description})


class TokenRequired(APIException):
    """Ask for a token, with the challenges of all authentication classes; DRF's NotAuthenticated has only the first."""

    status_code = HTTPStatus.UNAUTHORIZED
    default_detail = "Authentication credentials were not provided."

    def __init__(self, challenges: Iterable[str]) -> None:
        self.auth_header = ", ".join(challenges)
        super().__init__()


class Unavailable(APIException):
    """A server error. Nothing is known of the token, so the client should send it again."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The server could not answer now. Try again."
    wait = RETRY_AFTER_SECONDS


class BearerRequest(Request):
    """The type of the request of a view that needs a token, to annotate it with: DRF's own class, and ``auth``."""

    auth: AccessToken


class BearerAuthentication(BaseAuthentication):
    """Authenticate by ``Authorization: Bearer``; tokens in query strings, forms and cookies do not count.

    ``request.user`` is the token's user, an AnonymousUser where the application acts for itself; ``request.auth`` the
    AccessToken row, with ``grant``, ``application`` and ``scopes``. One statement a request, none if malformed. Put it
    first: DRF takes the challenge of a 401, and the status itself, from the first authentication class of a view, and
    asks the next class only if the first found no token. Responses are private, unless the view says otherwise.
    The system check of views without scopes recognizes the class by ``accepts_access_tokens``.
    """

    accepts_access_tokens = True

    def authenticate(self, request: Request) -> tuple[Any, AccessToken] | None:
        """Return user and token; None without a Bearer header. Raises BearerError, or Unavailable."""
        keep_answers_private(request.parser_context.get("view"))
        try:
            token = authenticate_bearer(request._request)
        except OAuthError as error:
            raise BearerError(error) from error
        except Error as error:
            log_server_error(error, request=request._request, response=HttpResponse(status=Unavailable.status_code))
            raise Unavailable from None  # the error is logged; its text could hold the token
        if token is None:
            return None
        return token.grant.user or AnonymousUser(), token

    def authenticate_header(self, request: Request) -> str:
        return challenge()


def keep_answers_private(view: object) -> None:
    """Wrap the view's ``finalize_response``, so that shared caches do not store its response. Others stay as they are.

    DRF makes a view for each request, and gives an authentication class no other means to change the response.
    """
    if isinstance(view, APIView):
        vars(view)["finalize_response"] = partial(_finalize, view.finalize_response)


def _finalize(finalize: Callable[..., HttpResponseBase], *args: Any, **kwargs: Any) -> HttpResponseBase:
    response = finalize(*args, **kwargs)
    keep_private(response)
    return response
