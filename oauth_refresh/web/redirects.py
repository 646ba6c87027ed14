"""The way back to the client (RFC 6749 §4.1.2, RFC 9207)."""

from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

from django.http import HttpResponseRedirect

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import OAuthError
from oauth_refresh.grant_types.authorization_request import Recipient


class RedirectToClient(HttpResponseRedirect):
    """Send the browser to the client's registered URI, whatever its scheme: a native app may own one."""

    status_code = HTTPStatus.SEE_OTHER  # a 307 would send the form, and with it a password, on (RFC 9700 §4.12)

    def __init__(self, recipient: Recipient, answer: dict[str, str]) -> None:
        uri = recipient.redirect_uri
        self.allowed_schemes = [urlsplit(uri).scheme]
        members = answer | {"state": recipient.state, "iss": app_settings.issuer}
        query = urlencode({name: value for name, value in members.items() if value is not None})
        super().__init__(f"{uri}{'&' if '?' in uri else '?'}{query}")


def redirect_with_code(recipient: Recipient, raw_code: str) -> RedirectToClient:
    return RedirectToClient(recipient, {"code": raw_code})


def redirect_with_error(recipient: Recipient, error: OAuthError) -> RedirectToClient:
    return RedirectToClient(recipient, {"error": error.code, "error_description": error.description})


def form_action_source(redirect_uri: str) -> str:
    """Return what a Content-Security-Policy must allow so that a form's answer may redirect to ``redirect_uri``."""
    parts = urlsplit(redirect_uri)
    if parts.scheme not in {"http", "https"} or ":" in (parts.hostname or ""):
        return f"{parts.scheme}:"  # the grammar of sources has no IPv6 address
    return f"{parts.scheme}://{parts.netloc}"


def destination(redirect_uri: str) -> str:
    """Return what a person may know the way back by: the host of a site, else the scheme that an app has claimed."""
    parts = urlsplit(redirect_uri)
    return (parts.hostname or "") if parts.scheme in {"http", "https"} else parts.scheme
