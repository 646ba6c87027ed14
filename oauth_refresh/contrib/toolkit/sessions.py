"""Move sessions of django-oauth-toolkit here: each live refresh token, with what belongs to it, becomes a grant.

The rows of a session are deleted in the transaction that moves it, under their lock. If they were only marked as
revoked, the endpoint of django-oauth-toolkit could issue a second successor of a token within its grace period.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Self

from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.contrib.toolkit import old_rows
from oauth_refresh.errors import InvalidGrant, InvalidScope, InvalidTarget
from oauth_refresh.models import Application, Grant
from oauth_refresh.services.db import atomic_write, db_alias, read_with_shared_lock, retry_serialization_failure
from oauth_refresh.services.import_rows import ImportedAccessToken, ImportedSession
from oauth_refresh.services.imports import import_sessions
from oauth_refresh.services.issuing import lock_users

STAYS = {
    "expired": "REFRESH_TOKEN_EXPIRE_SECONDS is over",
    "inactive_application": "the application is inactive here",
    "inactive_user": "the user is inactive or hidden",
    "malformed": "it has no user, or a token_checksum that is no SHA-256",
    "no_access_token": "no access token belongs to it, so django-oauth-toolkit refuses it as well",
    "no_application": "the application was not imported",
    "refused": "the database refused it: the log says why",
    "resource": "its resource is not one of RESOURCES",
    "scope": "nothing of its scope is allowed here",
}
"""Why a session stays where it is: it may be moved once the cause is gone."""

_REFUSALS: dict[type[Exception], str] = {
    InvalidGrant: "inactive_user",
    InvalidScope: "scope",
    InvalidTarget: "resource",
    ValueError: "malformed",
}

logger = logging.getLogger(__name__)

ApplicationFinder = Callable[[Collection[Any]], dict[Any, Application]]
"""From keys of old applications to ours; one that was not imported is left out."""


@dataclass(slots=True, kw_only=True)
class MovedSessions:
    """How many sessions were moved, the tokens that came with them, and why others stayed.

    The reasons in ``stayed`` are those of ``STAYS``.
    """

    moved: int = 0
    access_tokens: int = 0
    spent: int = 0
    stayed: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts under their names, as JSON can hold them."""
        names = ("moved", "access_tokens", "spent")
        return {**{name: getattr(self, name) for name in names}, "stayed": dict(self.stayed)}

    def __iadd__(self, other: "MovedSessions") -> Self:
        self.moved += other.moved
        self.access_tokens += other.access_tokens
        self.spent += other.spent
        self.stayed += other.stayed
        return self


def imported_applications(keys: Collection[Any]) -> dict[Any, Application]:
    """Return our applications that have the client IDs of these old ones."""
    client_ids = dict(old_rows.applications().filter(pk__in=keys).values_list("pk", "client_id"))
    rows = Application.objects.using(db_alias()).filter(client_id__in=client_ids.values())
    ours = {row.client_id: row for row in rows}
    return {key: ours[client_id] for key, client_id in client_ids.items() if client_id in ours}


def move_session_of(raw: str) -> None:
    """Move the session that the text belongs to: by its live refresh token, a spent one, or its access token.

    A spent refresh token moves all sessions of its family, so that its use is noticed here; but none within
    REFRESH_TOKEN_GRACE_PERIOD_SECONDS.
    """
    old_rows.require_readable()
    digest = crypto.digest(raw)
    if not _move_texts_behind(digest):
        _move_texts_behind(digest)  # its endpoint has spent the token meanwhile: move the successor


def _move_texts_behind(digest: str) -> bool:
    """Move what there is to move, and return whether that was it; not, if another request has changed it meanwhile."""
    checksums = _live_texts_behind(digest)
    if not checksums:
        return True
    result = move_texts(checksums, presented=digest)
    for reason in result.stayed:
        logger.info("A session of django-oauth-toolkit was not moved: %s.", reason)
    return bool(result.moved or result.stayed)


def _live_texts_behind(digest: str) -> set[str]:
    presented = old_rows.refresh_tokens().filter(token_checksum=digest)
    rows = list(presented.values_list("revoked", "token_family"))
    if not rows:
        bound = old_rows.refresh_tokens().filter(access_token__token_checksum=digest, revoked=None)
        return set(bound.values_list("token_checksum", flat=True))
    if any(revoked is None for revoked, _family in rows):
        return {digest}
    end_of_grace = old_rows.end_of_grace(timezone.now())
    return old_rows.live_texts_of([family for revoked, family in rows if family and revoked <= end_of_grace])


