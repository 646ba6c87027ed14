"""The authorization endpoint (RFC 6749 §3.1): a signed-in user decides whether an application may act for them."""

import logging
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib.auth import logout
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_noop
from django.views import View

from oauth_refresh.authorization_server.authorization_request import (
    AuthorizationRequest,
    RedirectTarget,
    find_redirect_target,
    read_authorization_request,
    read_query,
    requested_prompts,
    return_query,
)
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import (
    AccessDenied,
    ConsentRequired,
    LoginRequired,
    OAuthError,
    ServerError,
    UnusableRedirect,
)
from oauth_refresh.http import (
    PAGE_DECORATORS,
    log_server_error,
    protect_page,
    read_client_info,
    redirect_to_sign_in,
    refusal_page,
    require_https,
)
from oauth_refresh.scopes import scope_texts
from oauth_refresh.services.client_metadata import describing_host
from oauth_refresh.services.codes import Consent, has_consented, issue_code, may_redirect_unasked

logger = logging.getLogger(__name__)


@method_decorator(PAGE_DECORATORS, name="dispatch")
class AuthorizeView(View):
    """``GET authorize`` shows the consent page, ``POST authorize`` takes the user's decision.

    The request is read from the query string only. A POST ignores every form field except ``decision``, so a form
    cannot grant more than the page displayed.
    """

    # No HEAD: Django would run get(), and a link preview would start a grant for a trusted application.
    http_method_names = ["get", "post"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if app_settings.issuer is None:
            raise Http404("OAUTH_REFRESH['ISSUER'] is not set, so there is no authorization endpoint.")
        response = self._respond(request)
        # With Django's default, same-origin, the browser separates a client's pop-up from the page that opened it, and
        # that page never receives the code. Browsers apply the header of a redirect as well.
        response["Cross-Origin-Opener-Policy"] = "unsafe-none"
        return response

    def _respond(self, request: HttpRequest) -> HttpResponseBase:
        # None until the user is signed in, so that every error before is a page of this site. Otherwise a link with a
        # mistake in it would redirect any visitor to an address that its author registered: an open redirector, useful
        # for phishing since the link names this site (RFC 9700 §4.11.2).
        target: RedirectTarget | None = None
        try:
            require_https(request)
            query = read_query(request.GET)
            valid_target = find_redirect_target(query, user=request.user)
            if valid_target is None or not request.user.is_authenticated:
                if requested_prompts(query) != {"none"}:
                    return redirect_to_sign_in(request, return_query(query))
                # The only redirect before the sign-in, and only with this error: prompt=none forbids a page, and RFC
                # 9700 §4.11.2 allows it. It goes to a URI that is registered for an active application, or nowhere.
                target = valid_target
                raise LoginRequired("The user is not signed in, and the prompt is none.")
            if request.method == "POST" or may_redirect_unasked(
                valid_target.application, request.user, redirect_uri=valid_target.redirect_uri
            ):
                target = valid_target
            return super().dispatch(request, read_authorization_request(valid_target, query, user=request.user))
        except OAuthError as error:
            logger.info("Refused with %s: %s", error.code, error.reason)
            return _error_response(request, target, error)
        except SuspiciousOperation as error:  # too many parameters, a false Host, an address that is too long
            logger.info("Refused: %s", type(error).__name__)
            return refusal_page(request, UnusableRedirect(gettext_noop("The request is malformed or too long.")))
        except Exception as error:  # noqa: BLE001  the catch-all of this endpoint
            response = _error_response(request, target, ServerError("A server error."))
            log_server_error(error, request=request, response=response)
            return response

    def get(self, request: HttpRequest, authorization_request: AuthorizationRequest) -> HttpResponse:
        """Ask the user, unless the application is trusted or the user allowed it all of this before.

        Superusers are asked at a trusted application too: staff with the permission ``trust_application`` may have
        marked it, and must not get tokens of superusers by that.
        """
        prompts = authorization_request.prompts
        if "login" in prompts:
            return _sign_in_again(request)
        # The page names the user who is signed in, and offers to sign in as another, so it serves "select_account" too.
        if not prompts & {"consent", "select_account"}:
            consented = _earlier_consent(request, authorization_request)
            if consented is not None:
                return _redirect_with_code(request, authorization_request, consented=consented)
        if "none" in prompts:
            raise ConsentRequired("The user must be asked, and the prompt is none.")
        return _consent_page(request, authorization_request)

    def post(self, request: HttpRequest, authorization_request: AuthorizationRequest) -> HttpResponse:
        # The prompt is not read again: it was followed before the page with this form was shown.
        decision = request.POST.get("decision")
        if decision == "switch":
            return _sign_in_again(request)
        if decision != "allow":  # also if it is missing: only an explicit "allow" grants anything
            raise AccessDenied("The user refused.")
        return _redirect_with_code(request, authorization_request, consented=True)


def _sign_in_again(request: HttpRequest) -> HttpResponse:
    """Sign the user out, and redirect to the login page.

    A login page may redirect a user who is still signed in straight back, without asking for credentials.
    """
    logout(request)
    return redirect_to_sign_in(request, return_query(read_query(request.GET)))


def _earlier_consent(request: HttpRequest, authorization_request: AuthorizationRequest) -> bool | None:
    """Return None if the user must be asked; otherwise True for an earlier consent, False for a trusted application."""
    target, access = authorization_request.target, authorization_request.access
    # The consent page is what makes the user notice another program that asks (RFC 8252 §8.6), so it is always shown.
    if stays_on_device(target.redirect_uri):
        return None
    if app_settings.remember_consent and has_consented(
        target.application, request.user, access, redirect_uri=target.redirect_uri
    ):
        return True
    trusts = target.application.is_trusted and not getattr(request.user, "is_superuser", False)
    return False if trusts else None


def _error_response(request: HttpRequest, target: RedirectTarget | None, error: OAuthError) -> HttpResponse:
    """Redirect to the client with the error, or show it to the user if there is no target to redirect to."""
    if target is None:
        return refusal_page(request, error)
    return RedirectToClient(target, {"error": error.code, "error_description": error.description})


def _redirect_with_code(
    request: HttpRequest, authorization_request: AuthorizationRequest, *, consented: bool
) -> HttpResponse:
    """Issue a code. ``consented``: the user was asked, now or before, so that the answer may be remembered."""
    target = authorization_request.target
    consent = Consent(
        application=target.application,
        user=request.user,
        access=authorization_request.access,
        redirect_uri=target.requested_uri,
        code_challenge=authorization_request.code_challenge,
        consented=consented,
        client_info=read_client_info(request),
    )
    return RedirectToClient(target, {"code": issue_code(consent)})


def _consent_page(request: HttpRequest, authorization_request: AuthorizationRequest) -> HttpResponse:
    target = authorization_request.target
    texts = scope_texts()
    context = {
        "application": target.application,
        "describing_host": describing_host(target.application),
        "destination": describe_destination(target.redirect_uri),
        "stays_on_device": stays_on_device(target.redirect_uri),
        "scope_texts": [texts[name] for name in authorization_request.access.scope],
        "resources": [app_settings.resources[name].name for name in authorization_request.access.resources],
    }
    return protect_page(render(request, "oauth_refresh/consent.html", context))


class RedirectToClient(HttpResponseRedirect):
    """Send the browser to the client's registered URI, of any scheme: native apps register their own."""

    status_code = HTTPStatus.SEE_OTHER  # 307 would repeat the POST, and send the form to the client (RFC 9700 §4.12)

    def __init__(self, target: RedirectTarget, answer: dict[str, str]) -> None:
        uri = target.redirect_uri
        self.allowed_schemes = [urlsplit(uri).scheme]
        # With "iss", a client of several servers notices an answer of another one: the mix-up attack (RFC 9207).
        members = answer | {"state": target.state, "iss": app_settings.issuer}
        query = urlencode({name: value for name, value in members.items() if value is not None})
        super().__init__(f"{uri}{'&' if '?' in uri else '?'}{query}")  # its own query stays (RFC 6749 §3.1.2)


def describe_destination(redirect_uri: str) -> str:
    """Return what the consent page names as the destination: the host of a website, or the scheme of an app.

    The host of an app's URI is left out: it proves nothing, since the system looks at the scheme alone, and
    ``app://bank.example`` would look like a bank.
    """
    parts = urlsplit(redirect_uri)
    return (parts.hostname or "") if parts.scheme in {"http", "https"} else parts.scheme


def stays_on_device(redirect_uri: str) -> bool:
    """Whether the answer is for a program on the user's device: at a loopback address, or one that opens a scheme.

    Another program on the same device can take over the port or the scheme, and with it the code (RFC 8252 §8.1, §8.6).
    """
    return not redirect_uri.startswith("https:")
