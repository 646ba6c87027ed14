"""What several parts of the package do with one HTTP request: read who sent it, log an error, protect a page."""

import re
import traceback
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address
from typing import cast
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render, resolve_url
from django.urls import URLResolver, get_resolver, get_urlconf, reverse
from django.utils.encoding import escape_uri_path
from django.utils.log import log_response
from django.utils.translation import gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import RETRY_AFTER_SECONDS, InvalidRequest, OAuthError

USER_AGENT_LENGTH = 255

_APP_NAME = "oauth_refresh"

PAGE_DECORATORS = (login_not_required, never_cache, csrf_protect)
"""What decorates ``dispatch`` of a page.

``login_not_required``: the views ask for a login themselves, so that a request over plain http or from an unknown
application is refused first, without a password being typed. ``never_cache``: a page shows what one user has allowed,
and a redirect carries a code. ``csrf_protect``: another site must not be able to allow or disconnect an application
(RFC 6749 §10.12), also where the project does not use the middleware.
"""

# A node as proxies write it (RFC 7239 §6): an address alone, in brackets or quotes, with a port, or after "for=".
_NODE = re.compile(
    r'(?:for=)?"?(?:\[(?P<bracketed>[^\s\[\]]+)\](?::[\w.-]*)?|(?P<with_port>[^\s:";]+):[\w.-]*|(?P<bare>[^\s\[\]";]+))'
    r'"?(?:;.*)?',
    re.ASCII | re.IGNORECASE,
)
_SECRET_META_NAMES = re.compile("API|ASSERTION|AUTH|COOKIE|JWT|KEY|PASS|QUERY_STRING|SECRET|SIGNATURE|TOKEN")

