"""What guards every page of ours: https, no frames, no stored copies, and forms that only this site may send."""

from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_noop
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidRequest, OAuthError

PROTECTION = (login_not_required, never_cache, csrf_protect)
"""What decorates ``dispatch``. The views ask for a login themselves, once the request deserves one."""


@method_decorator(PROTECTION, name="dispatch")
class SignedInView(View):
    """A page about what the user has; whoever is not signed in is sent to sign in and comes back."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            require_https(request)
        except InvalidRequest as error:
            return refusal_page(request, error, template="oauth_refresh/insecure.html")
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return super().dispatch(request, *args, **kwargs)


def require_https(request: HttpRequest) -> None:
    """Raise InvalidRequest for plain http, where the project requires https."""
    if app_settings.https_is_required and not request.is_secure():
        raise InvalidRequest(gettext_noop("This page must be opened by https."))


def refusal_page(
    request: HttpRequest, error: OAuthError, *, template: str = "oauth_refresh/refusal.html"
) -> HttpResponse:
    """Tell the user what is wrong, on a page without a form."""
    response = render(request, template, {"error": error}, status=error.status)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        response["Retry-After"] = "5"
    return protected(response, form_action="'none'")


def protected(response: HttpResponse, *, form_action: str = "'self'") -> HttpResponse:
    """Keep the page out of frames and other sites' sight (RFC 9700 §4.16, §4.2.4).

    Not ``no-referrer``: browsers would then send ``Origin: null`` with the form, and Django would refuse it.
    """
    response["Content-Security-Policy"] = (
        f"frame-ancestors 'none'; form-action {form_action}; base-uri 'none'; object-src 'none'"
    )
    response["X-Frame-Options"] = "DENY"
    response["Referrer-Policy"] = "same-origin"
    return response