@retry_serialization_failure
def move_texts(
    checksums: Collection[str],
    *,
    find_applications: ApplicationFinder = imported_applications,
    presented: str | None = None,
) -> MovedSessions:
    """Move the sessions whose live refresh tokens these are, in one transaction, or in that of the caller.

    ``presented``: the checksum of the token that a client sent, which is kept as spent if it is, however old it is.
    """
    with atomic_write(durable=False):
        user_keys, application_keys = old_rows.owners_of(checksums)
        applications = find_applications(application_keys)
        # Owners first: who deactivates one has locked it, and ends its old sessions next. The other order deadlocks.
        for key in sorted({application.pk for application in applications.values()}):
            read_with_shared_lock(Application, key)
        users = lock_users(user_keys)
        rows = old_rows.lock_live_texts(checksums)
        return _Move(rows, applications=applications, users=users, presented=presented).run()


class _Move:
    """One transaction's worth of sessions, whose rows are locked."""

    def __init__(
        self,
        rows: list[Any],
        *,
        applications: dict[Any, Application],
        users: dict[Any, Any],
        presented: str | None,
    ) -> None:
        self.rows, self.now, self.result = rows, timezone.now(), MovedSessions()
        self.access_tokens = old_rows.lock_access_tokens(row.access_token_id for row in rows)
        self.applications, self.users = applications, users
        families = {row.token_family for row in rows if row.token_family is not None}
        self.spent = old_rows.newest_spent(families, now=self.now, presented=presented)

    def run(self) -> MovedSessions:
        """Move each text by the newest of its rows that can be moved: there is no constraint against two live ones."""
        texts, gone, reasons = self._by_text(), list[Any](), dict[str, str]()
        left = {text: list(rows) for text, rows in texts.items()}
        while candidates := self._next_candidates(left, reasons):
            outcomes = import_sessions([self._session(row) for row in candidates.values()])
            for (text, row), outcome in zip(candidates.items(), outcomes, strict=True):
                if isinstance(outcome, Exception):
                    reasons.setdefault(text, _REFUSALS[type(outcome)])
                else:
                    del left[text]
                    gone.extend(texts[text])
                    self._count(row, outcome)
        self.result.stayed.update(reasons[text] for text in left)
        old_rows.delete_session(
            refresh_keys=[row.pk for row in gone],
            access_keys=[row.access_token_id for row in gone if row.access_token_id is not None],
            families={row.token_family for row in gone if row.token_family is not None},
        )
        return self.result

    def _by_text(self) -> dict[str, list[Any]]:
        texts: dict[str, list[Any]] = {}
        for row in self.rows:
            texts.setdefault(row.token_checksum, []).append(row)
        return texts

    def _next_candidates(self, left: dict[str, list[Any]], reasons: dict[str, str]) -> dict[str, Any]:
        """Take from the rows that are left of each text the newest without an obstacle, and note the first obstacle."""
        candidates: dict[str, Any] = {}
        for text, rows in left.items():
            while rows and text not in candidates:
                row = rows.pop()
                if (reason := self._obstacle(row)) is None:
                    candidates[text] = row
                else:
                    reasons.setdefault(text, reason)
        return candidates

    def _obstacle(self, row: Any) -> str | None:
        access_token = self.access_tokens.get(row.access_token_id)
        if access_token is None:  # its endpoint refuses such a refresh token, and only the access token has a scope
            return "no_access_token"
        if old_rows.is_expired(access_token, self.now):
            return "expired"
        if row.resource and not app_settings.resources:  # a token for this server as a whole would allow more
            return "resource"
        application = self.applications.get(row.application_id)
        if application is None:
            return "no_application"
        return None if application.is_active else "inactive_application"

    def _session(self, row: Any) -> ImportedSession:
        access_token = self.access_tokens[row.access_token_id]
        return ImportedSession(
            application=self.applications[row.application_id],
            user=self.users.get(row.user_id),
            scope=access_token.scope,
            refresh_token_digest=row.token_checksum,
            spent_digests=self.spent.get(row.token_family, []),
            access_tokens=[
                ImportedAccessToken(
                    digest=access_token.token_checksum,
                    scope=access_token.scope,
                    expires_at=access_token.expires,
                    resources=access_token.resource,
                )
            ],
            resources=row.resource,
            created_at=row.created,
        )

    def _count(self, row: Any, grant: Grant) -> None:
        is_valid = self.access_tokens[row.access_token_id].expires > self.now
        self.result += MovedSessions(moved=1, access_tokens=int(is_valid), spent=grant.imported_generation - 1)
