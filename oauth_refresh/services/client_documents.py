"""The metadata document at an https client ID (draft-ietf-oauth-client-id-metadata-document): fetched, read and cached.

Anyone with a website can write one, so it may hold anything.
"""

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.cache import cache
from django.core.exceptions import ValidationError

from oauth_refresh import jose
from oauth_refresh.crypto import digest
from oauth_refresh.errors import InvalidScope
from oauth_refresh.models import AuthMethod, GrantType, validate_https_uri, validate_jwks
from oauth_refresh.models.redirects import is_usable_redirect_uri
from oauth_refresh.scopes import parse_scope
from oauth_refresh.services.fetching import FETCH_ERRORS, Fetched, fetch
from oauth_refresh.services.guess_limit import may_try

_MAXIMUM_BYTES = 10_240  # the draft suggests 5 KB; a set of some RSA keys is longer
_LONGEST_CLIENT_ID = 255  # characters, as the column
_LONGEST_JWKS_URI = 500
_LONGEST_NAME = 100
_MOST_REDIRECT_URIS = 20

# How many seconds a document is kept if its headers do not say so, and the bounds of what they may say.
_USUAL_SECONDS, _LEAST_SECONDS, _MOST_SECONDS = 300, 60, 86_400
_PAUSE_SECONDS = 60
# A document is kept in one of so many places, which its URL decides. So a user who opens links to many documents
# replaces some in the cache, and does not fill it.
_PLACES = 500
_FETCHES_OF_A_USER = "10/min"

_DOT_SEGMENT = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_SECRET_MEMBERS = ("client_secret", "client_secret_expires_at")
_AUTH_METHODS = (AuthMethod.NONE, AuthMethod.PRIVATE_KEY_JWT)
_GRANT_TYPES = (GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN)


class DocumentUnavailable(Exception):
    """The document cannot be fetched, or does not describe a client. The message says why, and quotes nothing."""


def is_document_url(client_id: str) -> bool:
    """Whether it has the form that the draft asks for: https, with a path, no fragment, user, or dot segment.

    The host is in ASCII and lower case, so that users see what is compared.
    """
    if not client_id.startswith("https://") or len(client_id) > _LONGEST_CLIENT_ID:
        return False
    address, _mark, _query = client_id.partition("?")
    host, slash, _path = address.removeprefix("https://").partition("/")
    has_form = bool(slash) and host == host.lower() and _DOT_SEGMENT.search(address) is None
    return has_form and is_usable_redirect_uri(client_id)


def read_document(client_id: str, *, user: Any) -> Mapping[str, Any]:
    """Return the columns of Application that the document at ``client_id`` decides, from the cache if it is fresh.

    ``user``: for whom it is fetched. Raises DocumentUnavailable. Failures are not cached, but for a minute nothing is
    fetched after one.
    """
    name = digest(client_id)
    place = f"oauth_refresh:document:{int(name, 16) % _PLACES}"
    kept_id, columns, fresh_until = cache.get(place, ("", {}, 0.0))
    if kept_id == client_id and time.time() < fresh_until:
        return dict(columns)
    pause = f"oauth_refresh:document:{name}:pause"
    if cache.get(pause):
        raise DocumentUnavailable("the last attempt to fetch it failed a moment ago")
    # A user who opens links to one slow server after another would otherwise keep every process of this one waiting.
    if not may_try("document", account=user.pk, rate=_FETCHES_OF_A_USER):
        raise DocumentUnavailable("too many were fetched for this user within a minute")
    try:
        columns, lifetime = _fetch(client_id)
    except DocumentUnavailable:
        cache.set(pause, True, _PAUSE_SECONDS)
        raise
    cache.set(place, (client_id, columns, time.time() + lifetime), lifetime)
    return dict(columns)


def _fetch(client_id: str) -> tuple[dict[str, Any], int]:
    """Return the columns, and how many seconds they may be kept."""
    try:
        fetched = fetch(client_id)
        _require_json(fetched)
        document = jose.read_json(fetched.body)
    except FETCH_ERRORS as error:
        raise DocumentUnavailable(f"it could not be fetched: {type(error).__name__}") from error
    return _columns(document, client_id=client_id), _lifetime(fetched)


def _require_json(fetched: Fetched) -> None:
    media_type = fetched.headers.get_content_type()
    if media_type != "application/json" and re.fullmatch(r"application/[^/]+\+json", media_type) is None:
        raise DocumentUnavailable("its Content-Type is not JSON")
    if fetched.headers.get_content_charset("utf-8") != "utf-8":  # RFC 8259 §8.1
        raise DocumentUnavailable("its charset is not UTF-8")
    if len(fetched.body) > _MAXIMUM_BYTES:
        raise DocumentUnavailable("it is too large")


