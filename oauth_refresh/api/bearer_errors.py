"""Refusals of a bearer request as DRF answers them: the status and challenge of RFC 6750 §3, in any view."""

import logging
from collections.abc import Iterable
from http import HTTPStatus

from rest_framework.exceptions import APIException

from oauth_refresh.bearer import challenge
from oauth_refresh.errors import OAuthError

logger = logging.getLogger(__name__)


class BearerError(APIException):
    """Answer with the error's own status and challenge, whichever authentication class of the view comes first."""

    def __init__(self, error: OAuthError) -> None:
        logger.info("Refused with %s: %s", error.code, error.reason)
        self.status_code = error.status
        self.auth_header = challenge(error)
        super().__init__({"error": error.code, "error_description": error.description})


class TokenRequired(APIException):
    """Ask for a token. Not DRF's NotAuthenticated, which takes the first authentication class for the only one."""

    status_code = HTTPStatus.UNAUTHORIZED
    default_detail = "Authentication credentials were not provided."

    def __init__(self, challenges: Iterable[str]) -> None:
        self.auth_header = ", ".join(challenges)
        super().__init__()


class Unavailable(APIException):
    """A fault of ours. Nothing is known of the token, so the client should come again with it."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The server could not answer now. Try again."
    wait = 5
