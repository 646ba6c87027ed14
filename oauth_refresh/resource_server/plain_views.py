"""How a plain Django view is protected, synchronous or asynchronous, wherever its tokens are checked (RFC 6750).

It imports no model: views whose tokens are checked by a server elsewhere use it too.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from oauth_refresh.bearer import BearerToken, challenge, keep_private
from oauth_refresh.errors import RETRY_AFTER_SECONDS, InsufficientScope, OAuthError

logger = logging.getLogger(__name__)


def protected(
    view: Callable[..., Any], *, scopes: tuple[str, ...], refusal: Callable[[HttpRequest], HttpResponse | None]
) -> Any:
    """Return the view behind ``refusal``, which signs the token's user in, or returns why not."""

    @wraps(view)
    def run(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _private(refusal(request) or view(request, *args, **kwargs))

    @wraps(view)
    async def run_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _private(await sync_to_async(refusal)(request) or await view(request, *args, **kwargs))

    wrapped: Any = run_async if iscoroutinefunction(view) else run
    wrapped.bearer_scopes = scopes  # for the system check of views without scopes
    return login_not_required(csrf_exempt(wrapped))


def refusal_of(
    request: HttpRequest,
    *,
    scopes: tuple[str, ...],
    resource: str | None = None,
    authenticate: Callable[[HttpRequest], tuple[Any, BearerToken] | None],
) -> HttpResponse | None:
    """Sign the token's user in for this request, or return why not. ``authenticate`` returns both, or raises."""
    try:
        authenticated = authenticate(request)
        if authenticated is None:  # no error code for a request without a token (RFC 6750 §3.1)
            return JsonResponse({}, status=401, headers=_challenge(scopes, resource))
        user, token = authenticated
        if not set(scopes) <= set(token.scopes):
            raise InsufficientScope("The access token lacks a scope.", scopes=scopes)
    except OAuthError as error:
        logger.info("Refused with %s: %s", error.code, error.reason)
        body = {"error": error.code, "error_description": error.description}
        return JsonResponse(body, status=error.status, headers=_challenge(scopes, resource, error))
    _sign_in(request, user, token)
    return None


def _challenge(scopes: tuple[str, ...], resource: str | None, error: OAuthError | None = None) -> dict[str, str]:
    return {"WWW-Authenticate": challenge(error, scopes=scopes, resource=resource)}


def unavailable() -> HttpResponse:
    """Return the answer to a request whose token could not be checked."""
    body = {"error": "temporarily_unavailable"}
    return JsonResponse(body, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _private(response: Any) -> Any:
    """Return the response, marked as private. What is no response is returned too: Django reports it with the view."""
    if isinstance(response, HttpResponseBase):
        keep_private(response)
    return response


def _sign_in(request: HttpRequest, user: Any, token: BearerToken) -> None:
    """Make the token's user the only one of the request, also for ``auser()``; a session cookie may name another."""

    async def auser() -> Any:
        return user

    request.user, request.auser = user, auser
    request.auth = token  # type: ignore[attr-defined]
