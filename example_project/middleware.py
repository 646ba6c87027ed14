"""The site's own middleware: a Content-Security-Policy, and a page for database errors."""

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
    """Set the policy, unless the view has set its own. Django's admin works under it too."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware


class DatabaseErrorMiddleware:
    """Show a page instead of a traceback if the database is down, or was deleted while the site is running."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, OperationalError | ProgrammingError):
            return None
        logger.error("The database does not respond, or lacks a table.", exc_info=exception)
        context, status = {"path": request.path}, HTTPStatus.SERVICE_UNAVAILABLE
        return render(request, "example_project/database_unavailable.html", context, status=status)
