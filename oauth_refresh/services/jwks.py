"""Public keys from an address that others control (RFC 7517 §5), fetched by ``fetching`` and cached."""

import time
from collections.abc import Mapping
from typing import Any, cast

from django.core.cache import cache

from oauth_refresh import jose
from oauth_refresh.conf import app_settings
from oauth_refresh.crypto import digest
from oauth_refresh.services.fetching import FETCH_ERRORS, fetch

_SECONDS_BETWEEN_FETCHES = 60
_NO_KEYS: Mapping[str, Any] = {"keys": []}


class KeysUnavailable(Exception):
    """The keys could not be fetched, or are not a key set."""


def current_keys(token: jose.SignedJWT, *, jwks: Mapping[str, Any] | None, jwks_uri: str) -> Mapping[str, Any]:
    """Return the key set that should hold the key of ``token``: the registered one, or the one at ``jwks_uri``.

    A fetched set is cached. When it is old, or does not hold the key that a token names, one caller fetches it again,
    at most once a minute, while the others use the cached one. Raises KeysUnavailable if there is none.
    """
    if not jwks_uri:
        return jwks or _NO_KEYS
    name = f"oauth_refresh:jwks:{digest(jwks_uri)}"
    fetched, fresh_until = cache.get(name, (None, 0.0))
    if fetched is not None and time.time() < fresh_until and jose.has_key_for(token, fetched):
        return cast("Mapping[str, Any]", fetched)
    lifetime = app_settings.jwks_cache_lifetime.total_seconds()
    if cache.add(f"{name}:pause", True, min(_SECONDS_BETWEEN_FETCHES, lifetime)):
        fetched = fetch_jwks(jwks_uri)
        cache.set(name, (fetched, time.time() + lifetime), lifetime + _SECONDS_BETWEEN_FETCHES)
    if fetched is None:
        raise KeysUnavailable("the last attempt to fetch the keys failed a moment ago")
    return cast("Mapping[str, Any]", fetched)


def fetch_jwks(uri: str) -> Mapping[str, Any]:
    """Return the JWK set at an https URI, within three seconds. Raises KeysUnavailable."""
    try:
        return {"keys": jose.public_keys(jose.read_json(fetch(uri).body))}
    except jose.UnusableKey as error:
        raise KeysUnavailable("what was fetched is not a JWK set of a sensible size") from error
    except FETCH_ERRORS as error:
        raise KeysUnavailable(f"the keys could not be fetched: {type(error).__name__}") from error
