"""The authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3), checked in the order in which errors may be reported.

Client and redirect URI come first: an error in one of them is shown to the user only. Every other error is sent to the
client by redirect (RFC 6749 §4.1.2.1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

from django.http import QueryDict
from django.utils.translation import gettext_noop

from oauth_refresh.conf import app_settings
from oauth_refresh.crypto import is_code_challenge
from oauth_refresh.errors import InvalidRequest, UnauthorizedClient, UnsupportedResponseType, UnusableRedirect
from oauth_refresh.models import Application, GrantType
from oauth_refresh.models.redirects import is_usable_redirect_uri
from oauth_refresh.services.client_metadata import find_client, needs_document
from oauth_refresh.services.issuing import grantable_access
from oauth_refresh.services.tokens import Access, RequestedAccess

Query = Mapping[str, Sequence[str]]

_LONGEST_STATE = 8_000  # characters, percent-encoded; Django refuses to redirect to more than 16,384

# Characters of a whole query, percent-encoded once more, as it is in the parameter "next" of the login page. What is
# left of Django's 16,384 is for the URL of that page.
_LONGEST_QUERY = 15_000

# Each may be sent once (RFC 6749 §3.1). Parameters that are not listed are ignored, also when they are repeated.
_PARAMETERS = ("response_type", "scope", "state", "code_challenge", "code_challenge_method", "prompt")
_ALL_PARAMETERS = frozenset({"client_id", "redirect_uri", "resource", *_PARAMETERS})

_TOO_LONG = gettext_noop("The request of the application that sent you here is too long.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectTarget:
    """Where the response is sent: an active application, and one of its registered redirect URIs.

    ``requested_uri`` is the ``redirect_uri`` parameter as it was sent, empty if it was left out: the token request
    must repeat it (RFC 6749 §4.1.3). ``state`` is returned unchanged.
    """

    application: Application
    redirect_uri: str
    requested_uri: str
    state: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A valid request. ``code_challenge`` is empty for a client that does not use PKCE.

    ``prompts`` are the words of ``prompt`` (OpenID Connect Core §3.1.2.1). Unknown ones are ignored, since clients also
    send words that only other servers know.
    """

    target: RedirectTarget
    access: Access
    code_challenge: str
    prompts: frozenset[str]


def read_query(parameters: QueryDict) -> Query:
    """Return what this endpoint reads of a query. Raises UnusableRedirect if the whole query is long, or no text."""
    query = dict(parameters.lists())
    try:
        encoded = urlencode(query, doseq=True)
    except UnicodeEncodeError as error:  # Django decodes it by the charset of the Content-Type, which anyone may name
        raise UnusableRedirect(gettext_noop("The request is malformed or too long.")) from error
    # Django raises for a redirect to the login page that is too long, and anyone can send such a request.
    if len(quote(encoded)) > _LONGEST_QUERY:
        raise UnusableRedirect(_TOO_LONG)
    return {name: values for name, values in query.items() if name in _ALL_PARAMETERS}


def return_query(query: Query) -> str:
    """Return the query with which the login page leads back here.

    ``login`` is left out of ``prompt``: the user signs in now, and would otherwise be sent to sign in again and again.
    Beside ``none`` it stays, so that the request is still refused for it.
    """
    if "none" not in requested_prompts(query) and len(query.get("prompt", ())) == 1:
        rest = " ".join(word for word in query["prompt"][0].split() if word != "login")
        query = {**query, "prompt": [rest] if rest else []}
    return urlencode(query, doseq=True)


def requested_prompts(query: Query) -> frozenset[str]:
    """Return the words of ``prompt``; none if the parameter is repeated, for which the request is refused later."""
    values = query.get("prompt", ())
    return frozenset(values[0].split()) if len(values) == 1 else frozenset()


