"""Move a session of another server here, so that its clients go on with the tokens that they hold.

No text of a token is needed. The other server may have stored the SHA-256 of it alone, which is our digest as well. The
texts stay those of the other server: the current one until it is refreshed, the spent ones so that theft is noticed.
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidGrant, InvalidScope, InvalidTarget, OAuthError
from oauth_refresh.http import NO_CLIENT_INFO
from oauth_refresh.models import IMPORTED, Application, Grant, RefreshToken
from oauth_refresh.resources import default_resources, requested_resources
from oauth_refresh.scopes import allows_access, parse_scope, scopes_at
from oauth_refresh.services.db import after_commit, atomic_write, db_alias, retry_serialization_failure
from oauth_refresh.services.import_rows import AcceptedSession, ImportedAccessToken, ImportedSession, store
from oauth_refresh.services.issuing import lock_active_application, lock_users, new_grant, require_active_user
from oauth_refresh.services.tokens import Access, permitted_scopes
from oauth_refresh.signals import session_imported

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ATTEMPTS = 3

ImportOutcome = Grant | OAuthError | ValueError
"""The grant of a session, or the error that ``import_session`` would raise for it."""


def import_session(
    application: Application,
    *,
    user: Any,
    scope: str,
    refresh_token_digest: str,
    spent_digests: Sequence[str] = (),
    access_tokens: Sequence[ImportedAccessToken] = (),
    resources: Sequence[str] = (),
    created_at: datetime | None = None,
) -> Grant:
    """Make a grant of a session of another server, and return it; the one there is, if its refresh token is known.

    ``refresh_token_digest`` is the SHA-256 of the text that the client presents next, in hexadecimal digits;
    ``spent_digests`` are those of its predecessors, the oldest first, of which the newest ``MOST_SPENT`` are kept:
    who presents one of them again revokes the grant. ``access_tokens`` are accepted until they expire or the first
    refresh replaces them. ``scope`` and theirs are cut to what application and user may have now. The grant and its
    refresh token expire as if they were issued now; ``created_at`` says when the session began, and is only shown.

    It joins a transaction of the caller, who can so delete its own rows in the same one. ``session_imported`` is sent
    after commit. Raises InvalidScope if no scope is left, InvalidTarget for an unknown resource, and InvalidGrant if
    application or user is gone, inactive or hidden, or the user's password has just changed; ValueError for what is no
    digest, and without a user. Nothing is written then.
    """
    session = ImportedSession(
        application=application,
        user=user,
        scope=scope,
        refresh_token_digest=refresh_token_digest,
        spent_digests=spent_digests,
        access_tokens=access_tokens,
        resources=resources,
        created_at=created_at,
    )
    [outcome] = import_sessions([session])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def import_sessions(sessions: Sequence[ImportedSession]) -> list[ImportOutcome]:
    """Import many sessions in one transaction, by about as many statements as ``import_session`` needs for one.

    Return for each, in their order, its grant, or the error that ``import_session`` would raise for it; the others are
    imported all the same. Applications and users stay locked until the transaction ends, so do not pass thousands.
    """
    attempts_left = _ATTEMPTS
    while True:
        attempts_left -= 1
        try:
            return _find_or_import(sessions)
        except IntegrityError:  # another request moves one of them, or one with an ancestor in common: look again
            if not attempts_left:
                raise


def _find_or_import(sessions: Sequence[ImportedSession]) -> list[ImportOutcome]:
    errors = [_error_of_caller(session) for session in sessions]
    valid: dict[str, ImportedSession] = {}
    for session, error in zip(sessions, errors, strict=True):
        if error is None:
            valid.setdefault(session.refresh_token_digest, session)
    outcomes: dict[str, ImportOutcome] = {**_known_grants(valid)}
    if new := [session for digest, session in valid.items() if digest not in outcomes]:
        outcomes |= _import(new)
    return [error or outcomes[session.refresh_token_digest] for session, error in zip(sessions, errors, strict=True)]


def _error_of_caller(session: ImportedSession) -> ValueError | None:
    if session.user is None:
        return ValueError("A session belongs to a user.")
    access_digests = (token.digest for token in session.access_tokens)
    if not all(map(_DIGEST.fullmatch, [session.refresh_token_digest, *session.spent_digests, *access_digests])):
        # Without the text itself: it may be a raw token that was passed by mistake.
        return ValueError("Write each digest as the SHA-256 of the token's text, in 64 lower-case hexadecimal digits.")
    return None


def _known_grants(digests: Collection[str]) -> dict[str, Grant]:
    rows = RefreshToken.objects.using(db_alias()).select_related("grant").filter(digest__in=digests)
    return {row.digest: row.grant for row in rows}


@retry_serialization_failure
def _import(sessions: Sequence[ImportedSession]) -> dict[str, ImportOutcome]:
    """Write grants and tokens, and return the outcome of each session by the digest of its refresh token.

    Raises IntegrityError, with nothing written, if one of the texts is known now.
    """
    now = timezone.now()
    # Outside the transaction, as when a grant is started: the project's own policy may take its time.
    outcomes = {session.refresh_token_digest: _new_grant(session, now) for session in sessions}
    with atomic_write(durable=False):
        _require_active(outcomes, now)
        accepted = [
            AcceptedSession(session=session, grant=grant)
            for session in sessions
            if isinstance(grant := outcomes[session.refresh_token_digest], Grant)
        ]
        store(accepted)
        for one in accepted:
            after_commit(partial(session_imported.send_robust, sender=Grant, grant=one.grant))
    return outcomes


def _new_grant(session: ImportedSession, now: datetime) -> ImportOutcome:
    try:
        access = _access(session)
    except (InvalidScope, InvalidTarget) as error:
        return error
    grant = new_grant(
        session.application,
        user=session.user,
        grant_type=IMPORTED,
        access=access,
        client_info=NO_CLIENT_INFO,
        now=now,
    )
    grant.created_at = min(session.created_at or now, now)
    grant.idle_expires_at = grant.next_idle_expiry(now)
    return grant


def _require_active(outcomes: dict[str, ImportOutcome], now: datetime) -> None:
    """Lock applications and users until commit, and replace the grants of those that are inactive or gone by errors."""
    grants = {digest: outcome for digest, outcome in outcomes.items() if isinstance(outcome, Grant)}
    refusals = {}
    for application in {grant.application.pk: grant.application for grant in grants.values()}.values():
        try:
            lock_active_application(application, credentials=None, now=now)
        except InvalidGrant as error:
            refusals[application.pk] = error
    users = lock_users({grant.user_id for grant in grants.values() if grant.application.pk not in refusals})
    for digest, grant in grants.items():
        if grant.application.pk in refusals:
            outcomes[digest] = refusals[grant.application.pk]
            continue
        try:
            require_active_user(grant, users)
        except InvalidGrant as error:
            outcomes[digest] = error


def _access(session: ImportedSession) -> Access:
    """Return the scope that application and user may still have, and the resources. Raises InvalidScope, InvalidTarget.

    Unlike a client's request, an unknown scope is no error: it was granted by another server.
    """
    resources = requested_resources(session.resources) or default_resources()
    permitted = permitted_scopes(
        session.user, application=session.application, scopes=parse_scope(session.scope), refreshable=True
    )
    scope = scopes_at(resources, permitted)
    if app_settings.scopes and not allows_access(scope):
        raise InvalidScope("Nothing of the imported scope is still allowed.")
    return Access(scope=scope, resources=resources)