# Where a request keeps what the client sent. Other attributes are the project's, whose log filters may read them.
_REQUEST_DATA = frozenset({"COOKIES", "FILES", "GET", "META", "POST", "environ", "headers", "scope"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientInfo:
    """Where a request came from, as far as the project records it."""

    address: str | None = None
    user_agent: str = ""


NO_CLIENT_INFO = ClientInfo()


def read_client_info(request: HttpRequest) -> ClientInfo:
    """Return address and user agent; nothing if ``RECORD_CLIENT_INFO`` is off."""
    if not app_settings.record_client_info:
        return NO_CLIENT_INFO
    user_agent = request.headers.get("User-Agent", "")[:USER_AGENT_LENGTH]
    if not user_agent.isprintable():  # control characters could forge lines of a log, and databases refuse NUL
        user_agent = "".join(character if character.isprintable() else " " for character in user_agent)
    return ClientInfo(address=read_address(request), user_agent=user_agent)


def read_address(request: HttpRequest) -> str | None:
    """Return the peer's address, or the one that the outermost of ``NUM_PROXIES`` trusted proxies saw.

    None where there is none: behind a Unix socket, or if a proxy writes ``unknown`` or a name of its own.
    """
    node = request.META.get("REMOTE_ADDR") or ""
    if proxies := app_settings.num_proxies:
        forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
        # Each proxy appends the peer it saw. Entries further left were written by the client, which may forge them.
        node = forwarded[-proxies:][0] if forwarded else node
    if (form := _NODE.fullmatch(node.strip())) is None:
        return None
    host = form["bracketed"] or form["with_port"] or form["bare"]
    try:
        return str(ip_address(host.partition("%")[0]))  # without the zone of an IPv6 address
    except ValueError:
        return None


def log_server_error(error: Exception, *, request: HttpRequest, response: HttpResponse) -> None:
    """Log the error that led to ``response``, with its traceback, to ``django.request``.

    Always at level ERROR, also where the answer is a redirect, so that administrators get a report.
    """
    clear_local_variables(error)
    log_response(
        "Server error at %s",
        request.path,
        response=response,
        request=without_secrets(request),
        level="error",
        exception=error,
    )


def clear_local_variables(error: BaseException) -> None:
    """Clear the frames of the error and of its causes before it is logged.

    Error reports print the local variables of each frame, which may hold raw tokens, secrets and passwords, also in
    the project's code. A frame that still runs, such as the one that caught the error, cannot be cleared and is left
    out.
    """
    running = {id(frame) for frame, _line in traceback.walk_stack(None)}
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        chained = pending.pop()
        if chained is None or id(chained) in seen:  # causes may form a cycle
            continue
        seen.add(id(chained))
        while chained.__traceback__ is not None and id(chained.__traceback__.tb_frame) in running:
            chained.__traceback__ = chained.__traceback__.tb_next
        traceback.clear_frames(chained.__traceback__)
        pending += [chained.__cause__, chained.__context__, *getattr(chained, "exceptions", ())]


def log_refusal(request: HttpRequest, response: HttpResponseBase) -> None:
    """Log a response of status 4xx or 5xx in Django's place, but without the credentials in the request."""
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        log_response(
            "%s: %s",
            response.reason_phrase,
            request.path,
            response=cast("HttpResponse", response),  # Django's own callers pass every kind of response
            request=without_secrets(request),
        )


def without_secrets(request: HttpRequest) -> HttpRequest:
    """Return a copy of the request for logs and error reports, without query string, body, cookies and credentials.

    The request itself is not changed: the project's middleware and the server's access log read it afterwards.
    """
    cleaned = HttpRequest()
    for name, value in vars(request).items():
        if name not in _REQUEST_DATA and not name.startswith("_"):
            setattr(cleaned, name, value)
    cleaned.method, cleaned.path, cleaned.path_info = request.method, request.path, request.path_info
    cleaned.resolver_match = request.resolver_match
    cleaned.META = {name: value for name, value in request.META.items() if not _is_secret(name, value)}
    return cleaned


def _is_secret(name: str, value: object) -> bool:
    """Whether an entry of ``META`` may hold a secret.

    Text with a "?" may be an address with a query string: RAW_URI of gunicorn, REQUEST_URI of uWSGI, X-Original-URI of
    proxies, and the Referer, in which a browser client sends the address that its code came to. Values that are not
    text, such as ``wsgi.input``, lead to the body.
    """
    return not isinstance(value, str) or "?" in value or _SECRET_META_NAMES.search(name) is not None


def endpoint_path(name: str) -> str:
    """Return the path of an endpoint, such as ``token``. Raises NoReverseMatch where the project has none."""
    return reverse(f"{url_namespace()}:{name}")


def url_namespace(request: HttpRequest | None = None) -> str:
    """Return the namespace of our URLs: the one that the request was sent to, else the outermost of the project.

    A project may include them more than once, or inside a namespace of its own, as plugins of pretix and NetBox do.
    """
    match = request.resolver_match if request is not None else None
    if match is not None and match.app_names[-1:] == [_APP_NAME]:
        return match.namespace
    return _outermost_namespace(get_resolver(get_urlconf()))


@lru_cache(maxsize=8)
def _outermost_namespace(resolver: URLResolver) -> str:
    waiting: deque[tuple[tuple[str, ...], URLResolver]] = deque([((), resolver)])
    seen: set[int] = set()
    while waiting:
        outer, parent = waiting.popleft()
        if id(parent.url_patterns) in seen:  # a URLconf may include itself
            continue
        seen.add(id(parent.url_patterns))
        for child in parent.url_patterns:
            if not isinstance(child, URLResolver):
                continue
            if child.app_name == _APP_NAME:
                return ":".join((*outer, _APP_NAME))
            if child.namespace:
                waiting.append(((*outer, child.namespace), child))
            else:
                waiting.appendleft((outer, child))
    return _APP_NAME


def require_https(request: HttpRequest) -> None:
    """Raise InvalidRequest for plain http, where the project requires https."""
    if app_settings.https_is_required and not request.is_secure():
        raise InvalidRequest(gettext_noop("This page must be opened over https."))


def redirect_to_sign_in(request: HttpRequest, query: str) -> HttpResponse:
    """Redirect to ``LOGIN_URL``, which leads back to this page with ``query``: what the page reads, and nothing else.

    The query of the request itself may hold anything, and be longer than Django redirects to.
    """
    address = escape_uri_path(request.path) + (f"?{query}" if query else "")
    login = urlsplit(resolve_url(django_settings.LOGIN_URL))
    if login.scheme or login.netloc:
        here = request.build_absolute_uri(address)
        own = urlsplit(here)
        if (login.scheme or own.scheme, login.netloc or own.netloc) != (own.scheme, own.netloc):
            address = here  # a login page on another host would take a path for one of its own
    return redirect_to_login(address)


def refusal_page(
    request: HttpRequest, error: OAuthError, *, template: str = "oauth_refresh/refusal.html"
) -> HttpResponse:
    """Return a page that shows the user what is wrong. It repeats nothing of the request, and has no form."""
    response = render(request, template, {"error": error}, status=error.status)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return protect_page(response)


def protect_page(response: HttpResponse) -> HttpResponse:
    """Set the headers that protect a page of ours, and return it.

    No Content-Security-Policy: a header of ours would replace that of the project, which alone knows what its base
    template loads.
    """
    # Clickjacking: a page that frames ours invisibly could make the user press "Allow" (RFC 9700 §4.16).
    response["X-Frame-Options"] = "DENY"
    # The address may hold the client's state, so other sites must not learn it (RFC 9700 §4.2.4). "no-referrer" would
    # make browsers send "Origin: null" with the form, which Django's CSRF check refuses.
    response["Referrer-Policy"] = "same-origin"
    return response
