"""Bearer authentication for plain Django views, synchronous and asynchronous (RFC 6750)."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AnonymousUser
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from oauth_refresh.bearer import challenge
from oauth_refresh.errors import InsufficientScope, OAuthError
from oauth_refresh.faults import log_fault
from oauth_refresh.models import AccessToken
from oauth_refresh.services.access import authenticate_bearer

logger = logging.getLogger(__name__)

View = Callable[..., Any]


def bearer_required(*scopes: str) -> Callable[[View], View]:
    """Let only requests with a live access token pass that has all of ``scopes``.

    The view finds the token's user in ``request.user`` and by ``await request.auser()`` (an AnonymousUser where the
    application acts for itself), and the AccessToken row in ``request.auth``. Refusals are JSON with the status and
    challenge of RFC 6750 §3. The session is not looked at, so there is nothing for CSRF to forge.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def run(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return _refusal(request, scopes) or view(request, *args, **kwargs)

        @wraps(view)
        async def run_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return await sync_to_async(_refusal)(request, scopes) or await view(request, *args, **kwargs)

        return login_not_required(csrf_exempt(run_async if iscoroutinefunction(view) else run))

    return decorate


def _refusal(request: HttpRequest, scopes: tuple[str, ...]) -> HttpResponse | None:
    """Sign the token's user in for this request, or return why not."""
    try:
        token = authenticate_bearer(request)
        if token is None:
            return JsonResponse({}, status=401, headers={"WWW-Authenticate": challenge()})
        if not set(scopes) <= set(token.scopes):
            raise InsufficientScope("The access token lacks a scope.", scopes=scopes)
    except OAuthError as error:
        logger.info("Refused with %s: %s", error.code, error.reason)
        body = {"error": error.code, "error_description": error.description}
        return JsonResponse(body, status=error.status, headers={"WWW-Authenticate": challenge(error)})
    except Error as fault:
        response = JsonResponse({"error": "temporarily_unavailable"}, status=503, headers={"Retry-After": "5"})
        log_fault(fault, request=request, response=response)
        return response
    _sign_in(request, token)
    return None


def _sign_in(request: HttpRequest, token: AccessToken) -> None:
    """Let the token's user be the only one of the request, whichever way the view asks; a session may be beside it."""
    user: Any = token.grant.user or AnonymousUser()

    async def auser() -> Any:
        return user

    request.user, request.auser = user, auser
    request.auth = token  # type: ignore[attr-defined]
