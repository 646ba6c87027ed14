"""Revocation (RFC 7009): one token's grant, or any set of grants, each by one conditional update."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Count, Model, Q
from django.utils import timezone

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidGrant
from oauth_refresh.models import AccessToken, Application, Grant, RevocationNotice, RevocationReason
from oauth_refresh.models.grant import REASON_LENGTH, GrantQuerySet
from oauth_refresh.models.revocation_notices import DatabaseNow
from oauth_refresh.services.db import after_commit, db_alias, retry_serialization_failure
from oauth_refresh.services.lookup import PresentedRefreshToken, find_token
from oauth_refresh.services.unmoved_sessions import end_unmoved_sessions
from oauth_refresh.signals import grant_revoked, grants_revoked

# A refresh that began before a grant's idle expiry may still extend it, but no request runs for an hour. So a set may
# leave out grants that expired that long ago, and its count is of grants that could still be used.
EXPIRY_MARGIN = timedelta(hours=1)

NAMED_GRANTS = 100
"""How many grants of a set are named one by one to APIs elsewhere; a larger set is reported as everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What a set-based revocation did: how many grants it ended, and the ``revocation_id`` they carry."""

    count: int
    revocation_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many of the grants belong to one user, or to one application, whose ``title`` is what people call it."""

    name: str
    title: str
    grants: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationPreview:
    """Totals, and the users (by name) and applications (by client ID) with the most grants, largest share first."""

    grants: int
    users: int
    applications: int
    largest_users: tuple[Share, ...]
    largest_applications: tuple[Share, ...]


def revoke_token(application: Application, raw_token: str) -> None:
    """Revoke the grant of a token for the application that owns it; a text that is no token of ours changes nothing.

    A spent or pruned refresh token revokes its grant as well, and so does an expired or replaced access token: the
    client wants the grant to end (RFC 7009 §2.1), and may not know of a refresh that came first.
    Raises InvalidGrant for another application's token, and ImporterFailed.
    """
    # What was found says of which kind it is, so a wrong token_type_hint is harmless (RFC 7009 §2.1).
    token = find_token(raw_token)
    if token is None:
        return
    _require_owner(token.grant, application)
    if isinstance(token, PresentedRefreshToken) or app_settings.revoke_grant_with_access_token:
        revoke_grant(token.grant, reason=RevocationReason.CLIENT_REQUEST)
    else:
        revoke_access_token(token)


@retry_serialization_failure
def revoke_grant(grant: Grant, *, reason: str, by: Any = None) -> bool:
    """End one grant, and with it every token it has. Return whether it was this call that ended it."""
    same_grant = Grant.objects.using(db_alias()).filter(pk=grant.pk)
    columns = _end(reason=reason, by=by)
    with _transaction():
        # Conditional, so that of two revocations the first one's time and reason stay, and one signal is sent.
        if not same_grant.unrevoked().update(**columns):
            return False
        for column, value in columns.items():  # a receiver that saves the grant must not undo the revocation
            setattr(grant, column, value)
        after_commit(partial(grant_revoked.send_robust, sender=Grant, grant=grant, reason=reason, by=by))
        _write_notices({"grant_id": grant.public_id})
    return True


@retry_serialization_failure
def revoke_grants(selector: Q, *, reason: str, by: Any = None) -> Revocation:
    """End every grant that ``selector`` matches, started or still waiting for its code, by one update.

    A selector of ``user`` or ``application`` alone is reported to APIs elsewhere as that user or application. The
    grants of any other set are named, up to ``NAMED_GRANTS``; a larger one is reported as everything. Sessions of
    these users and applications that were not moved here yet from another server end as well, and are not counted.

    Return how many they were, and the ``revocation_id`` of all. Raises ValueError for an empty selector, which would
    mean every grant there is, and without a reason of a length that can be stored.
    """
    if not selector:
        raise ValueError("Say which grants: an empty selector would revoke them all.")
    columns = _end(reason=reason, by=by)
    with _transaction():
        if reason != RevocationReason.APPLICATION_DELETED:  # which --undo does, when its sessions have gone back
            # Before the update, which then also ends those that were moved while this waited for their lock.
            end_unmoved_sessions(selector)
        count = grants_to_revoke(selector).update(**columns)
        revocation = Revocation(count=count, revocation_id=columns["revocation_id"])
        if count:
            after_commit(
                partial(
                    grants_revoked.send_robust,
                    sender=Grant,
                    selector=selector,
                    count=count,
                    reason=reason,
                    by=by,
                    revocation_id=revocation.revocation_id,
                )
            )
            _write_notices(*_what_ended(selector, revocation))
    return revocation


