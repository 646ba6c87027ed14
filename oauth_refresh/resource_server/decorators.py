"""Bearer authentication for plain Django views, synchronous and asynchronous (RFC 6750)."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AnonymousUser
from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from oauth_refresh.bearer import challenge, keep_private
from oauth_refresh.errors import InsufficientScope, OAuthError
from oauth_refresh.http import RETRY_AFTER_SECONDS, log_server_error
from oauth_refresh.models import AccessToken
from oauth_refresh.resource_server.bearer import authenticate_bearer

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class BearerHttpRequest(HttpRequest):
    """The type of the request of a protected view, to annotate it with: Django's own class, and ``auth``."""

    auth: AccessToken


def bearer_required(
    *scopes: str,
) -> Callable[[Callable[Concatenate[BearerHttpRequest, P], R]], Callable[Concatenate[HttpRequest, P], R]]:
    """Require a live access token that has all of ``scopes``.

    The view finds the token's user in ``request.user`` and by ``await request.auser()`` (an AnonymousUser where the
    application acts for itself), and the AccessToken row in ``request.auth``. Refusals are JSON with the status and
    challenge of RFC 6750 §3. The session is not read, so there is nothing that CSRF could use. Responses
    are private, unless the view says otherwise.
    """

    def decorate(view: Callable[Concatenate[BearerHttpRequest, P], R]) -> Callable[Concatenate[HttpRequest, P], R]:
        plain: Callable[..., Any] = view

        @wraps(plain)
        def run(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return _private(_refusal(request, scopes) or plain(request, *args, **kwargs))

        @wraps(plain)
        async def run_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return _private(await sync_to_async(_refusal)(request, scopes) or await plain(request, *args, **kwargs))

        protected: Any = run_async if iscoroutinefunction(view) else run
        protected.bearer_scopes = scopes  # for the system check of views without scopes
        return cast("Callable[Concatenate[HttpRequest, P], R]", login_not_required(csrf_exempt(protected)))

    return decorate


def _private(response: Any) -> Any:
    """Return the response, marked as private. What is no response is returned too: Django reports it with the view."""
    if isinstance(response, HttpResponseBase):
        keep_private(response)
    return response


def _refusal(request: HttpRequest, scopes: tuple[str, ...]) -> HttpResponse | None:
    """Sign the token's user in for this request, or return why not."""
    try:
        token = authenticate_bearer(request)
        if token is None:  # no error code for a request without a token (RFC 6750 §3.1)
            return JsonResponse({}, status=401, headers={"WWW-Authenticate": challenge()})
        if not set(scopes) <= set(token.scopes):
            raise InsufficientScope("The access token lacks a scope.", scopes=scopes)
    except OAuthError as error:
        logger.info("Refused with %s: %s", error.code, error.reason)
        body = {"error": error.code, "error_description": error.description}
        return JsonResponse(body, status=error.status, headers={"WWW-Authenticate": challenge(error)})
    except Error as error:
        body = {"error": "temporarily_unavailable"}
        response = JsonResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
        log_server_error(error, request=request, response=response)
        return response
    _sign_in(request, token)
    return None


def _sign_in(request: HttpRequest, token: AccessToken) -> None:
    """Make the token's user the only one of the request, also for ``auser()``; a session cookie may name another."""
    user: Any = token.grant.user or AnonymousUser()

    async def auser() -> Any:
        return user

    request.user, request.auser = user, auser
    request.auth = token  # type: ignore[attr-defined]