def find_redirect_target(query: Query, *, user: Any) -> RedirectTarget | None:
    """Return where the response to the request may be sent. Raises UnusableRedirect if it may be sent nowhere.

    None if that is known only once a user is signed in, for whom the metadata document of the client is fetched.

    Nothing that fails here may cause a redirect: an attacker would otherwise choose where the browser goes, or where a
    code is sent (RFC 9700 §4.1, §4.11.2).
    """
    client_id = _unambiguous(query, "client_id") or ""
    if not user.is_authenticated and needs_document(client_id):
        return None
    application = find_client(client_id, user=user)
    if application is None:
        raise UnusableRedirect(gettext_noop("The application that sent you here is unknown or no longer active."))
    registered = application.redirect_uris.split()
    requested = _unambiguous(query, "redirect_uri")
    # With several URIs the client must name one (RFC 6749 §3.1.2.3): a guess may send the code to the wrong place.
    if requested is None and len(registered) != 1:
        raise UnusableRedirect(gettext_noop("The application did not say where to send you back to."))
    redirect_uri = registered[0] if requested is None else requested
    # The comparison is by character, not by prefix or pattern, which attackers extend to addresses of theirs
    # (RFC 9700 §2.1, §4.1.3). The form is checked again, since bulk updates and fixtures bypass the validators, and
    # "javascript:" as a redirect URI would run a script on this site.
    if not application.allows_redirect_uri(redirect_uri) or not is_usable_redirect_uri(redirect_uri):
        raise UnusableRedirect(
            gettext_noop("The application asked to send you back to a URL that is not registered for it.")
        )
    states = query.get("state", ())
    # Checked before a grant is written: Django raises for an address this long, and the code would never arrive.
    if len(quote_plus("".join(states))) > _LONGEST_STATE:
        raise UnusableRedirect(_TOO_LONG)
    return RedirectTarget(
        application=application,
        redirect_uri=redirect_uri,
        requested_uri=requested or "",
        # Clients recognise their own request by it, against CSRF (RFC 6749 §10.12). Of two, neither is known to be
        # the client's own, so none is returned; the request is refused later.
        state=(states[0] or None) if len(states) == 1 else None,
    )


def read_authorization_request(target: RedirectTarget, query: Query, *, user: Any) -> AuthorizationRequest:
    """Return the request, with the part of its scope that ``user`` may grant, at the resources it names (RFC 8707).

    Raises an OAuthError, which may be sent to the redirect target once the user is signed in.
    """
    application = target.application
    for name in _PARAMETERS:
        if len(query.get(name, ())) > 1:
            raise InvalidRequest(f"The parameter {name} is repeated.")
    response_type = _first(query, "response_type")
    if response_type is None:
        raise InvalidRequest("The parameter response_type is missing.")
    if response_type != "code":  # "token" would put an access token into the address (RFC 9700 §2.1.2)
        raise UnsupportedResponseType("The response type is not code.")
    offered = GrantType.AUTHORIZATION_CODE in app_settings.grant_types
    if not offered or not application.allows_grant_type(GrantType.AUTHORIZATION_CODE):
        raise UnauthorizedClient("The authorization code grant is not enabled for the application.")
    prompts = requested_prompts(query)
    if "none" in prompts and len(prompts) > 1:  # OpenID Connect Core §3.1.2.1
        raise InvalidRequest("The prompt none excludes all others.")
    requested = RequestedAccess(scope=_first(query, "scope"), resources=tuple(filter(None, query.get("resource", ()))))
    return AuthorizationRequest(
        target=target,
        access=grantable_access(application, requested, user=user, grant_type=GrantType.AUTHORIZATION_CODE),
        code_challenge=_read_code_challenge(application, query),
        prompts=prompts,
    )


def _read_code_challenge(application: Application, query: Query) -> str:
    """Return the S256 challenge, or an empty string where PKCE may be left out (RFC 7636 §4.4.1, RFC 9700 §2.1.1)."""
    challenge, method = _first(query, "code_challenge"), _first(query, "code_challenge_method")
    if challenge is None:
        # Without PKCE, a stolen code of a public client can be redeemed by anyone. A method without a challenge shows
        # that the client uses PKCE: an attacker who strips the challenge must not succeed (RFC 9700 §4.8).
        if method is not None or application.is_public or application.requires_pkce:
            raise InvalidRequest("The parameter code_challenge is missing.")
        return ""
    # "plain", also the default of a missing method, sends the verifier itself through the browser, where an attacker
    # who sees the request can read it (RFC 7636 §7.2, RFC 9700 §2.1.1).
    if method != "S256":
        raise InvalidRequest("The transform algorithm is not supported: send code_challenge_method=S256.")
    if not is_code_challenge(challenge):
        raise InvalidRequest("The code_challenge is not that of S256: 43 base64url characters.")
    return challenge


def _unambiguous(query: Query, name: str) -> str | None:
    """Return a parameter that decides where the response is sent. Raises UnusableRedirect if it is repeated.

    Of two values, a filter in front of the server might check the one and this server use the other (RFC 6749 §3.1).
    """
    if len(query.get(name, ())) > 1:
        raise UnusableRedirect(gettext_noop("The application that sent you here repeated a parameter of its request."))
    return _first(query, name)


def _first(query: Query, name: str) -> str | None:
    """Return the parameter; None if it is missing or empty, which is the same (RFC 6749 §3.1)."""
    values = query.get(name, ())
    return (values[0] or None) if values else None
