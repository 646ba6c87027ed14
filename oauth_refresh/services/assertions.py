"""Assertions (RFC 7521, RFC 7523): what a signed JWT must say to be accepted, once, and who may sign it."""

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction

from oauth_refresh import jose
from oauth_refresh.conf import app_settings
from oauth_refresh.crypto import digest
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import Application, GrantType, TrustedIssuer, UsedAssertion
from oauth_refresh.services.credentials import ClientCredentials, key_is_valid
from oauth_refresh.services.db import (
    atomic_write,
    db_alias,
    is_valid_text,
    read_with_shared_lock,
    retry_serialization_failure,
)
from oauth_refresh.services.issuing import issue_tokens
from oauth_refresh.services.jwks import KeysUnavailable, current_keys
from oauth_refresh.services.metadata import endpoint_url
from oauth_refresh.services.tokens import IssuedTokens

# Other kinds of JWT say so in their type; one of those was not made to be an assertion (RFC 8725 §3.11).
_CLIENT_TYPES = frozenset({"jwt", "client-authentication+jwt"})
_GRANT_TYPES = frozenset({"jwt", "authorization-grant+jwt"})


class AssertionRefused(Exception):
    """The assertion is not accepted; the message says why, for the log."""


def verify_client_assertion(application: Application, token: jose.SignedJWT, *, now: datetime) -> None:
    """Verify that ``application`` made ``token`` for this server, and consume it (RFC 7523 §3).

    Its audience is the issuer alone, so that no other server can present it here. Raises AssertionRefused.
    """
    _require_own_issuer()
    if (token.claims.get("iss"), token.claims.get("sub")) != (application.client_id, application.client_id):
        raise AssertionRefused("iss and sub are not the client ID")
    _require_type(token, _CLIENT_TYPES)
    audiences = {app_settings.issuer}
    if app_settings.accept_token_endpoint_as_audience:
        audiences.add(endpoint_url("token"))
    if _single(token.claims.get("aud")) not in audiences:
        raise AssertionRefused("aud is not this server's issuer alone")
    _require_times(token, now=now)
    # After all that costs nothing: the signature may need a fetch of keys.
    _require_signature(token, jwks=application.jwks, jwks_uri=application.jwks_uri, algorithms=jose.ALGORITHMS)
    consume_jti(token, now=now)


def verify_grant_assertion(token: jose.SignedJWT, *, now: datetime) -> tuple[TrustedIssuer, Any]:
    """Return the issuer of ``token`` and its subject, an active user (RFC 7523 §2.1); its ``jti`` is not consumed yet.

    Its audience may be the issuer or the token endpoint, and no other. Raises AssertionRefused.
    """
    _require_own_issuer()
    issuer = _find_issuer(token.claims.get("iss"))
    _require_type(token, _GRANT_TYPES)
    audience = token.claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if not audiences or any(name not in (app_settings.issuer, endpoint_url("token")) for name in audiences):
        raise AssertionRefused("aud is not this server alone")
    _require_times(token, now=now)
    _require_signature(token, jwks=issuer.jwks, jwks_uri=issuer.jwks_uri, algorithms=issuer.algorithms.split())
    return issuer, _find_user(issuer, token.claims.get("sub"))


@retry_serialization_failure
def redeem_assertion(
    application: Application,
    token: jose.SignedJWT,
    *,
    issuer: TrustedIssuer,
    user: Any,
    scope: str | None,
    resources: Sequence[str],
    client_info: ClientInfo,
    credentials: ClientCredentials,
    now: datetime,
) -> IssuedTokens:
    """Consume the assertion and start its grant, or neither. Raises AssertionRefused, or as ``issue_tokens``."""
    with atomic_write(durable=False):
        stored = read_with_shared_lock(TrustedIssuer, issuer.pk)
        if stored is None or not stored.is_active or not key_is_valid(token, stored, read=issuer):
            raise AssertionRefused("the issuer or its key was withdrawn meanwhile")
        consume_jti(token, now=now)
        return issue_tokens(
            application,
            user=user,
            grant_type=GrantType.JWT_BEARER,
            scope=scope,
            resources=resources,
            client_info=client_info,
            credentials=credentials,
        )


@retry_serialization_failure
def consume_jti(token: jose.SignedJWT, *, now: datetime) -> None:
    """Store issuer and ``jti`` of the assertion; their unique digest decides between simultaneous requests.

    Raises AssertionRefused if it was used before.
    """
    # Required, although RFC 7523 does not: without it a captured assertion could be replayed until it expires.
    identifier = token.claims.get("jti")
    if not isinstance(identifier, str) or not identifier:
        raise AssertionRefused("jti is missing")
    name = digest(json.dumps([token.claims.get("iss"), identifier]))
    used = UsedAssertion(digest=name, expires_at=_require_times(token, now=now) + app_settings.clock_skew)
    alias = db_alias()
    # A refused insert would break a transaction that is already open, so it needs a savepoint there.
    is_inside = connections[alias].in_atomic_block
    try:
        with transaction.atomic(using=alias) if is_inside else nullcontext():
            used.save(using=alias, force_insert=True)
    except IntegrityError as error:
        raise AssertionRefused("it was used before") from error


