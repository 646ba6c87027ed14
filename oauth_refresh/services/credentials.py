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


def credentials_are_valid(
    credentials: ClientCredentials, stored: Application, *, read: Application, now: datetime
) -> bool:
    """Whether ``credentials``, which authenticated the row that was ``read``, still belong to it as ``stored`` now."""
    if credentials.assertion is not None:
        return stored.uses_assertion and key_is_valid(credentials.assertion, stored, read=read)
    if credentials.raw_secret is not None:
        if not stored.uses_secret:
            return False
        # An imported hash is not compared again, which is slow: it is valid as long as it is the same.
        same_hash = stored.live_secret_hash(now) == read.live_secret_hash(now) != ""
        return same_hash or crypto.matches_any_digest(credentials.raw_secret, stored.live_secret_digests(now))
    return stored.is_public


def key_is_valid(token: jose.SignedJWT, stored: Signer, *, read: Signer) -> bool:
    """Whether the key that signed ``token``, verified with the row that was ``read``, still belongs to ``stored``.

    Nothing is fetched, because a transaction is open: fetched keys are valid as long as ``jwks_uri`` is the same.
    """
    if stored.jwks_uri or read.jwks_uri:
        return stored.jwks_uri == read.jwks_uri
    return stored.jwks == read.jwks or jose.is_signed_by(token, stored.jwks or {"keys": []})
