"""Middleware that counts refused requests, which no signal reports.

It looks at the answers of the endpoints for clients, wherever the project mounts them, and changes none.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from oauth_refresh.authorization_server.views import IntrospectView, RevocationsView, RevokeView, TokenView
from oauth_refresh.contrib.metrics.instruments import requests_refused

_ENDPOINTS = {
    TokenView: "token",
    RevokeView: "revoke",
    IntrospectView: "introspect",
    RevocationsView: "revocations",
}


@sync_and_async_middleware
def count_refusals(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Count answers with an error, by ``endpoint``, ``error`` and ``status``."""
    if iscoroutinefunction(get_response):

        async def count_async(request: HttpRequest) -> HttpResponseBase:
            answer: Awaitable[HttpResponseBase] = get_response(request)
            return _count(request, await answer)

        return count_async

    def count(request: HttpRequest) -> HttpResponseBase:
        return _count(request, get_response(request))

    return count


def _count(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    status = response.status_code
    if status >= HTTPStatus.BAD_REQUEST and (endpoint := _endpoint(request)) is not None:
        requests_refused.add(1, {"endpoint": endpoint, "error": _error(response), "status": status})
    return response


def _endpoint(request: HttpRequest) -> str | None:
    """Return the endpoint that the request was sent to; None for other views, and where no view was reached."""
    view = getattr(getattr(request.resolver_match, "func", None), "cls", None)
    return next((name for endpoint, name in _ENDPOINTS.items() if view and issubclass(view, endpoint)), None)


def _error(response: HttpResponseBase) -> str:
    """Return the error code of RFC 6749 §5.2; "none" for an answer that is not of the endpoint, such as of middleware.

    All codes are constants of the server, so what clients send makes no time series.
    """
    data = getattr(response, "data", None)
    return str(data.get("error", "none")) if isinstance(data, dict) else "none"