def grants_to_revoke(selector: Q) -> GrantQuerySet:
    """Return the grants that ``revoke_grants`` would end now; those of inactive users and applications count."""
    over = timezone.now() - EXPIRY_MARGIN
    unexpired = Q(idle_expires_at__gt=over) & (Q(expires_at=None) | Q(expires_at__gt=over))
    return Grant.objects.using(db_alias()).unrevoked().filter(unexpired).filter(selector)


def preview_revocation(selector: Q, *, largest: int = 5) -> RevocationPreview:
    """Count what ``revoke_grants`` would end now, with the ``largest`` shares. Three statements."""
    grants = grants_to_revoke(selector).order_by()
    totals = grants.aggregate(
        grants=Count("pk"), users=Count("user", distinct=True), applications=Count("application", distinct=True)
    )

    def shares(name: str, title: str) -> tuple[Share, ...]:
        counted = grants.exclude(**{name: None}).values_list(name, title).annotate(n=Count("pk")).order_by("-n", name)
        return tuple(Share(name=str(key), title=str(words), grants=n) for key, words, n in counted[:largest])

    username = f"user__{get_user_model().USERNAME_FIELD}"
    return RevocationPreview(
        **totals,
        largest_users=shares(username, username),
        largest_applications=shares("application__client_id", "application__name"),
    )


@retry_serialization_failure
def revoke_access_token(access_token: AccessToken) -> None:
    """Revoke this access token alone; its grant and refresh token stay active."""
    same_token = AccessToken.objects.using(db_alias()).filter(pk=access_token.pk, revoked_at=None)
    with _transaction():
        if same_token.update(revoked_at=timezone.now()):
            _write_notices({"grant_id": access_token.grant.public_id})


def _transaction() -> transaction.Atomic:
    """Return the transaction in which a revocation and its notices are written: a new one, or that of the caller.

    Without a savepoint, which would cost two statements: a caller's transaction cannot go on after half of it failed.
    """
    return transaction.atomic(using=db_alias(), savepoint=False)


def _write_notices(*ended: dict[str, Any]) -> None:
    """Write one notice for each of ``ended``, which hold the column that says what it was; one statement.

    Last in the transaction: its number is taken now, and should be visible soon after.
    """
    notices = [RevocationNotice(created_at=DatabaseNow(), **named) for named in ended]
    RevocationNotice.objects.using(db_alias()).bulk_create(notices)


def _what_ended(selector: Q, revocation: Revocation) -> list[dict[str, Any]]:
    """Return what the notices of a set must name, so that they cover it."""
    if (owner := _owner(selector)) is not None:
        return [owner]
    if revocation.count > NAMED_GRANTS:
        return [{"everything": True}]
    ended = Grant.objects.using(db_alias()).filter(revocation_id=revocation.revocation_id)
    return [{"grant_id": public_id} for public_id in ended.values_list("public_id", flat=True)]


def _owner(selector: Q) -> dict[str, Any] | None:
    """Return the user or application if ``selector`` says nothing else, named as introspection does; else None."""
    match selector.children:
        case [(name, value)] if not (selector.negated or value is None or hasattr(value, "resolve_expression")):
            if name == "user":
                key = get_user_model()._meta.pk
                return {"sub": str(getattr(value, key.attname) if isinstance(value, Model) else key.to_python(value))}
            if name == "application":
                rows = Application.objects.using(db_alias())
                return {"client_id": (value if isinstance(value, Application) else rows.get(pk=value)).client_id}
    return None


def _end(*, reason: str, by: Any) -> dict[str, Any]:
    """Return the columns that end a grant, with a new ``revocation_id``."""
    if not 0 < len(reason) <= REASON_LENGTH:
        raise ValueError(f"A revocation needs a reason of 1 to {REASON_LENGTH} characters.")
    return {"revoked_at": timezone.now(), "revoked_reason": reason, "revoked_by": by, "revocation_id": uuid4()}


def _require_owner(grant: Grant, application: Application) -> None:
    if grant.application_id != application.pk:
        raise InvalidGrant("The token was issued to another application.")
