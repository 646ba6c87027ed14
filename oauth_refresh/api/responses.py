"""Every answer of a protocol endpoint (RFC 6749 §5.1, §5.2): success, refusal, and a fault of ours."""

import logging
from http import HTTPStatus

from django.http import HttpRequest
from rest_framework.response import Response

from oauth_refresh.errors import InvalidClient, OAuthError, TooManyAttempts
from oauth_refresh.faults import log_fault
from oauth_refresh.services import IssuedTokens

logger = logging.getLogger(__name__)

_RETRY_AFTER_SECONDS = 5


def token_response(issued: IssuedTokens) -> Response:
    """Return the success answer; a member without a value is left out, not null."""
    members = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "refresh_token": issued.refresh_token,
        "refresh_token_expires_in": issued.refresh_token_expires_in,
        "scope": issued.scope or None,
    }
    return Response({name: value for name, value in members.items() if value is not None} | issued.further_fields)


def error_response(error: OAuthError) -> Response:
    """Return the refusal and log its reason, which the client is not told."""
    logger.info("Refused with %s: %s", error.code, error.reason)
    response = Response({"error": error.code, "error_description": error.description}, status=error.status)
    if isinstance(error, InvalidClient):
        response["WWW-Authenticate"] = 'Basic realm="oauth"'
    if isinstance(error, TooManyAttempts):
        response["Retry-After"] = str(error.retry_after)
    return response


def fault_response(request: HttpRequest, fault: Exception) -> Response:
    """Log a fault of ours and ask the client to come again."""
    response = Response(
        {"error": "temporarily_unavailable", "error_description": "The server could not answer now. Try again."},
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
    )
    log_fault(fault, request=request, response=response)
    return response
