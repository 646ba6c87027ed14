"""Minting, digests and the text of tokens: pure functions over bytes and strings (RFC 6749 §10.10).

A generated value has 256 random bits; a client secret that a project chooses has at least 22 characters. Only the
SHA-256 digest is stored: a slow password hash of a random secret would add no security, and cost time at every request.
"""

import base64
import hashlib
import hmac
import re
import secrets
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

MAC_KEY_BYTES = 32
SALT_BYTES = 32
MINIMUM_GIVEN_SECRET_LENGTH = 22  # 132 bits in base64url; RFC 6749 §10.10 requires 128

_SECRET_BYTES = 32  # 256 bits
_MAC_BYTES = 16  # 128 bits: a guess may succeed with 2^-128 at most (RFC 6749 §10.10)
_VERSION = 1

# version, grant public id, generation, secret: 53 bytes. With the MAC 69, a multiple of three: base64 needs no padding
# and leaves no unused bits, so exactly one text stands for one token.
_SIGNED_PART = struct.Struct(">B16sI32s")
REFRESH_TOKEN_BODY = re.compile(r"[A-Za-z0-9_-]{92}")
_CODE_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
OPAQUE_BODY = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RefreshTokenText:
    """A refresh token that has the right form; whether it is genuine is for ``has_valid_mac`` and the digest to say."""

    public_id: UUID
    generation: int
    digest: str
    signed_part: bytes
    mac: bytes

    def has_valid_mac(self, mac_key: bytes) -> bool:
        """Whether the grant that owns ``mac_key`` once issued this token, even if its row was deleted."""
        return hmac.compare_digest(self.mac, _mac(mac_key, self.signed_part))


def mint_opaque_token(*, prefix: str, secret: bytes | None = None) -> str:
    """Return a new access token or authorization code: the prefix and 43 base64url characters, 256 bits."""
    return prefix + _encode(secret or secrets.token_bytes(_SECRET_BYTES))


def is_opaque_token_text(text: str, *, prefix: str) -> bool:
    """Whether ``text`` has the form of such a token, so that a look-up is worth its statement."""
    return text.startswith(prefix) and OPAQUE_BODY.fullmatch(text, len(prefix)) is not None


def mint_refresh_token(
    *, public_id: UUID, generation: int, mac_key: bytes, prefix: str, secret: bytes | None = None
) -> str:
    """Return a new refresh token of the grant: the prefix and 92 base64url characters.

    They hold version, public id, generation, 256 secret bits, and a MAC over all of these under the grant's own key.
    """
    signed_part = _SIGNED_PART.pack(_VERSION, public_id.bytes, generation, secret or secrets.token_bytes(_SECRET_BYTES))
    return prefix + _encode(signed_part + _mac(mac_key, signed_part))


def parse_refresh_token(text: str, *, prefix: str) -> RefreshTokenText | None:
    """Return the parts of a refresh token, or None for any other text. Never raises."""
    if not text.startswith(prefix) or not REFRESH_TOKEN_BODY.fullmatch(text, len(prefix)):
        return None
    raw = base64.urlsafe_b64decode(text[len(prefix) :])
    signed_part, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    version, public_id, generation, _secret = _SIGNED_PART.unpack(signed_part)
    if version != _VERSION or generation == 0:
        return None
    return RefreshTokenText(
        public_id=UUID(bytes=public_id), generation=generation, digest=digest(text), signed_part=signed_part, mac=mac
    )


def digest(raw: str) -> str:
    """Return the SHA-256 of ``raw`` in 64 hexadecimal digits, the only form in which a raw value is stored."""
    return hashlib.sha256(raw.encode(errors="surrogatepass")).hexdigest()


def matches_any_digest(raw: str, digests: Iterable[str]) -> bool:
    """Whether ``raw`` has one of the digests; takes the same time wherever they differ, and tries them all."""
    presented = digest(raw)
    # A list, not a generator: any() would stop at the first match, and timing would reveal which secret matched.
    matches = [hmac.compare_digest(presented, candidate) for candidate in digests]
    return any(matches)


def is_code_challenge(text: str) -> bool:
    """Whether ``text`` can be the S256 challenge of some verifier (RFC 7636 §4.2)."""
    return OPAQUE_BODY.fullmatch(text) is not None


def is_code_verifier(text: str) -> bool:
    """Whether ``text`` has the form of a code verifier (RFC 7636 §4.1)."""
    return _CODE_VERIFIER.fullmatch(text) is not None


def verifier_matches(verifier: str, *, challenge: str) -> bool:
    """Whether ``challenge`` is the S256 challenge of a well-formed ``verifier`` (RFC 7636 §4.6)."""
    return hmac.compare_digest(_encode(hashlib.sha256(verifier.encode()).digest()), challenge)


def generate_client_id() -> str:
    return secrets.token_hex(16)


def generate_client_secret() -> str:
    """Return 256 bits in unreserved characters, so that form-encoding (RFC 6749 §2.3.1) leaves them as they are."""
    return _encode(secrets.token_bytes(_SECRET_BYTES))


def generate_mac_key() -> bytes:
    return secrets.token_bytes(MAC_KEY_BYTES)


def generate_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PairSecrets:
    """What is secret in a refresh token and the access token that comes with it, 256 bits each."""

    refresh_token: bytes
    access_token: bytes


def generate_pair_secrets() -> PairSecrets:
    return PairSecrets(
        refresh_token=secrets.token_bytes(_SECRET_BYTES), access_token=secrets.token_bytes(_SECRET_BYTES)
    )


def server_keys(project_secrets: Iterable[str | bytes]) -> tuple[bytes, ...]:
    """Return a key of our own purpose for each of the project's secrets, the current one first."""
    return tuple(
        _hkdf(
            secret.encode() if isinstance(secret, str) else secret,
            salt=b"",
            info=b"oauth_refresh server key",
            length=32,
        )
        for secret in project_secrets
    )


def derive_refresh_secret(raw_predecessor: str, *, server_key: bytes, salt: bytes, client_id: str) -> bytes:
    """Return the secret of the refresh token that succeeds ``raw_predecessor``.

    The same arguments give the same secret, so a response can be repeated while nothing readable is stored: without
    the predecessor (held by the client), the salt (a row) and the key (the settings) it is random.
    """
    return _derive(raw_predecessor, server_key=server_key, salt=salt, parts=("oauth_refresh successor", client_id))


def derive_access_secret(
    raw_predecessor: str, *, server_key: bytes, salt: bytes, client_id: str, scope: str, audience: str = ""
) -> bytes:
    """Return the secret of the access token that comes with that refresh token; its scope and audience are part."""
    parts = ("oauth_refresh access token", client_id, scope, audience)
    return _derive(raw_predecessor, server_key=server_key, salt=salt, parts=parts)


def _derive(raw_predecessor: str, *, server_key: bytes, salt: bytes, parts: tuple[str, ...]) -> bytes:
    info = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
    key_material = server_key + hashlib.sha256(raw_predecessor.encode()).digest()
    return _hkdf(key_material, salt=salt, info=info, length=_SECRET_BYTES)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _mac(mac_key: bytes, signed_part: bytes) -> bytes:
    return hmac.digest(mac_key, signed_part, "sha256")[:_MAC_BYTES]


def _hkdf(key_material: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    # Imported when first needed, for only the retry window needs it, and the library takes long to load.
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(key_material)
