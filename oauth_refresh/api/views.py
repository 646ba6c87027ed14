"""The protocol endpoints: token (RFC 6749 §3.2) and revoke (RFC 7009)."""

from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oauth_refresh import grant_types
from oauth_refresh.api.client_credentials import read_client_credentials
from oauth_refresh.api.forms import read_parameters
from oauth_refresh.api.responses import error_response, fault_response, token_response
from oauth_refresh.api.throttling import limited_failures
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidClient, InvalidRequest, MethodNotAllowed, OAuthError, WrongPassword
from oauth_refresh.grant_types import ClientRequest
from oauth_refresh.grant_types.client_info import read_client_info
from oauth_refresh.services import revoke_token
from oauth_refresh.services.clients import authenticate_client
from oauth_refresh.services.introspection import introspect


class AlwaysJSON(DefaultContentNegotiation):
    """Answer in JSON whatever a client says it would like: the protocol knows nothing else (RFC 6749 §5.1)."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


@method_decorator(sensitive_post_parameters(), name="dispatch")
class ProtocolView(APIView):
    """A POST endpoint for clients: it knows no session, no cookie and no project-wide default of DRF.

    Refusals and faults are turned into JSON here, and nowhere else. They never reach DRF's ``set_rollback``, so what a
    refusal has committed (a grant revoked for reuse) stays.
    """

    http_method_names = ["post"]
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AlwaysJSON
    versioning_class = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Exempt the view from ``ATOMIC_REQUESTS`` of every database: services open their own, durable transactions."""
        view = super().as_view(**initkwargs)
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return view

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        _forget_what_is_not_read(request)
        response = super().dispatch(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        response["Pragma"] = "no-cache"
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if app_settings.https_is_required and not request.is_secure():
            raise InvalidRequest("Use https: what was sent in the clear must be regarded as leaked.")

    def read(self, http_request: HttpRequest) -> ClientRequest:
        """Return the request with its client authenticated, which is settled before anything else is looked at."""
        parameters = read_parameters(http_request)
        credentials = read_client_credentials(http_request, parameters)
        client_info = read_client_info(http_request)
        with limited_failures(http_request, kind="client", name=credentials.client_id, failure=InvalidClient):
            application = authenticate_client(credentials, client_info=client_info)
        return ClientRequest(
            parameters=parameters, application=application, client_info=client_info, http_request=http_request
        )

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, OAuthError):
            return error_response(exc)
        if isinstance(exc, exceptions.MethodNotAllowed):
            return error_response(MethodNotAllowed(f"Only {self.http_method_names[0].upper()} is allowed."))
        return fault_response(self.request._request, exc)


class TokenView(ProtocolView):
    """``POST token``: trade a grant for an access token, and mostly a refresh token."""

    def post(self, request: Request) -> Response:
        client_request = self.read(request._request)
        username = client_request.parameters.get("username")  # of the password grant only
        with limited_failures(request._request, kind="user", name=username, failure=WrongPassword):
            return token_response(grant_types.exchange(client_request))


class RevokeView(ProtocolView):
    """``POST revoke``: end the session of a token. The hint is not needed: a token's prefix says what it is."""

    def post(self, request: Request) -> HttpResponse:
        client_request = self.read(request._request)
        revoke_token(client_request.application, client_request.parameters.require("token"))
        # Empty, but declared as JSON: a common client library throws on an empty text/html.
        return HttpResponse(content_type=JSONRenderer.media_type)


class IntrospectView(ProtocolView):
    """``POST introspect`` (RFC 7662): whether a token is live, and what it is for. It changes nothing."""

    def post(self, request: Request) -> Response:
        client_request = self.read(request._request)
        return Response(introspect(client_request.application, client_request.parameters.require("token")))


class _NoSession(SessionBase):
    """A session for middleware to look at: empty, and never stored or sent."""

    def is_empty(self) -> bool:
        return True

    def save(self, must_create: bool = False) -> None:
        pass


def _forget_what_is_not_read(request: HttpRequest) -> None:
    """Drop query string and cookies, and what middleware took from them.

    So they neither matter here, nor come back as Set-Cookie, nor carry a misplaced secret into an error report.
    """
    for name in ("QUERY_STRING", "RAW_URI", "REQUEST_URI"):
        request.META.pop(name, None)
    request.META["QUERY_STRING"] = ""
    vars(request).pop("GET", None)
    request.COOKIES.clear()
    request.META.pop("CSRF_COOKIE_NEEDS_UPDATE", None)
    if hasattr(request, "session"):
        request.session = _NoSession()
    if hasattr(request, "_messages"):
        request._messages = type(request._messages)(request)
