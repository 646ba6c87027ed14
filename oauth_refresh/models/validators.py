"""What an application's own fields may hold. Each raises ValidationError with what to write instead."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.hashers import identify_hasher
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from oauth_refresh import jose
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidScope
from oauth_refresh.models.choices import GrantType
from oauth_refresh.scopes import parse_scope, scope_texts


def validate_visible_ascii(text: str) -> None:
    """Allow visible ASCII and spaces, as in a client ID (RFC 6749 App. A.1)."""
    # Look-alike letters and invisible characters could pass for the ID of another client.
    if not text.isascii() or not text.isprintable() or text != text.strip():
        raise ValidationError(_("Write visible ASCII characters; spaces only inside."))


def validate_password_hash(encoded: str) -> None:
    """Raise ValidationError unless one of ``PASSWORD_HASHERS`` has made it. The message does not repeat it."""
    try:
        identify_hasher(encoded)
    except ValueError as error:
        raise ValidationError(_("Write a password hash of an algorithm in PASSWORD_HASHERS.")) from error


def validate_scope(text: str) -> None:
    """Allow only scopes that the project's settings know."""
    try:
        unknown = [name for name in parse_scope(text) if name not in scope_texts()]
    except InvalidScope as error:
        raise ValidationError(_(error.reason)) from error
    if unknown:
        raise ValidationError(
            _("Unknown scope: %(unknown)s. Add it to OAUTH_REFRESH['SCOPES'], or choose from: %(known)s."),
            params={"unknown": " ".join(unknown), "known": " ".join(app_settings.scopes)},
        )


def validate_grant_types(text: str) -> None:
    """Raise ValidationError for a word that is not a grant type."""
    unknown = [word for word in text.split() if word not in GrantType.values]
    if unknown:
        raise ValidationError(
            _("Unknown grant type: %(unknown)s. Choose from: %(known)s."),
            params={"unknown": " ".join(unknown), "known": " ".join(GrantType.values)},
        )


def validate_resources(text: str) -> None:
    """Allow only identifiers of the project's ``RESOURCES``."""
    if unknown := [name for name in text.split() if name not in app_settings.resources]:
        raise ValidationError(_("Unknown resource: %(resource)s."), params={"resource": " ".join(unknown)})


def validate_https_uri(uri: str) -> None:
    """Allow an absolute https URI without user, password or fragment."""
    # http could be tampered with on the way; a user and password would be stored and logged as text.
    try:
        parts = urlsplit(uri)
        usable = parts.scheme == "https" and bool(parts.hostname) and parts.username is None and not parts.fragment
    except ValueError:
        usable = False
    if not usable or not uri.isascii() or not uri.isprintable():
        raise ValidationError(_("Write an absolute https URI without user, password or fragment."))


def validate_jwks(jwks: Any) -> None:
    """Allow a JSON Web Key Set (RFC 7517 §5) of public keys only, each of which can be used."""
    if not isinstance(jwks, dict) or not isinstance(jwks.get("keys"), list) or not jwks["keys"]:
        raise ValidationError(_('Write a JSON Web Key Set: {"keys": [...]} with at least one key.'))
    try:
        if not jose.is_plain_json(jwks):
            raise jose.UnusableKey
        jose.public_keys(jwks)
        for key in jwks["keys"]:
            jose.require_importable(jose.public_key(key))
    except jose.SecretKey as error:
        raise ValidationError(_("Leave private and symmetric keys out: the set may hold public keys only.")) from error
    except jose.UnusableKey as error:
        raise ValidationError(_("A key of the set cannot be read.")) from error
