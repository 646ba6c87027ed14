"""Signed JWTs of others: strict parsing and verification (RFC 7515, RFC 7519, RFC 8725). Pure functions.

The algorithm is chosen by us, the key comes from a registered set: what the header says of keys is never followed.

joserfc is imported when it is first needed: it takes longer to load than all of the app, and only assertions need it.
"""

import base64
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

MAXIMUM_LENGTH = 16_384
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")

_COMPACT = r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)"
_MAXIMUM_KEYS_TRIED = 10  # each is a signature to verify, and anyone may send a JWT
_MINIMUM_RSA_BITS = 2048  # RFC 7518 §3.3
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class UnreadableJWT(ValueError):
    """The text is not a signed JWT that this server accepts; the message says why, and holds nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SignedJWT:
    """A JWT that has the right form; it is unverified until ``is_signed_by`` returns True."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def algorithm(self) -> str:
        return str(self.header["alg"])


def parse_jwt(text: str) -> SignedJWT:
    """Return header and claims. Raises UnreadableJWT if the text is long, encrypted, unsigned or ambiguous."""
    if len(text) > MAXIMUM_LENGTH:
        raise UnreadableJWT("it is too long")
    segments = re.fullmatch(_COMPACT, text)
    if segments is None:
        raise UnreadableJWT("it is not a signed JWT in compact serialization")
    header, claims = _json_object(segments[1]), _json_object(segments[2])
    if not isinstance(header.get("alg"), str):
        raise UnreadableJWT("its header names no algorithm")
    # An extension that we do not know could change what is signed (RFC 7515 §4.1.11).
    if "crit" in header or "b64" in header:
        raise UnreadableJWT("its header asks for an extension")
    return SignedJWT(text=text, header=header, claims=claims)


def is_signed_by(token: SignedJWT, jwks: Mapping[str, Any], *, algorithms: Collection[str] = ALGORITHMS) -> bool:
    """Whether one of the set's public keys verifies the signature by one of ``algorithms``."""
    # The header must not choose: "none", or HS256 with a public key as the secret, would forge (RFC 8725 §3.1).
    if token.algorithm not in algorithms or token.algorithm not in ALGORITHMS:
        return False
    return any(_verifies(key, token) for key in _candidates(token, jwks))


def has_key_for(token: SignedJWT, jwks: Mapping[str, Any]) -> bool:
    """Whether the set has the key that the header names, so that fetching the set again would not help."""
    return any(True for _key in _candidates(token, jwks))


def has_secret_keys(jwks: Mapping[str, Any]) -> bool:
    """Whether a key of the set is private or symmetric. Raises ValueError if one cannot be read."""
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import KeySet  # noqa: PLC0415

    try:
        keys = KeySet.import_key_set(cast("Any", jwks)).keys
    except (JoseError, TypeError, KeyError) as error:
        raise ValueError("a key cannot be read") from error
    return any(key.key_type == "oct" or key.is_private for key in keys)


def read_json(text: bytes) -> Any:
    """Return the JSON value. Raises ValueError if it is malformed, or an object names a member twice."""
    return json.loads(text.decode(), object_pairs_hook=_unique_members, parse_constant=_refuse_constant)


def _json_object(segment: str) -> dict[str, Any]:
    try:
        value = read_json(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, RecursionError) as error:
        raise UnreadableJWT("a part of it is not base64url of JSON") from error
    if not isinstance(value, dict):
        raise UnreadableJWT("a part of it is not a JSON object")
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two parsers may pick different ones of two members, so what one checks another would not use.
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _candidates(token: SignedJWT, jwks: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the keys of the set that may have signed: of the named ID, the right type, and meant for signatures."""
    key_id, key_type = token.header.get("kid"), _KEY_TYPES.get(token.algorithm[:2])
    if not isinstance(key_id, str | None):
        return
    fitting = [
        key
        for key in jwks.get("keys", ())
        if isinstance(key, Mapping)
        and key.get("kty") == key_type
        and key.get("use", "sig") == "sig"
        and (key_id is None or key.get("kid") is None or key.get("kid") == key_id)
    ]
    # Keys with the same kid first: those without a kid must not use up the tries.
    yield from sorted(fitting, key=lambda key: key.get("kid") != key_id)[:_MAXIMUM_KEYS_TRIED]


def _verifies(key: Mapping[str, Any], token: SignedJWT) -> bool:
    from joserfc import jws  # noqa: PLC0415
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import JWKRegistry  # noqa: PLC0415

    registry = jws.JWSRegistry(algorithms=[token.algorithm], strict_check_header=False)
    registry.max_header_length = MAXIMUM_LENGTH
    try:
        if key.get("kty") == "RSA" and _modulus_bits(key) < _MINIMUM_RSA_BITS:
            return False
        jws.deserialize_compact(token.text, JWKRegistry.import_key(dict(key)), registry=registry)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        return False
    return True


def _modulus_bits(key: Mapping[str, Any]) -> int:
    modulus = key["n"] + "=" * (-len(key["n"]) % 4)
    return int.from_bytes(base64.urlsafe_b64decode(modulus)).bit_length()
