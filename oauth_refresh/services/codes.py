"""Authorization codes (RFC 6749 §4.1): consent makes a grant that is not started, redeeming its code starts it."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import ContentionError, InvalidGrant, InvalidRequest
from oauth_refresh.models import (
    Application,
    AuthorizationCode,
    ClientInfo,
    Grant,
    GrantType,
    RevocationReason,
)
from oauth_refresh.services.handing_out import IssuedTokens, hand_out, insert_refresh_token
from oauth_refresh.services.issuing import available_scope, new_grant, yields_refresh_token
from oauth_refresh.services.movement import Overtaken, move, moved
from oauth_refresh.services.revocation import revoke_grant
from oauth_refresh.services.transactions import retry_serialization_failure, write_alias, writing

logger = logging.getLogger(__name__)

_ATTEMPTS = 2  # who loses a race looks again and finds the winner


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a user agreed to, or, not ``consented``, what goes without asking them for a trusted application.

    ``redirect_uri`` is empty if the request named none; no ``code_challenge``: no PKCE.
    """

    application: Application
    user: Any
    scope: tuple[str, ...]
    redirect_uri: str
    code_challenge: str
    consented: bool
    client_info: ClientInfo


def has_consented(application: Application, user: Any, scope: tuple[str, ...]) -> bool:
    """Whether a live grant shows that ``user`` already gave ``application`` all of ``scope``."""
    grants = Grant.objects.using(write_alias()).live().for_user(user).for_application(application)
    granted = grants.filter(consented=True).only("scope", "password_fingerprint")
    return any(set(scope) <= set(grant.scopes) and grant.has_fingerprint_of(user) for grant in granted)


@retry_serialization_failure
def issue_code(consent: Consent) -> str:
    """Store a grant of generation 0, not live until its code is redeemed, and return the raw code."""
    now = timezone.now()
    expires_at = now + app_settings.code_lifetime
    raw_code = crypto.mint_opaque_token(prefix=app_settings.authorization_code_prefix)
    grant = new_grant(
        consent.application,
        user=consent.user,
        grant_type=GrantType.AUTHORIZATION_CODE,
        scope=consent.scope,
        client_info=consent.client_info,
        now=now,
    )
    grant.idle_expires_at, grant.consented = expires_at, consent.consented
    with writing(durable=False):
        grant.save(using=write_alias(), force_insert=True)
        AuthorizationCode(
            grant=grant,
            digest=crypto.digest(raw_code),
            redirect_uri=consent.redirect_uri,
            code_challenge=consent.code_challenge,
            created_at=now,
            expires_at=expires_at,
        ).save(using=write_alias(), force_insert=True)
    return raw_code


def redeem_code(
    application: Application,
    *,
    raw_code: str,
    redirect_uri: str | None,
    code_verifier: str | None,
    client_info: ClientInfo,
) -> IssuedTokens:
    """Trade a code of ``application``, already authenticated, for the first tokens of its grant.

    A request that is wrong in any way changes nothing, so that who saw only the code cannot burn it. A right one that
    comes a second time revokes the grant, committed before the error is raised (RFC 6749 §4.1.2). Raises InvalidGrant,
    InvalidRequest for a verifier without a challenge, InvalidScope if nothing consented to is still allowed.
    """
    for _attempt in range(_ATTEMPTS):
        now = timezone.now()
        code = _find_code(application, raw_code)
        _require_bound(code, redirect_uri=redirect_uri, code_verifier=code_verifier)
        _require_unspent(code, now=now)
        try:
            return _start(code.grant, now=now, client_info=client_info)
        except Overtaken:
            continue
    raise ContentionError("A redemption lost its race, but no winner was to be seen.")


def _find_code(application: Application, raw_code: str) -> AuthorizationCode:
    code = None
    if crypto.is_opaque_token_text(raw_code, prefix=app_settings.authorization_code_prefix):
        rows = AuthorizationCode.objects.using(write_alias()).select_related("grant__user")
        code = rows.filter(digest=crypto.digest(raw_code)).first()
    if code is None:
        raise InvalidGrant("The text is no authorization code of this server.")
    if code.grant.application_id != application.pk:
        raise InvalidGrant("The code was issued to another application.")
    code.grant.application = application  # read a moment ago, so it need not be joined
    return code


def _require_bound(code: AuthorizationCode, *, redirect_uri: str | None, code_verifier: str | None) -> None:
    """Let only the one pass who made the authorization request: same redirect URI, verifier of its challenge."""
    may_leave_out = redirect_uri is None and not code.grant.application.repeats_redirect_uri
    if (redirect_uri or "") != code.redirect_uri and not may_leave_out:
        raise InvalidGrant("The redirect URI is not that of the authorization request.")
    if code_verifier is not None and not code.code_challenge:
        raise InvalidRequest("A code_verifier came, but the authorization request had no code_challenge.")
    if code.code_challenge and not crypto.verifier_matches(code_verifier or "", challenge=code.code_challenge):
        raise InvalidGrant("The code verifier does not match the challenge.")


def _require_unspent(code: AuthorizationCode, *, now: datetime) -> None:
    grant = code.grant
    if grant.generation > 0 and grant.why_ended(now) is None:
        _revoke_replayed(grant)
        logger.warning("The authorization code of grant %s was redeemed twice.", grant.public_id)
        raise InvalidGrant("The code was redeemed before.")
    if (dead := grant.why_ended(now) or grant.why_barred()) is not None:
        raise InvalidGrant(f"The grant of the code cannot start: {dead}.")


@retry_serialization_failure
def _revoke_replayed(grant: Grant) -> None:
    with writing():
        revoke_grant(grant, reason=RevocationReason.CODE_REPLAYED)


@retry_serialization_failure
def _start(grant: Grant, *, now: datetime, client_info: ClientInfo) -> IssuedTokens:
    """Start the grant by the conditional update 0 → 1 and insert its tokens. Raises Overtaken, with all undone."""
    refreshable, scope = yields_refresh_token(grant.application, grant.grant_type), available_scope(grant)
    start = {
        "generation": 1,
        "access_floor": 1,
        "idle_expires_at": grant.next_idle_expiry(now, refreshable=refreshable),
    }
    with writing():
        if not move(grant, start):
            raise Overtaken
        started = moved(grant, start)
        refresh_token = insert_refresh_token(started, now=now, client_info=client_info) if refreshable else None
        return hand_out(started, refresh_token=refresh_token, scope=scope, grant_type=started.grant_type, now=now)
