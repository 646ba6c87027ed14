"""The authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3), in the order in which its faults may be told.

First the client and the redirect URI, whose faults only the user may see; then everything else, whose faults go to the
client by redirect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from django.utils.translation import gettext_noop

from oauth_refresh.conf import app_settings
from oauth_refresh.crypto import is_code_challenge
from oauth_refresh.errors import InvalidRequest, UnauthorizedClient, UnsupportedResponseType, UnusableRedirect
from oauth_refresh.models import Application, GrantType
from oauth_refresh.models.redirects import is_usable_redirect_uri
from oauth_refresh.services.clients import find_application
from oauth_refresh.services.issuing import grantable_scope

_LONGEST_STATE = 8_000  # percent-encoded; Django redirects to no address of over 16,384 characters

# Each may come once (RFC 6749 §3.1). What is not listed is ignored, however often it comes.
_PARAMETERS = ("response_type", "scope", "state", "code_challenge", "code_challenge_method")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Where the answer goes: a known application, and a redirect URI that is its own."""

    application: Application
    redirect_uri: str
    named_redirect_uri: str
    state: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """What the recipient's application asks the user for; no ``code_challenge``: no PKCE."""

    recipient: Recipient
    scope: tuple[str, ...]
    code_challenge: str


def find_recipient(query: Mapping[str, Sequence[str]]) -> Recipient:
    """Return to whom the request's answer may be sent. Raises UnusableRedirect if to nobody."""
    application = find_application(_only(query, "client_id") or "")
    if application is None or not application.is_active:
        raise UnusableRedirect(gettext_noop("The application that sent you here is not known, or not active any more."))
    registered = application.redirect_uris.split()
    named = _only(query, "redirect_uri")
    if named is None and len(registered) != 1:
        raise UnusableRedirect(gettext_noop("The application did not say where to send you back to."))
    redirect_uri = registered[0] if named is None else named
    if not application.allows_redirect_uri(redirect_uri) or not is_usable_redirect_uri(redirect_uri):
        raise UnusableRedirect(
            gettext_noop("The application wants to send you back to an address that is not registered.")
        )
    states = query.get("state", ())
    if len(quote_plus("".join(states))) > _LONGEST_STATE:
        raise UnusableRedirect(gettext_noop("The application that sent you here sent too long a text along."))
    return Recipient(
        application=application,
        redirect_uri=redirect_uri,
        named_redirect_uri=named or "",
        state=(states[0] or None) if len(states) == 1 else None,
    )


def read_authorization_request(
    recipient: Recipient, query: Mapping[str, Sequence[str]], *, user: Any
) -> AuthorizationRequest:
    """Return what is asked for, and ``user``'s to grant. Raises an OAuthError, which may be sent to the recipient."""
    application = recipient.application
    for name in _PARAMETERS:
        if len(query.get(name, ())) > 1:
            raise InvalidRequest(f"The parameter {name} is repeated.")
    response_type = _first(query, "response_type")
    if response_type is None:
        raise InvalidRequest("The parameter response_type is missing.")
    if response_type != "code":
        raise UnsupportedResponseType("The response type is not code.")
    offered = GrantType.AUTHORIZATION_CODE in app_settings.grant_types
    if not offered or not application.allows_grant_type(GrantType.AUTHORIZATION_CODE):
        raise UnauthorizedClient("The authorization code grant is not enabled for the application.")
    return AuthorizationRequest(
        recipient=recipient,
        scope=grantable_scope(application, _first(query, "scope"), user=user),
        code_challenge=_challenge(application, query),
    )


def _challenge(application: Application, query: Mapping[str, Sequence[str]]) -> str:
    """Return the S256 challenge, or nothing where PKCE may be left out (RFC 7636 §4.4.1, RFC 9700 §2.1.1)."""
    challenge, method = _first(query, "code_challenge"), _first(query, "code_challenge_method")
    if challenge is None:
        if method is not None or application.is_public or application.requires_pkce:
            raise InvalidRequest("The parameter code_challenge is missing.")
        return ""
    if method != "S256":
        raise InvalidRequest("The transform algorithm is not supported: send code_challenge_method=S256.")
    if not is_code_challenge(challenge):
        raise InvalidRequest("The code_challenge is not that of S256: 43 base64url characters.")
    return challenge


def _only(query: Mapping[str, Sequence[str]], name: str) -> str | None:
    """Return a parameter that decides where the answer goes. Raises UnusableRedirect if it is repeated."""
    if len(query.get(name, ())) > 1:
        raise UnusableRedirect(
            gettext_noop("The application that sent you here repeated a parameter, so its request is unclear.")
        )
    return _first(query, name)


def _first(query: Mapping[str, Sequence[str]], name: str) -> str | None:
    values = query.get(name, ())
    return (values[0] or None) if values else None
