"""The authorization endpoint (RFC 6749 §3.1): whoever is signed in says whether an application may act for them."""

import logging
from typing import Any

from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import AccessDenied, OAuthError, ServerError
from oauth_refresh.faults import log_fault
from oauth_refresh.grant_types.authorization_request import (
    AuthorizationRequest,
    Recipient,
    find_recipient,
    read_authorization_request,
)
from oauth_refresh.grant_types.client_info import read_client_info
from oauth_refresh.services.codes import Consent, has_consented, issue_code
from oauth_refresh.web.protection import PROTECTION, protected, refusal_page, require_https
from oauth_refresh.web.redirects import destination, form_action_source, redirect_with_code, redirect_with_error

logger = logging.getLogger(__name__)


@method_decorator(PROTECTION, name="dispatch")
class AuthorizeView(View):
    """``GET authorize`` shows the consent page, ``POST authorize`` takes the user's decision.

    A fault in client or redirect URI is a page for the user. Only after the user is known to be signed in does
    anything go to the client, so that the endpoint is no open redirector (RFC 9700 §4.11.2).
    """

    http_method_names = ["get", "post"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if app_settings.issuer is None:
            raise Http404("OAUTH_REFRESH['ISSUER'] is not set, so there is no authorization endpoint.")
        query, recipient = dict(request.GET.lists()), None
        try:
            require_https(request)
            recipient = find_recipient(query)
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            return super().dispatch(request, read_authorization_request(recipient, query, user=request.user))
        except OAuthError as error:
            logger.info("Refused with %s: %s", error.code, error.reason)
            return _tell(request, recipient, error)
        except Exception as fault:  # noqa: BLE001  the catch-all of this endpoint
            response = _tell(request, recipient, ServerError("A fault of ours."))
            log_fault(fault, request=request, response=response)
            return response

    def get(self, request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
        """Ask the user, or not: an application of the project's own, or one that they allowed all this before.

        Always ask where another application on the same device may catch the redirect (RFC 8252 §8.6).
        """
        application, is_site = asked.recipient.application, asked.recipient.redirect_uri.startswith("https:")
        if is_site and app_settings.remember_consent and has_consented(application, request.user, asked.scope):
            return _allow(request, asked, consented=True)
        if is_site and application.is_trusted:
            return _allow(request, asked, consented=False)
        return _consent_page(request, asked)

    def post(self, request: HttpRequest, asked: AuthorizationRequest) -> HttpResponse:
        decision = request.POST.get("decision")
        if decision == "switch":
            logout(request)
            return redirect_to_login(request.get_full_path())
        if decision != "allow":
            raise AccessDenied("The user refused.")
        return _allow(request, asked, consented=True)


def _tell(request: HttpRequest, recipient: Recipient | None, error: OAuthError) -> HttpResponse:
    """Send the error to the client, or where there is none to send it to, show it to the user."""
    return refusal_page(request, error) if recipient is None else redirect_with_error(recipient, error)


def _allow(request: HttpRequest, asked: AuthorizationRequest, *, consented: bool) -> HttpResponse:
    consent = Consent(
        application=asked.recipient.application,
        user=request.user,
        scope=asked.scope,
        redirect_uri=asked.recipient.named_redirect_uri,
        code_challenge=asked.code_challenge,
        consented=consented,
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
    return protected(response, form_action=f"'self' {form_action_source(redirect_uri)}")
