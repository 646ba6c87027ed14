"""The protocol endpoints: token (RFC 6749 §3.2), revoke (RFC 7009), introspect (RFC 7662) and revocations."""

import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.cookies import Morsel, SimpleCookie
from typing import Any, cast

from django.contrib.sessions.backends.base import CreateError
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oauth_refresh.authorization_server import grant_types
from oauth_refresh.authorization_server.requests import (
    ClientRequest,
    find_traded_token,
    read_client_credentials,
    read_parameters,
)
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import (
    RETRY_AFTER_SECONDS,
    InvalidClient,
    InvalidRequest,
    MethodNotAllowed,
    OAuthError,
    TooManyRequests,
    TransactionOpen,
)
from oauth_refresh.http import log_refusal, log_server_error, read_address, read_client_info
from oauth_refresh.services import IssuedTokens, revoke_token
from oauth_refresh.services.clients import authenticate_client
from oauth_refresh.services.introspection import introspect
from oauth_refresh.services.revocation_feed import read_feed

logger = logging.getLogger(__name__)


class DiscardedCookies(SimpleCookie):
    """Cookies that can be set and changed, and are not kept."""

    def __setitem__(self, key: str, value: Any) -> None:
        pass

    def __missing__(self, key: str) -> "Morsel[str]":
        return Morsel()


class ProtocolResponse(Response):
    """An answer to a client, which has no use for the cookies that the host's middleware may set: none is sent."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cookies = DiscardedCookies()


@method_decorator(sensitive_post_parameters(), name="dispatch")
class ProtocolView(APIView):
    """A POST endpoint for clients: it reads no session and no cookie, and no project-wide default of DRF applies.

    Refusals and server errors are turned into JSON here, and nowhere else. They never reach DRF's ``set_rollback``, so
    what a refusal has committed (a grant revoked for reuse) stays.
    """

    http_method_names = ["post"]
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    renderer_classes = (JSONRenderer,)
    versioning_class = None
    may_be_empty = False  # whether a request without parameters, and so without a content type, has a meaning

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Exempt the view from ``ATOMIC_REQUESTS`` of every database: services open their own, durable transactions."""
        view = super().as_view(**initkwargs)
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return view

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if (session := getattr(request, "session", None)) is not None:
            # Django saves a session that middleware has used after the view, and answers 400 or 500 if that fails. The
            # client would then lose the tokens that were just issued.
            session.save = partial(_save_session, session.save)
        response = cast("Response", super().dispatch(request, *args, **kwargs))
        response["Cache-Control"] = "no-store"  # RFC 6749 §5.1: the answer holds tokens
        response["Pragma"] = "no-cache"
        # Before Django logs it, with the request as it came, secrets included.
        log_refusal(request, response)
        return response

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Answer in JSON; neither the Accept header nor the project's own negotiation counts (RFC 6749 §5.1)."""
        return JSONRenderer(), JSONRenderer.media_type

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if app_settings.https_is_required and not request.is_secure():
            raise InvalidRequest("Use https: what was sent in the clear must be regarded as leaked.")

    def read(self, http_request: HttpRequest) -> ClientRequest:
        """Read the form and authenticate the client. Raises InvalidRequest, InvalidClient, TooManyAttempts."""
        parameters = read_parameters(http_request, may_be_empty=self.may_be_empty)
        credentials = read_client_credentials(http_request, parameters)
        client_info = read_client_info(http_request)
        row = find_traded_token(parameters)
        # Authenticate first: a caller who does not must not be able to test or revoke tokens.
        application = authenticate_client(
            credentials,
            client_info=client_info,
            address=client_info.address or read_address(http_request),
            known=None if row is None else row.grant.application,
        )
        return ClientRequest(
            parameters=parameters,
            credentials=credentials,
            application=application,
            client_info=client_info,
            http_request=http_request,
            refresh_token_row=row,
        )

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, OAuthError):
            return _error_response(exc)
        if isinstance(exc, exceptions.MethodNotAllowed):
            return _error_response(MethodNotAllowed(f"Only {self.http_method_names[0].upper()} is allowed."))
        return _server_error_response(self.request._request, exc)


class TokenView(ProtocolView):
    """``POST token``: issue tokens by one of the grant types (RFC 6749 §3.2)."""

    def post(self, request: Request) -> Response:
        return _token_response(grant_types.handle(self.read(request._request)))


class RevokeView(ProtocolView):
    """``POST revoke``: revoke the grant of a token. The hint is not needed: its look-up says what it is."""

    def post(self, request: Request) -> Response:
        client_request = self.read(request._request)
        revoke_token(client_request.application, client_request.parameters.require("token"))
        return ProtocolResponse({})  # client libraries throw on an empty body, either as JSON or as text/html


class IntrospectView(ProtocolView):
    """``POST introspect`` (RFC 7662): whether a token is active, and what it is for. It changes nothing."""

    def post(self, request: Request) -> Response:
        client_request = self.read(request._request)
        return ProtocolResponse(introspect(client_request.application, client_request.parameters.require("token")))


class RevocationsView(ProtocolView):
    """``POST revocations``: what was revoked since a cursor, for APIs that keep answers of introspection."""

    may_be_empty = True

    def post(self, request: Request) -> Response:
        client_request = self.read(request._request)
        return ProtocolResponse(read_feed(client_request.application, client_request.parameters.get("after")))


def _token_response(issued: IssuedTokens) -> Response:
    """Return the success answer; a member without a value is left out, not null."""
    members = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "refresh_token": issued.refresh_token,
        "refresh_token_expires_in": issued.refresh_token_expires_in,
        "scope": issued.scope or None,
    }
    present = {name: value for name, value in members.items() if value is not None}
    return ProtocolResponse(present | issued.further_fields)


def _error_response(error: OAuthError) -> Response:
    """Return the refusal, and log its reason, which is not sent."""
    logger.info("Refused with %s: %s", error.code, error.reason)
    response = ProtocolResponse({"error": error.code, "error_description": error.description}, status=error.status)
    if isinstance(error, InvalidClient):  # also where the client used the body, which RFC 6749 §5.2 leaves open
        response["WWW-Authenticate"] = 'Basic realm="oauth"'
    if isinstance(error, TooManyRequests):
        response["Retry-After"] = str(error.retry_after)
    return response


def _server_error_response(request: HttpRequest, error: Exception) -> Response:
    """Log the error, and return 503 with Retry-After."""
    if isinstance(error, TransactionOpen):  # every request fails until the project is changed: say how, in one line
        logger.error("%s", error)
    response = ProtocolResponse(
        {"error": "temporarily_unavailable", "error_description": "The server could not answer now. Try again."},
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
    log_server_error(error, request=request, response=response)
    return response


def _save_session(save: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    try:
        save(*args, **kwargs)
    except CreateError:
        raise  # Django's create() tries another key
    except Exception as error:  # noqa: BLE001  each session backend has errors of its own
        logger.warning("A session could not be saved (%s); the answer is sent all the same.", type(error).__name__)
