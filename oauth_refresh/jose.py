"""Signed JWTs of others: strict parsing and verification (RFC 7515, RFC 7519, RFC 8725). Pure functions.

The algorithm is chosen by us, the key comes from a registered set: what the header says of keys is never followed.

joserfc is imported when it is first needed: it takes longer to load than all of the app, and only assertions need it.
"""

import base64
import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

MAXIMUM_LENGTH = 16_384
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")

_COMPACT = r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)"
_MAXIMUM_KEYS = 100
_MAXIMUM_KEYS_TRIED = 10  # each is a signature to verify, and anyone may send a JWT
_LONGEST_TEXT = 1_000
_MOST_OPERATIONS = 8  # RFC 7517 §4.3
_MOST_LEVELS = 10  # a set nests four or five
_KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_NUMBER = r"[A-Za-z0-9_-]+"

# The members that make a public key, and how many bits each may have: at least, at most (RFC 7518 §6, RFC 8037 §2).
# A modulus of 8,192 bits and an exponent of 64 are verified within a millisecond or two.
_PUBLIC_MEMBERS = {
    "RSA": {"n": (2048, 8192), "e": (2, 64)},
    "EC": {"x": (0, 521), "y": (0, 521)},
    "OKP": {"x": (0, 456)},
}
_CURVES = {"EC": ("P-256", "P-384", "P-521"), "OKP": ("Ed25519", "Ed448")}
_SECRET_MEMBERS = frozenset({"d", "dp", "dq", "k", "oth", "p", "q", "qi"})


class UnreadableJWT(ValueError):
    """The text is not a signed JWT that this server accepts; the message says why, and holds nothing of it."""


class UnusableKey(ValueError):
    """A JWK is not a public key that we would verify with; the message says why, and holds nothing of it."""


class SecretKey(UnusableKey):
    """A JWK is private or symmetric, so each party that can read it can sign with it."""


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


def public_key(jwk: Any) -> dict[str, Any]:
    """Return the public members of a JWK (RFC 7517 §4), and nothing else of it.

    Every key passes this function first, in assertions, fetched sets, forms and commands. Key sets are written by
    others: a private member ``d`` without the primes, for example, makes the library factor the modulus, for minutes.
    Raises UnusableKey.
    """
    if not isinstance(jwk, Mapping):
        raise UnusableKey("it is not an object")
    if _SECRET_MEMBERS & jwk.keys() or jwk.get("kty") == "oct":
        raise SecretKey("it is private or symmetric")
    key_type = jwk.get("kty")
    if not isinstance(key_type, str) or key_type not in _PUBLIC_MEMBERS:
        raise UnusableKey("its type is not RSA, EC or OKP")
    purpose = {name: jwk[name] for name in ("kid", "use", "alg", "key_ops") if name in jwk}
    if not all(_is_text(value) or (name == "key_ops" and _are_texts(value)) for name, value in purpose.items()):
        raise UnusableKey("it does not say what it is for")
    key = {"kty": key_type, **purpose}
    if key_type in _CURVES:
        if jwk.get("crv") not in _CURVES[key_type]:
            raise UnusableKey("its curve is unknown")
        key["crv"] = jwk["crv"]
    for name, (least, most) in _PUBLIC_MEMBERS[key_type].items():
        key[name] = _number(jwk.get(name), least=least, most=most)
    return key


def public_keys(jwks: Any) -> list[dict[str, Any]]:
    """Return the usable public keys of a JWK set (RFC 7517 §5). Raises UnusableKey if it is no set, or too large."""
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or len(keys) > _MAXIMUM_KEYS:
        raise UnusableKey(f"it is not a set of at most {_MAXIMUM_KEYS} keys")
    usable = []
    for jwk in keys:
        with suppress(UnusableKey):  # a set may hold keys for other purposes (RFC 7517 §5)
            usable.append(public_key(jwk))
    return usable


def require_importable(key: Mapping[str, Any]) -> None:
    """Raise UnusableKey if a public key cannot be used, such as a point that is not on its curve."""
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import JWKRegistry  # noqa: PLC0415

    try:
        JWKRegistry.import_key(dict(key)).public_key  # noqa: B018  it is made when it is first asked for
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise UnusableKey("it cannot be read") from error


def is_plain_json(value: Any) -> bool:
    """Whether every database can store the value: numbers are finite, and text holds no NUL and no lone surrogate.

    It is not nested deep either: what was parsed may be too deep to be written, or read, one call further in.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return False
    return r"\u0000" not in text and _is_shallow(value, levels=_MOST_LEVELS)


def read_json(text: bytes) -> Any:
    """Return the JSON value. Raises ValueError if it is malformed, or an object names a member twice."""
    return json.loads(text.decode(), object_pairs_hook=_unique_members, parse_constant=_refuse_constant)


def _is_shallow(value: Any, *, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels >= 0 and all(_is_shallow(one, levels=levels - 1) for one in inner)


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
    try:
        keys = public_keys(jwks)
    except UnusableKey:
        return
    fitting = [
        key
        for key in keys
        if key["kty"] == key_type
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
        jws.deserialize_compact(token.text, JWKRegistry.import_key(dict(key)), registry=registry)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        return False
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_OPERATIONS and all(map(_is_text, value))


def _number(text: Any, *, least: int, most: int) -> str:
    """Return a base64url number of a JWK, if it has so many bits. Its length is tested before it is decoded."""
    # Four characters are three bytes, so a last one that stands alone is none.
    if not isinstance(text, str) or len(text) > most // 6 + 3 or not re.fullmatch(_NUMBER, text) or len(text) % 4 == 1:
        raise UnusableKey("a member of it is missing, too long or not base64url")
    bits = int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))).bit_length()
    if not least <= bits <= most:
        raise UnusableKey("a member of it has too few or too many bits")
    return text
