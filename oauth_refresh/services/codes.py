"""Authorization codes (RFC 6749 §4.1): consent makes a grant that is not started, redeeming its code starts it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Q
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import ConcurrentChange, ContentionError, InvalidGrant, InvalidRequest, NoLongerActive
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import Application, AuthorizationCode, Grant, GrantType, RevocationReason
from oauth_refresh.models.grant import GrantQuerySet
from oauth_refresh.resources import default_resources
from oauth_refresh.services.client_metadata import store_application
from oauth_refresh.services.credentials import ClientCredentials
from oauth_refresh.services.db import atomic_write, db_alias, retry_serialization_failure
from oauth_refresh.services.issuing import lock_active_application, lock_active_user, new_grant, yields_refresh_token
from oauth_refresh.services.revocation import revoke_grant
from oauth_refresh.services.statements import advance_grant, first_of_grant, with_columns
from oauth_refresh.services.tokens import (
    Access,
    IssuedTokens,
    RequestedAccess,
    announce,
    as_issued,
    make_pair,
    narrowed_access,
)

logger = logging.getLogger(__name__)

_ATTEMPTS = 2  # if another request changed the grant, read it again: the code is redeemed, or the grant revoked


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a user agreed to, or, not ``consented``, what goes without asking them for a trusted application.

    ``redirect_uri`` is empty if the request named none; no ``code_challenge``: no PKCE.
    """

    application: Application
    user: Any
    access: Access
    redirect_uri: str
    code_challenge: str
    consented: bool
    client_info: ClientInfo


def has_consented(application: Application, user: Any, access: Access, *, redirect_uri: str = "") -> bool:
    """Whether a live grant shows that ``user`` already gave ``application`` all of this access.

    For an application that a document describes, only consent at the same redirect host counts. ``redirect_uri``:
    where the code would be sent now.
    """
    granted = _consented_grants(application, user, redirect_uri).only("scope", "resources", "password_fingerprint")
    return any(_includes(grant, access) and grant.has_fingerprint_of(user) for grant in granted)


def may_redirect_unasked(application: Application, user: Any, *, redirect_uri: str) -> bool:
    """Whether an error may be sent to ``redirect_uri`` before ``user`` was asked.

    Where documents of any host are accepted, their redirect URIs were not checked: a link to a wrong request would be
    an open redirector (RFC 9700 §4.11.2). So the user must have allowed the application at that host before.
    """
    if not application.from_metadata_document or application.is_trusted:
        return True
    has_vetted_host = app_settings.client_id_metadata_hosts is not None
    return has_vetted_host or _consented_grants(application, user, redirect_uri).exists()


def _consented_grants(application: Application, user: Any, redirect_uri: str) -> GrantQuerySet:
    """Return the live grants by which ``user`` allowed the application to send a code to where it would go now."""
    if application._state.adding:  # described by a document, and not allowed by anyone yet
        return Grant.objects.none()
    # A grant of a trusted application does not count: its user was never asked. Nor does one from before a change of
    # the redirect URIs: the next code may go to an address to which the user did not agree.
    grants = Grant.objects.using(db_alias()).live().for_user(user).for_application(application).filter(consented=True)
    same_uris = grants.filter(authorization_codes__redirect_uris_digest=application.redirect_uris_digest)
    return same_uris.filter(_was_at_the_host_of(redirect_uri)) if application.from_metadata_document else same_uris


def _includes(grant: Grant, access: Access) -> bool:
    """Whether the grant has all the scopes, and the resources. One for the whole server includes no single resource."""
    resources = grant.resource_names or default_resources()
    same_kind = bool(access.resources) == bool(resources)
    return same_kind and set(access.resources) <= set(resources) and set(access.scope) <= set(grant.scopes)


def _was_at_the_host_of(redirect_uri: str) -> Q:
    parts = urlsplit(redirect_uri)
    origin, column = f"{parts.scheme}://{parts.netloc}", "authorization_codes__redirect_uri"
    # Empty: the request named none, because there was only one.
    is_same = Q((f"{column}__in", ["", origin]))
    return is_same | Q((f"{column}__startswith", f"{origin}/")) | Q((f"{column}__startswith", f"{origin}?"))


@retry_serialization_failure
def issue_code(consent: Consent) -> str:
    """Store a grant of generation 0, not live until its code is redeemed, and return the raw code.

    The row of an application that a document describes is written first. Raises NoLongerActive if the application or
    user was deactivated meanwhile. Otherwise the code would work after a reactivation, although a deactivation revokes
    all grants.
    """
    store_application(consent.application)
    now = timezone.now()
    raw_code = crypto.mint_opaque_token(prefix=app_settings.authorization_code_prefix)
    grant = new_grant(
        consent.application,
        user=consent.user,
        grant_type=GrantType.AUTHORIZATION_CODE,
        access=consent.access,
        client_info=consent.client_info,
        now=now,
    )
    grant.idle_expires_at, grant.consented = now + app_settings.code_lifetime, consent.consented
    with atomic_write(durable=False):
        try:
            lock_active_application(consent.application, credentials=None, now=now)
            lock_active_user(grant)
        except InvalidGrant as error:
            raise NoLongerActive(error.reason) from error
        grant.save(using=db_alias(), force_insert=True)
        AuthorizationCode(
            grant=grant,
            digest=crypto.digest(raw_code),
            redirect_uri=consent.redirect_uri,
            redirect_uris_digest=consent.application.redirect_uris_digest,
            code_challenge=consent.code_challenge,
            created_at=now,
        ).save(using=db_alias(), force_insert=True)
    return raw_code


