"""What guards this site's own pages: nothing is loaded from elsewhere, and a visitor never meets a traceback."""

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.db import OperationalError, ProgrammingError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
GetResponse = Callable[[HttpRequest], HttpResponseBase]

logger = logging.getLogger(__name__)


def content_security_policy(get_response: GetResponse) -> GetResponse:
    """Middleware that sets the policy where a view has not set one of its own. Django's admin works under it, too."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware


class DatabaseGone:
    """Middleware that says what to do where the database is down, or was deleted while the page was open."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer for a view that did not reach its tables; every other exception stays what it is."""
        if not isinstance(exception, OperationalError | ProgrammingError):
            return None
        logger.error("The database does not answer, or lacks a table.", exc_info=exception)
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return render(request, "example_project/database_gone.html", {"path": request.path}, status=status)


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say what to do about a form whose CSRF token is no longer right: signing in, in another tab say, renews it."""
    return render(request, "example_project/stale_form.html", {"path": request.path}, status=HTTPStatus.FORBIDDEN)
