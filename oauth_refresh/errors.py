"""Errors that refuse a request (RFC 6749 §5.2): the public text for the client, and the reason for the log."""

from http import HTTPStatus
from typing import ClassVar

from django.utils.translation import gettext_noop

RETRY_AFTER_SECONDS = 5
"""When a client should send a request again that was answered with 503."""


class OAuthError(Exception):
    """Refuse a protocol request.

    The class fixes what the client sees: ``code``, ``status`` and ``description``. ``reason`` is a fixed sentence for
    the log and the tests. It never repeats what the client sent, which could be a secret or forge a line of the log.
    """

    code: ClassVar[str]
    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    public_description: ClassVar[str]

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def description(self) -> str:
        return self.public_description


class InvalidRequest(OAuthError):
    """The request is malformed. Its reason is public: it names the parameter to correct and nothing else."""

    code = "invalid_request"

    @property
    def description(self) -> str:
        return self.reason


class RequestTooLarge(InvalidRequest):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class TooManyRequests(OAuthError):
    """Too much of something; the client keeps what it has. ``retry_after``: seconds until it may try again."""

    code = "temporarily_unavailable"
    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, reason: str, *, retry_after: int) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class TooManyAttempts(TooManyRequests):
    public_description = "Authentication failed too often. Try again later."


class TooManyRetries(TooManyRequests):
    public_description = "The refresh token was presented too often at once. Use the newest one, or try again later."


class MethodNotAllowed(InvalidRequest):
    status = HTTPStatus.METHOD_NOT_ALLOWED


class InvalidClient(OAuthError):
    """Client authentication failed. Always 401 with a challenge; RFC 6749 §5.2 requires it for the header only."""

    code = "invalid_client"
    status = HTTPStatus.UNAUTHORIZED
    public_description = "Client authentication failed."


class SymmetricAssertion(InvalidClient):
    public_description = (
        "Sign client assertions with a private key (private_key_jwt): client_secret_jwt is not offered, "
        "because the server keeps no readable secret."
    )


class InvalidGrant(OAuthError):
    """One answer for every unusable credential: it must not show whether a guess hit a spent or revoked one."""

    code = "invalid_grant"
    public_description = "The credential presented is invalid, expired, revoked, or was issued to another client."


class WrongPassword(InvalidGrant):
    """Looks to the client like any other unusable credential, but is counted, since it may be a guess."""


class UnauthorizedClient(OAuthError):
    code = "unauthorized_client"
    public_description = "This client may not use this grant type."


class NotAResourceServer(UnauthorizedClient):
    """RFC 6749 has no error for an endpoint that an authenticated client may not use; 403 says so to any client."""

    status = HTTPStatus.FORBIDDEN
    public_description = "Only an application that is marked as a resource server may read the revocations."


class UnsupportedGrantType(OAuthError):
    code = "unsupported_grant_type"
    public_description = "The server does not offer this grant type."


class UnsupportedResponseType(OAuthError):
    code = "unsupported_response_type"
    public_description = "The server offers response_type=code only."


class AccessDenied(OAuthError):
    code = "access_denied"
    public_description = "The user refused."


class LoginRequired(OAuthError):
    """No user is signed in, and the client asked for an answer without a page (OpenID Connect Core §3.1.2.6)."""

    code = "login_required"
    public_description = "The user is not signed in, and prompt=none forbids asking."


class ConsentRequired(OAuthError):
    """The user must consent, and the client asked for an answer without a page (OpenID Connect Core §3.1.2.6)."""

    code = "consent_required"
    public_description = "The user has not allowed this yet, and prompt=none forbids asking."


class NoLongerActive(AccessDenied):
    """The application or the user was deactivated, or the user's password changed, while the user was deciding."""

    public_description = "The server refused."


class ServerError(OAuthError):
    """A server error at the authorization endpoint, where a redirect has no status to carry it (RFC 6749 §4.1.2.1)."""

    code = "server_error"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    public_description = gettext_noop("The server could not answer now. Try again.")


class UnusableRedirect(OAuthError):
    """The response to an authorization request may not be sent anywhere, so the user sees why (RFC 6749 §4.1.2.1)."""

    code = "invalid_request"

    @property
    def description(self) -> str:
        return self.reason


class InvalidScope(OAuthError):
    """``scope`` is the first wrong scope token of the request, which the client may see (RFC 6749 §3.3)."""

    code = "invalid_scope"
    public_description = "The scope is malformed, unknown, or wider than what may be granted."
    _LONGEST_SCOPE = 200  # the answer may be a redirect, whose length is limited

    def __init__(self, reason: str, *, scope: str | None = None) -> None:
        super().__init__(reason)
        self.scope = scope if scope is None or len(scope) <= self._LONGEST_SCOPE else None

    @property
    def description(self) -> str:
        text = self.public_description
        return text if self.scope is None else f"{text.removesuffix('.')}: {self.scope}"


class InvalidTarget(OAuthError):
    """The requested resource is unknown, malformed, or was not granted (RFC 8707 §2)."""

    code = "invalid_target"
    public_description = "The requested resource is malformed, unknown, or was not granted."


class InvalidToken(OAuthError):
    """The access token of a request to an API is not valid (RFC 6750 §3.1)."""

    code = "invalid_token"
    status = HTTPStatus.UNAUTHORIZED
    public_description = "The access token is invalid, expired or revoked."


class InsufficientScope(OAuthError):
    """The access token is valid, but lacks a scope. ``scopes``: those that are required (RFC 6750 §3.1)."""

    code = "insufficient_scope"
    status = HTTPStatus.FORBIDDEN
    public_description = "The access token does not allow this."

    def __init__(self, reason: str, *, scopes: tuple[str, ...]) -> None:
        super().__init__(reason)
        self.scopes = scopes


class RefreshVetoed(Exception):
    """Raise this in a ``refresh_token_exchanged`` receiver to refuse the refresh.

    Its text goes to the log; the client sees ``invalid_grant``.
    """


class ReceiverMissing(RuntimeError):
    """The receiver that spends old refresh tokens did not act, so nothing may be issued. Answered with 503."""


class ConcurrentChange(Exception):
    """Another request changed or revoked the grant first. The transaction is rolled back and the request retried."""


class ImporterFailed(RuntimeError):
    """An importer of ``FOREIGN_TOKENS`` raised an error, so a token could not be looked up. Answered with 503."""


class AutocommitOff(RuntimeError):
    """The database connection does not commit by itself, so nothing would be stored. Answered with 503."""


class TransactionOpen(RuntimeError):
    """A transaction is already open, in which a decision could still be rolled back. Answered with 503."""


class TransactionBroken(RuntimeError):
    """A receiver caught a database error in our transaction, so nothing can be stored. Answered with 503."""


class ContentionError(RuntimeError):
    """A refresh or redemption failed repeatedly because of concurrent changes. Answered with 503."""