def redeem_code(
    application: Application,
    *,
    raw_code: str,
    redirect_uri: str | None,
    code_verifier: str | None,
    resources: Sequence[str] = (),
    client_info: ClientInfo,
    credentials: ClientCredentials | None = None,
) -> IssuedTokens:
    """Trade a code of ``application``, already authenticated, for the first tokens of its grant.

    A request that is wrong in any way changes nothing, so that an attacker who saw only the code cannot invalidate it.
    A right one that comes a second time revokes the grant, committed before the error is raised (RFC 6749 §4.1.2): one
    of the two senders is not the client. Raises InvalidGrant, InvalidRequest for a verifier without a challenge,
    InvalidScope if nothing consented to is still allowed, InvalidTarget if the user did not consent to one of the
    ``resources``, InvalidClient if the ``credentials`` were withdrawn.
    """
    for _attempt in range(_ATTEMPTS):
        now = timezone.now()
        code = _find_code(application, raw_code)
        _require_bound(code, redirect_uri=redirect_uri, code_verifier=code_verifier)
        _require_unspent(code, now=now)
        try:
            return _start(code.grant, resources, now=now, client_info=client_info, credentials=credentials)
        except ConcurrentChange:
            continue
    raise ContentionError("The grant changed at each attempt to redeem the code, and yet the code was still valid.")


def _find_code(application: Application, raw_code: str) -> AuthorizationCode:
    code = None
    if crypto.is_opaque_token_text(raw_code, prefix=app_settings.authorization_code_prefix):
        rows = AuthorizationCode.objects.using(db_alias()).select_related("grant__user")
        code = first_of_grant(rows.filter(digest=crypto.digest(raw_code)))
    if code is None:
        raise InvalidGrant("The text is no authorization code of this server.")
    # Before any consequence: another client that saw the code must not revoke the grant by presenting it.
    if code.grant.application_id != application.pk:
        raise InvalidGrant("The code was issued to another application.")
    code.grant.application = application  # authenticated just now, so it need not be joined
    return code


def _require_bound(code: AuthorizationCode, *, redirect_uri: str | None, code_verifier: str | None) -> None:
    """Refuse a request that is not from the sender of the authorization request (RFC 6749 §4.1.3, RFC 7636)."""
    # Otherwise an attacker could redeem a code that was sent to a manipulated redirect URI (RFC 6749 §10.6).
    may_leave_out = redirect_uri is None and not code.grant.application.repeats_redirect_uri
    if (redirect_uri or "") != code.redirect_uri and not may_leave_out:
        raise InvalidGrant("The redirect URI is not that of the authorization request.")
    # PKCE downgrade: an attacker strips the challenge from the request, and hopes that no verifier is asked for
    # (RFC 9700 §2.1.1).
    if code_verifier is not None and not code.code_challenge:
        raise InvalidRequest("A code_verifier came, but the authorization request had no code_challenge.")
    if not code.code_challenge:
        return
    # The client gets one answer, the log three reasons: a faulty client is to be told from an attacker who guesses.
    if not code_verifier:
        raise InvalidGrant("The code verifier is missing.")
    if not crypto.is_code_verifier(code_verifier):
        raise InvalidGrant("The code verifier is not 43 to 128 of the characters that RFC 7636 allows.")
    if not crypto.verifier_matches(code_verifier, challenge=code.code_challenge):
        raise InvalidGrant("The code verifier does not match the challenge.")


def _require_unspent(code: AuthorizationCode, *, now: datetime) -> None:
    grant = code.grant
    if grant.generation > 0 and grant.end_reason(now) is None:
        _revoke_replayed(grant)
        logger.warning("The authorization code of grant %s was redeemed twice.", grant.public_id)
        raise InvalidGrant("The code was redeemed before.")
    if (reason := grant.end_reason(now) or grant.block_reason()) is not None:
        raise InvalidGrant(f"The grant of the code cannot start: {reason}.")


@retry_serialization_failure
def _revoke_replayed(grant: Grant) -> None:
    with atomic_write():
        revoke_grant(grant, reason=RevocationReason.CODE_REPLAYED)


@retry_serialization_failure
def _start(
    grant: Grant,
    resources: Sequence[str],
    *,
    now: datetime,
    client_info: ClientInfo,
    credentials: ClientCredentials | None,
) -> IssuedTokens:
    """Start the grant by the conditional update 0 → 1, and insert its tokens. Raises ConcurrentChange."""
    refreshable = yields_refresh_token(grant.application, grant.grant_type)
    access = narrowed_access(grant, requested=RequestedAccess(resources=resources), refreshable=refreshable)
    columns = {
        "generation": 1,
        "access_floor": 1,
        "idle_expires_at": grant.next_idle_expiry(now, refreshable=refreshable),
    }
    started = with_columns(grant, columns)
    tokens = make_pair(started, access=access, now=now, client_info=client_info, refreshable=refreshable)
    issued = as_issued(tokens, grant_type=grant.grant_type, now=now)
    with atomic_write():
        # The user is not locked: a deactivation finds the stored grant and revokes it, and then the update fails.
        lock_active_application(grant.application, credentials=credentials, now=now)
        advance_grant(grant, columns, rows=tokens.rows)
        announce(issued, grant_type=grant.grant_type)
    return issued
