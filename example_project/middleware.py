"""The site's own middleware: a Content-Security-Policy, and a page for database errors."""

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.db import OperationalError, ProgrammingError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
FORM_ACTION = "; form-action 'self'"
LEADS_TO_CLIENTS = {"authorize", "login"}
"""Names of the pages whose forms are answered with a redirect to a client, which may redirect to any other site.

Browsers check ``form-action`` at each of these redirects, so these pages must not set it.
"""
GetResponse = Callable[[HttpRequest], HttpResponseBase]

logger = logging.getLogger(__name__)


def content_security_policy(get_response: GetResponse) -> GetResponse:
    """Set the policy of the site, Django's admin included. Django 6 has a middleware for this, older ones do not."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        match = request.resolver_match
        may_leave = match is not None and match.url_name in LEADS_TO_CLIENTS
        response.headers["Content-Security-Policy"] = POLICY + ("" if may_leave else FORM_ACTION)
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