def _lifetime(fetched: Fetched) -> int:
    """Return for how many seconds the headers call the answer fresh (RFC 9111 §4.2), within our bounds."""
    control, age = (str(fetched.headers.get(name, "")).lower() for name in ("Cache-Control", "Age"))
    if re.search(r"\bno-(?:cache|store)\b", control):
        return _LEAST_SECONDS
    max_age = re.search(r"\bmax-age=([0-9]{1,10})\b", control)
    if max_age is None:
        return _USUAL_SECONDS
    spent = int(age) if re.fullmatch("[0-9]{1,10}", age) else 0
    return min(max(int(max_age[1]) - spent, _LEAST_SECONDS), _MOST_SECONDS)


def _columns(document: Any, *, client_id: str) -> dict[str, Any]:
    """Return the columns. Members that are not known are ignored (RFC 7591 §2), such as pictures."""
    if not isinstance(document, dict):
        raise DocumentUnavailable("it is not a JSON object")
    # So a copy at another address, such as one that a user of another site uploaded, is refused.
    if document.get("client_id") != client_id:
        raise DocumentUnavailable("its client_id is not its URL")
    # Anyone can read a document, so what is in it is no secret.
    if any(name in document for name in _SECRET_MEMBERS):
        raise DocumentUnavailable("it holds a secret")
    method = document.get("token_endpoint_auth_method", AuthMethod.NONE)
    if method not in _AUTH_METHODS:
        raise DocumentUnavailable("its token_endpoint_auth_method is neither none nor private_key_jwt")
    if "code" not in _texts(document, "response_types", default=("code",)):
        raise DocumentUnavailable("its response_types leave out code")
    _require_scope(document)
    return {
        "name": _name(document) or urlsplit(client_id).hostname,
        "redirect_uris": "\n".join(_redirect_uris(document)),
        "auth_method": str(method),
        "grant_types": " ".join(_grant_types(document)),
        **_keys(document, method=method),
    }


DOCUMENT_COLUMNS = ("name", "redirect_uris", "auth_method", "grant_types", "jwks", "jwks_uri")
"""The columns that a document decides; staff decide all others."""


def _name(document: Mapping[str, Any]) -> str:
    """Return the name; empty if there is none that can be shown."""
    name = document.get("client_name")
    # Characters that are not printable can change the direction of the text around them.
    usable = isinstance(name, str) and len(name) <= _LONGEST_NAME and name.isprintable()
    return str(name).strip() if usable else ""


def _redirect_uris(document: Mapping[str, Any]) -> list[str]:
    """Return those that may be used here. Others are left out: schemes that are allowed differ between servers."""
    uris = _texts(document, "redirect_uris", default=())
    if len(uris) > _MOST_REDIRECT_URIS:
        raise DocumentUnavailable(f"it has more than {_MOST_REDIRECT_URIS} redirect URIs")
    usable = [uri for uri in dict.fromkeys(uris) if is_usable_redirect_uri(uri)]
    if not usable:
        raise DocumentUnavailable("it has no redirect URI that may be used here")
    return usable


def _grant_types(document: Mapping[str, Any]) -> list[str]:
    """Return those of the two that start and renew a grant of a user; a document may name more for other servers."""
    named = _texts(document, "grant_types", default=_GRANT_TYPES)
    if GrantType.AUTHORIZATION_CODE not in named:
        raise DocumentUnavailable("its grant_types leave out authorization_code")
    return [str(name) for name in _GRANT_TYPES if name in named]


def _require_scope(document: Mapping[str, Any]) -> None:
    """Require that ``scope``, if it is there, is one. It is not used: staff decide which scopes it may have."""
    try:
        parse_scope(str(document.get("scope", "x")))
    except InvalidScope as error:
        raise DocumentUnavailable("its scope is malformed") from error


def _keys(document: Mapping[str, Any], *, method: str) -> dict[str, Any]:
    jwks, uri = document.get("jwks"), document.get("jwks_uri", "")
    if method != AuthMethod.PRIVATE_KEY_JWT:
        return {"jwks": None, "jwks_uri": ""}
    try:
        if not uri:
            validate_jwks(jwks)
            return {"jwks": {"keys": jose.public_keys(jwks)}, "jwks_uri": ""}
        if jwks is not None or not isinstance(uri, str) or len(uri) > _LONGEST_JWKS_URI:
            raise ValidationError("both, or too long")
        validate_https_uri(uri)
    except ValidationError as error:
        raise DocumentUnavailable("it has no keys that can be used, or two sources of them") from error
    return {"jwks": None, "jwks_uri": uri}


def _texts(document: Mapping[str, Any], name: str, *, default: tuple[str, ...]) -> list[str]:
    """Return a member that is a list of strings. Raises DocumentUnavailable for any other."""
    texts = document.get(name, list(default))
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DocumentUnavailable(f"its {name} are not a list of strings")
    return texts
