"""The authorization endpoint (RFC 6749 §3.1): whoever is signed in says whether an application may act for them."""

import logging
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import AccessDenied, InvalidRequest, OAuthError, ServerError, UnusableRedirect
from oauth_refresh.faults import log_fault
from oauth_refresh.grant_types.authorization_request import (
    AuthorizationRequest,
    find_recipient,
    read_authorization_request,
)
from oauth_refresh.grant_types.client_info import read_client_info
from oauth_refresh.services.codes import Consent, has_consented, issue_code
from oauth_refresh.web.redirects import destination, form_action_source, redirect_with_code, redirect_with_error

logger = logging.getLogger(__name__)


@method_decorator([login_not_required, never_cache, csrf_protect], name="dispatch")
class AuthorizeView(View):
    """``GET authorize`` shows the consent page, ``POST authorize`` takes the user's decision.

    A fault in client or redirect URI is a page for the user. Only after the user is known to be signed in does
    anything go to the client, so that the endpoint is no open redirector (RFC 9700 §4.11.2).
    """

    http_method_names = ["get", "post"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if app_settings.issuer is None:
            raise Http404("OAUTH_REFRESH['ISSUER'] is not set, so there is no authorization endpoint.")
        if app_settings.https_is_required and not request.is_secure():
            return _refusal_page(request, InvalidRequest("This page must be opened by https."))
        try:
            recipient = find_recipient(dict(request.GET.lists()))
        except UnusableRedirect as error:
            return _refusal_page(request, error)
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        try:
            return super().dispatch(request, read_authorization_request(recipient, dict(request.GET.lists())))
        except OAuthError as error:
            logger.info("Refused with %s: %s", error.code, error.reason)
            return redirect_with_error(recipient, error)
        except Exception as fault:  # noqa: BLE001  the catch-all of this endpoint: the client is told
            response = redirect_with_error(recipient, ServerError("A fault of ours."))
            log_fault(fault, request=request, response=response)
            return response

    def get(self, request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
        if _goes_without_saying(request.user, asked):
            return _allow(request, asked)
        return _consent_page(request, asked)

    def post(self, request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
        decision = request.POST.get("decision")
        if decision == "switch":
            logout(request)
            return redirect_to_login(request.get_full_path())
        if decision != "allow":
            raise AccessDenied("The user refused.")
        return _allow(request, asked)


def _goes_without_saying(user: Any, asked: AuthorizationRequest) -> bool:
    """Whether the user need not be asked: a trusted application, or one that they allowed all this before.

    Never for a redirect that another application on the same device may catch (RFC 8252 §8.6).
    """
    application = asked.recipient.application
    if urlsplit(asked.recipient.redirect_uri).scheme != "https":
        return False
    return application.is_trusted or (app_settings.remember_consent and has_consented(application, user, asked.scope))


def _allow(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    consent = Consent(
        application=asked.recipient.application,
        user=request.user,
        scope=asked.scope,
        redirect_uri=asked.recipient.named_redirect_uri,
        code_challenge=asked.code_challenge,
        client_info=read_client_info(request),
    )
    return redirect_with_code(asked.recipient, issue_code(consent))


def _consent_page(request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
    redirect_uri = asked.recipient.redirect_uri
    context = {
        "application": asked.recipient.application,
        "destination": destination(redirect_uri),
        "scope_texts": [app_settings.scopes[name] for name in asked.scope],
    }
    response = render(request, "oauth_refresh/consent.html", context)
    return _protected(response, form_action=f"'self' {form_action_source(redirect_uri)}")


def _refusal_page(request: HttpRequest, error: OAuthError) -> HttpResponse:
    logger.info("Refused with a page: %s", error.reason)
    response = render(request, "oauth_refresh/refusal.html", {"error": error}, status=error.status)
    return _protected(response, form_action="'none'")


def _protected(response: HttpResponse, *, form_action: str) -> HttpResponse:
    """Keep the page out of frames and other sites' sight (RFC 9700 §4.16, §4.2.4).

    Not ``no-referrer``: browsers would then send ``Origin: null`` with the form, and Django would refuse it.
    """
    response["Content-Security-Policy"] = (
        f"frame-ancestors 'none'; form-action {form_action}; base-uri 'none'; object-src 'none'"
    )
    response["X-Frame-Options"] = "DENY"
    response["Referrer-Policy"] = "same-origin"
    return response
