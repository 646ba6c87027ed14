"""Redirect URIs: which may be registered, and which is the same as a registered one (RFC 6749 §3.1.2, RFC 8252 §7)."""

import re
from ipaddress import IPv4Address, IPv6Address

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from oauth_refresh.conf import app_settings

# A literal loopback address with any port, or none: a native app learns its port only when it runs (RFC 8252 §7.3).
_LOOPBACK = r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::([0-9]{1,5}))?((?:[/?].*)?)"
_CHARACTERS = r"[A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]-]+"
_BEHIND_SCHEME = r"/[^\[\]]*"
_PRIVATE_USE = rf"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:{_BEHIND_SCHEME}"
_WEB = r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:[/?][^\[\]]*)?"
_NAME = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HIGHEST_PORT = 65_535
_LONGEST_URI = 2_000


def matches_redirect_uri(uri: str, registered: str) -> bool:
    """Whether ``uri`` is the registered one, character by character; only a loopback address may differ in its port."""
    if uri == registered:
        return True
    asked, known = re.fullmatch(_LOOPBACK, uri), re.fullmatch(_LOOPBACK, registered)
    if asked is None or known is None or asked.group(1, 3) != known.group(1, 3):
        return False
    is_port = int(asked[2] or 0) <= _HIGHEST_PORT
    return is_port and (not asked[1].endswith("localhost") or app_settings.allow_localhost_ports)


def validate_redirect_uris(text: str) -> None:
    """Allow https, http on a loopback address, and private-use schemes (RFC 8252 §7, RFC 9700 §2.6).

    A scheme has a period, so that its owner is known by their domain, or is one of ``REDIRECT_SCHEMES``.
    """
    for uri in text.split():
        if (problem := _problem(uri)) is not None:
            raise ValidationError("%(uri)s: %(problem)s", params={"uri": uri, "problem": problem})


def is_usable_redirect_uri(uri: str) -> bool:
    """Whether ``uri`` may be registered; a row may have been written past the validator."""
    return _problem(uri) is None


def _problem(uri: str) -> str | None:
    """Return what to write instead, or None if the URI means the same to us as to every browser."""
    # The answer is appended to the query; behind a fragment it would never reach the client's server.
    if "#" in uri:
        return _("leave out the fragment (RFC 6749 §3.1.2).")
    if re.fullmatch(_CHARACTERS, uri) is None or len(uri) > _LONGEST_URI:
        return _("write only the characters of a URI (RFC 3986 §2), at most 2,000, others percent-encoded.")
    scheme, _colon, rest = uri.partition(":")
    if re.fullmatch(_PRIVATE_USE, uri) or (
        scheme in app_settings.redirect_schemes and re.fullmatch(_BEHIND_SCHEME, rest)
    ):
        return None
    web = re.fullmatch(_WEB, uri)
    if web is None or int(web["port"] or 0) > _HIGHEST_PORT or not _is_host(web["host"]):
        return _(
            "write an absolute https URI with a host and without user or password, or a private-use scheme with a "
            "period, like com.example.app:/callback, or one of REDIRECT_SCHEMES."
        )
    if web["scheme"] == "http" and not _is_loopback(web["host"]):
        return _("plain http is only for loopback addresses; write https.")
    return None


def _is_host(text: str) -> bool:
    """Whether it is a name or a plainly written address: browsers read 0x7f.1 as an address, too."""
    return re.fullmatch(_NAME, text) is not None or _address(text) is not None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return IPv6Address(host[1:-1]) if host.startswith("[") else IPv4Address(host)
    except ValueError:
        return None