def _require_own_issuer() -> None:
    if app_settings.issuer is None:
        raise AssertionRefused("this server has no issuer that an assertion could be meant for")


def _find_issuer(name: Any) -> TrustedIssuer:
    issuer = None
    if isinstance(name, str) and is_valid_text(name):
        issuer = TrustedIssuer.objects.using(db_alias()).filter(issuer=name, is_active=True).first()
    # A case-insensitive or padding collation (MariaDB) finds what is not the same.
    if issuer is None or issuer.issuer != name:
        raise AssertionRefused("iss is not trusted")
    return issuer


def _find_user(issuer: TrustedIssuer, subject: Any) -> Any:
    user = None
    if isinstance(subject, str) and subject and is_valid_text(subject):
        users = get_user_model()._default_manager.using(db_alias())
        try:
            user = users.filter(**{issuer.subject_field: subject}).first()
        except (ValueError, ValidationError):  # a field of another type, such as a UUID
            user = None
    if user is None or str(getattr(user, issuer.subject_field)) != subject:
        raise AssertionRefused("sub names no user")
    if not getattr(user, "is_active", True):
        raise AssertionRefused("the user is not active")
    # Otherwise staff who may register an issuer, and anyone who has its keys, would have the rights of a superuser.
    if getattr(user, "is_superuser", False) and not issuer.allows_superusers:
        raise AssertionRefused("the issuer may not act for superusers")
    return user


def _require_type(token: jose.SignedJWT, allowed: Collection[str]) -> None:
    type_ = token.header.get("typ", "JWT")
    if not isinstance(type_, str) or type_.lower().removeprefix("application/") not in allowed:
        raise AssertionRefused("typ says that it is another kind of JWT")


def _single(audience: Any) -> Any:
    """Return the one audience, also out of a list of one (draft-ietf-oauth-rfc7523bis §4); None for anything else."""
    if isinstance(audience, list):
        return audience[0] if len(audience) == 1 and isinstance(audience[0], str) else None
    return audience if isinstance(audience, str) else None


def _require_times(token: jose.SignedJWT, *, now: datetime) -> datetime:
    """Return when the assertion expires: within ``ASSERTION_LIFETIME`` and ``CLOCK_SKEW``. Raises AssertionRefused.

    A lifetime without a limit would have to be remembered for as long, and could be replayed if it was not.
    """
    skew, longest = app_settings.clock_skew, app_settings.assertion_lifetime
    expires_at, not_before, issued_at = (_time(token, name) for name in ("exp", "nbf", "iat"))
    if expires_at is None or not now - skew < expires_at <= now + longest + skew:
        raise AssertionRefused("exp is missing, past or too far ahead")
    if not_before is not None and not_before > now + skew:
        raise AssertionRefused("nbf is ahead")
    if issued_at is not None and not now - longest - skew <= issued_at <= now + skew:
        raise AssertionRefused("iat is ahead or long past")
    return expires_at


def _time(token: jose.SignedJWT, name: str) -> datetime | None:
    seconds = token.claims.get(name)
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise AssertionRefused(f"{name} is no number")
    try:
        # As timezone.now() returns it: without a time zone, in local time, where the project has USE_TZ off.
        return datetime.fromtimestamp(seconds, UTC if settings.USE_TZ else None)
    except (ValueError, OverflowError, OSError) as error:
        raise AssertionRefused(f"{name} is no time") from error


def _require_signature(
    token: jose.SignedJWT, *, jwks: Mapping[str, Any] | None, jwks_uri: str, algorithms: Collection[str]
) -> None:
    try:
        keys = current_keys(token, jwks=jwks, jwks_uri=jwks_uri)
    except KeysUnavailable as error:
        raise AssertionRefused(str(error)) from error
    if not jose.is_signed_by(token, keys, algorithms=algorithms):
        raise AssertionRefused("no registered key verifies the signature")


def trust_issuer(name: str, **fields: Any) -> TrustedIssuer:
    """Register the issuer, or set ``fields`` of the one there is; a new source of keys replaces the other.

    Raises ValidationError, by field.
    """
    TrustedIssuer(issuer=name).clean_fields(exclude={"jwks", "jwks_uri"})  # before the name is looked up
    stored = TrustedIssuer.objects.using(db_alias()).filter(issuer=name).first()
    # A case-insensitive or padding collation (MariaDB) finds what is not the same.
    issuer = stored if stored is not None and stored.issuer == name else TrustedIssuer(issuer=name)
    if "jwks" in fields or "jwks_uri" in fields:
        fields = {"jwks": None, "jwks_uri": "", **fields}
    for column, value in fields.items():
        setattr(issuer, column, value)
    issuer.full_clean()
    issuer.save(using=db_alias())
    return issuer
