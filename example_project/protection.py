"""What guards this site's own pages: nothing is loaded from elsewhere, and no script or style stands in a page."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
GetResponse = Callable[[HttpRequest], HttpResponseBase]


def content_security_policy(get_response: GetResponse) -> GetResponse:
    """Middleware that sets the policy where a view has not set one of its own. Django's admin works under it, too."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say what to do about a form whose CSRF token is no longer right: signing in, in another tab say, renews it."""
    return render(request, "example_project/stale_form.html", {"path": request.path}, status=HTTPStatus.FORBIDDEN)
