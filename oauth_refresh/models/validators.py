"""What an application's own fields may hold. Each raises ValidationError with what to write instead."""

from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidScope
from oauth_refresh.scopes import parse_scope


def validate_client_id(text: str) -> None:
    """Allow visible ASCII and spaces (RFC 6749 App. A.1)."""
    if not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValidationError(_("Write visible ASCII characters; spaces only inside."))


def validate_scope(text: str) -> None:
    """Allow only scopes that the project's settings know."""
    try:
        unknown = [name for name in parse_scope(text) if name not in app_settings.scopes]
    except InvalidScope as error:
        raise ValidationError(str(error)) from error
    if unknown:
        raise ValidationError(
            _("Unknown scope: %(unknown)s. Add it to OAUTH_REFRESH['SCOPES'], or choose from: %(known)s."),
            params={"unknown": " ".join(unknown), "known": " ".join(app_settings.scopes)},
        )


def validate_redirect_uris(text: str) -> None:
    """Allow https, http on a loopback address, and private-use schemes with a period (RFC 8252 §7, RFC 9700 §2.6)."""
    for uri in text.split():
        _validate_redirect_uri(uri)


def _validate_redirect_uri(uri: str) -> None:
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError as error:
        raise ValidationError(_("%(uri)s is not a URI."), params={"uri": uri}) from error
    if "#" in uri:
        raise ValidationError(_("%(uri)s: leave out the fragment (RFC 6749 §3.1.2)."), params={"uri": uri})
    is_native = "." in parts.scheme
    if parts.scheme not in {"https", "http"} and not is_native:
        raise ValidationError(
            _("%(uri)s: write an https URI, or a private-use scheme with a period, like com.example.app:/callback."),
            params={"uri": uri},
        )
    if not is_native and not host:
        raise ValidationError(_("%(uri)s: write an absolute URI with a host."), params={"uri": uri})
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValidationError(
            _("%(uri)s: plain http is only for loopback addresses; write https."), params={"uri": uri}
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def validate_jwks(jwks: Any) -> None:
    """Allow a JSON Web Key Set (RFC 7517 §5) of public keys only."""
    if not isinstance(jwks, dict) or not isinstance(jwks.get("keys"), list) or not jwks["keys"]:
        raise ValidationError(_('Write a JSON Web Key Set: {"keys": [...]} with at least one key.'))
    try:
        keys = KeySet.import_key_set(cast("KeySetSerialization", jwks)).keys
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValidationError(_("A key of the set cannot be read.")) from error
    if any(key.key_type == "oct" or key.is_private for key in keys):
        raise ValidationError(_("Leave private and symmetric keys out: the set may hold public keys only."))
