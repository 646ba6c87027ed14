"""What a client authenticates with (RFC 6749 §2.3), and whether its application still has it."""

from dataclasses import dataclass
from datetime import datetime

from oauth_refresh import crypto, jose
from oauth_refresh.models import Application, AuthMethod, TrustedIssuer

Signer = Application | TrustedIssuer


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClientCredentials:
    """The client credentials of a request. ``methods`` are the methods by which it authenticates, or ``none``."""

    client_id: str
    raw_secret: str | None = None
    assertion: jose.SignedJWT | None = None
    methods: frozenset[AuthMethod]


def are_still_of(credentials: ClientCredentials, stored: Application, *, read: Application, now: datetime) -> bool:
    """Whether ``credentials``, which authenticated ``read``, are not withdrawn from the row as it is ``stored`` now."""
    if credentials.assertion is not None:
        return stored.uses_assertion and has_key_of(credentials.assertion, stored, read=read)
    if credentials.raw_secret is not None:
        return stored.uses_secret and crypto.matches_any_digest(credentials.raw_secret, stored.live_secret_digests(now))
    return stored.is_public


def has_key_of(token: jose.SignedJWT, stored: Signer, *, read: Signer) -> bool:
    """Whether the key that signed ``token``, verified with ``read``, is not withdrawn from ``stored``.

    Nothing is fetched, because a transaction is open: keys that were fetched count as long as their address stays.
    """
    if stored.jwks_uri or read.jwks_uri:
        return stored.jwks_uri == read.jwks_uri
    return stored.jwks == read.jwks or jose.is_signed_by(token, stored.jwks or {"keys": []})
