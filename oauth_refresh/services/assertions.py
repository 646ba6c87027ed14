"""Assertions (RFC 7521, RFC 7523): what a signed JWT must say before it is believed, once."""

import json
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from oauth_refresh import jose
from oauth_refresh.conf import app_settings
from oauth_refresh.crypto import digest
from oauth_refresh.models import Application, ClientInfo, GrantType, TrustedIssuer, UsedAssertion
from oauth_refresh.services.endpoints import endpoint_url
from oauth_refresh.services.handing_out import IssuedTokens
from oauth_refresh.services.issuing import issue_tokens
from oauth_refresh.services.jwks import KeysUnavailable, current_keys
from oauth_refresh.services.lookup import is_storable
from oauth_refresh.services.transactions import retry_serialization_failure, write_alias, writing

# Other kinds of JWT say so in their type; one of those was not made to be an assertion (RFC 8725 §3.11).
_CLIENT_TYPES = frozenset({"jwt", "client-authentication+jwt"})
_GRANT_TYPES = frozenset({"jwt", "authorization-grant+jwt"})


class AssertionRefused(Exception):
    """The assertion is not believed; the message says why, for the log."""


def accept_client_assertion(application: Application, token: jose.SignedJWT, *, now: datetime) -> None:
    """Believe that ``token`` was made by ``application`` for this server, once (RFC 7523 §3).

    Its audience is the issuer alone, so that it is of no use elsewhere. Raises AssertionRefused.
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
    _require_signature(token, jwks=application.jwks, jwks_uri=application.jwks_uri, algorithms=jose.ALGORITHMS)
    use_up_assertion(token, now=now)


def believe_grant_assertion(token: jose.SignedJWT, *, now: datetime) -> tuple[TrustedIssuer, Any]:
    """Return who made ``token`` and the active user for whom it speaks (RFC 7523 §2.1); it is not used up yet.

    Its audience may be the issuer or the token endpoint, but nobody else besides. Raises AssertionRefused.
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
    user: Any,
    scope: str | None,
    client_info: ClientInfo,
    now: datetime,
) -> IssuedTokens:
    """Use the assertion up and start the grant it asks for, or neither. Raises AssertionRefused, InvalidGrant."""
    with writing(durable=False):
        use_up_assertion(token, now=now)
        return issue_tokens(
            application, user=user, grant_type=GrantType.JWT_BEARER, scope=scope, client_info=client_info
        )


def use_up_assertion(token: jose.SignedJWT, *, now: datetime) -> None:
    """Remember the assertion by issuer and ``jti``; the unique digest decides who was first, also between processes.

    Raises AssertionRefused if it was used before.
    """
    identifier = token.claims.get("jti")
    if not isinstance(identifier, str) or not identifier:
        raise AssertionRefused("jti is missing")
    name = digest(json.dumps([token.claims.get("iss"), identifier]))
    used = UsedAssertion(digest=name, expires_at=_require_times(token, now=now) + app_settings.clock_skew)
    alias = write_alias()
    # A refused insert would doom a transaction that is already open; without one, the statement stands alone.
    is_inside = transaction.get_connection(alias).in_atomic_block
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
    if isinstance(name, str) and is_storable(name):
        issuer = TrustedIssuer.objects.using(write_alias()).filter(issuer=name, is_active=True).first()
    # A case-insensitive or padding collation (MariaDB) finds what is not the same.
    if issuer is None or issuer.issuer != name:
        raise AssertionRefused("iss is not trusted")
    return issuer


def _find_user(issuer: TrustedIssuer, subject: Any) -> Any:
    user = None
    if isinstance(subject, str) and subject and is_storable(subject):
        users = get_user_model()._default_manager.using(write_alias())
        try:
            user = users.filter(**{issuer.subject_field: subject}).first()
        except (ValueError, ValidationError):  # a field of another type, such as a UUID
            user = None
    if user is None or str(getattr(user, issuer.subject_field)) != subject:
        raise AssertionRefused("sub names no user")
    if not getattr(user, "is_active", True):
        raise AssertionRefused("the user is not active")
    return user


def _require_type(token: jose.SignedJWT, allowed: Collection[str]) -> None:
    type_ = token.header.get("typ", "JWT")
    if not isinstance(type_, str) or type_.lower().removeprefix("application/") not in allowed:
        raise AssertionRefused("typ says that it is another kind of JWT")


def _single(audience: Any) -> Any:
    """Return the one audience, also out of a list of one (RFC 7523bis §4); None for anything else."""
    if isinstance(audience, list):
        return audience[0] if len(audience) == 1 and isinstance(audience[0], str) else None
    return audience if isinstance(audience, str) else None


def _require_times(token: jose.SignedJWT, *, now: datetime) -> datetime:
    """Return when the assertion expires: within ``ASSERTION_LIFETIME``, give or take ``CLOCK_SKEW``."""
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
        return datetime.fromtimestamp(seconds, UTC)
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
