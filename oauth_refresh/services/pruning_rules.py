"""Which rows can be deleted, and how long they are retained: one rule for each table that grows with use.

No rule needs an index of its own. An index on the age of tokens would cost an insert at every refresh, to save work
that is done once a day; and the age of a grant changes with each refresh, so no index may hold it. But a primary key
grows with time and never changes: a walk along it meets the old rows first, and knows where to stop. It passes about
three tokens of each active grant, which stay.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Max, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from oauth_refresh.conf import app_settings
from oauth_refresh.crypto import digest
from oauth_refresh.models import (
    AccessToken,
    Application,
    AuthorizationCode,
    Grant,
    GrantEvent,
    RefreshToken,
    RevocationNotice,
    RevocationReceiver,
    UsedAssertion,
)
from oauth_refresh.services.db import db_alias
from oauth_refresh.services.revocation import EXPIRY_MARGIN
from oauth_refresh.services.revocation_feed import NOTICE_RETENTION

LONGEST_NOTICE_RETENTION = timedelta(days=7)
"""How long a notice is kept for a receiver that does not accept it. After that, the receiver is sent "everything"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Of ``rows``, those that match ``deletable`` may be deleted.

    ``time_field`` is a column that never changes and grows with the primary key, as far as clocks agree; no row is
    deletable whose time is not before ``before``. ``is_mutable``: a request could still change these rows, so they are
    locked and tested again; the others stay deletable. ``keeps_rows``: only their retry slots are erased. ``family``:
    what is deleted with a row, by its ``grant``.
    """

    rows: QuerySet[Any]
    deletable: Q
    time_field: str
    before: datetime
    is_mutable: bool = False
    keeps_rows: bool = False
    family: tuple[QuerySet[Any], ...] = ()


def rules(now: datetime, *, retain: timedelta) -> Iterator[Rule]:
    """Yield the rules in the order in which they are applied: grants late, so that few of their rows are left."""
    yield _used_assertions(now)
    yield _notices(now)
    retained_since = now - retain
    parts = (
        _refresh_tokens(now, retained_since=retained_since),
        _access_tokens(retained_since),
        _events(retained_since),
    )
    yield from parts
    yield _grants(now, retain=retain, parts=parts)
    yield _salts(now)


def _longest_retry_window() -> timedelta:
    """Return the longest window of the project and its applications."""
    of_applications = Application.objects.using(db_alias()).aggregate(longest=Max("retry_window"))["longest"]
    return max(app_settings.retry_window, of_applications or timedelta(0))


def _used_assertions(now: datetime) -> Rule:
    """Stored until they expire, and a little longer: the clocks of our own machines may differ."""
    expired_before = now - app_settings.clock_skew
    return Rule(
        rows=UsedAssertion.objects.using(db_alias()),
        deletable=Q(expires_at__lt=expired_before),
        time_field="expires_at",
        before=expired_before,
    )


def _notices(now: datetime) -> Rule:
    """Kept for a day, however long other rows are: a reader that was away for longer starts again.

    The newest one stays, so that a reader of a server where nothing is revoked finds the notice that it read last. So
    do those that a receiver of the settings has not got, up to a limit: it may never be reachable again.
    """
    before = now - NOTICE_RETENTION
    notices = RevocationNotice.objects.using(db_alias())
    newest = notices.aggregate(newest=Max("pk"))["newest"] or 0
    deletable = Q(created_at__lt=before, pk__lt=newest)
    if (delivered := _delivered_to_all()) is not None:  # the last one that was delivered shows that none was missed
        deletable &= Q(pk__lt=delivered) | Q(created_at__lt=now - LONGEST_NOTICE_RETENTION)
    return Rule(
        rows=notices,
        deletable=deletable,
        time_field="created_at",
        before=before,
    )


def _delivered_to_all() -> int | None:
    """Return the number up to which every receiver of the settings has all notices; None if there is no receiver."""
    names = [digest(receiver.url) for receiver in app_settings.revocation_receivers]
    if not names:
        return None
    receivers = RevocationReceiver.objects.using(db_alias()).filter(url_digest__in=names)
    least: int | None = receivers.aggregate(least=Min("position"))["least"]
    return least


def _refresh_tokens(now: datetime, *, retained_since: datetime) -> Rule:
    """Spent ones are retained for the timeline alone: a deleted token is still recognised by its MAC.

    Except while a retry window is open: a retry walks along every token that was issued in it; and but for those of
    another server, whose texts have no MAC. The generation of a grant only grows, so a row that was below the current
    one and its predecessor when it was read stays so.
    """
    before = min(retained_since, now - _longest_retry_window())
    own_generation = _of_the_grant("generation", imported_generation__lt=OuterRef("generation"))
    return Rule(
        rows=RefreshToken.objects.using(db_alias()).annotate(grant_generation=Coalesce(own_generation, 0)),
        deletable=Q(created_at__lt=before, grant_generation__gt=F("generation") + 1),
        time_field="created_at",
        before=before,
    )


def _access_tokens(retained_since: datetime) -> Rule:
    """Expired ones are retained to find the grant of a leaked token; they never become valid again.

    The newest one stays as long as its grant, because a client may revoke the grant by it (RFC 7009 §2.1). The others
    are older than the last refresh, whose time only grows.
    """
    refreshed_at = Coalesce(_of_the_grant("refreshed_at"), F("created_at"))
    return Rule(
        rows=AccessToken.objects.using(db_alias()).annotate(grant_refreshed_at=refreshed_at),
        # Older than the last refresh, so not the newest of its grant.
        deletable=Q(expires_at__lt=retained_since, grant_refreshed_at__gt=F("created_at")),
        time_field="created_at",
        before=retained_since,
    )


def _of_the_grant(column: str, **condition: Any) -> Subquery:
    """Return a column of a token's grant, NULL if the grant does not meet the condition.

    Not by a join, for which MariaDB might begin with all grants.
    """
    return Subquery(Grant.objects.using(db_alias()).filter(pk=OuterRef("grant_id"), **condition).values(column))


def _events(retained_since: datetime) -> Rule:
    """Retained as long as spent tokens, for the timeline; so a client that repeats itself cannot fill the table."""
    return Rule(
        rows=GrantEvent.objects.using(db_alias()),
        deletable=Q(at__lt=retained_since),
        time_field="at",
        before=retained_since,
    )


def _grants(now: datetime, *, retain: timedelta, parts: tuple[Rule, ...]) -> Rule:
    """Revoked and expired ones are retained for an investigation; those whose code was never redeemed are not.

    A refresh that began before the expiry may still extend it, but no request runs for an hour.
    """
    over = now - EXPIRY_MARGIN
    ended_before = over - retain
    never_started = Q(generation=0, revoked_at=None, idle_expires_at__lt=over)
    ended = Q(revoked_at__lt=ended_before) | Q(expires_at__lt=ended_before) | Q(idle_expires_at__lt=ended_before)
    return Rule(
        rows=Grant.objects.using(db_alias()),
        deletable=ended | never_started,
        time_field="created_at",
        before=over,
        is_mutable=True,
        family=(
            *(rule.rows.exclude(rule.deletable) for rule in parts),
            AuthorizationCode.objects.using(db_alias()),
        ),
    )


def _salts(now: datetime) -> Rule:
    """Erased once the windows of all slots of a grant are over, so that a later copy of the database holds none.

    Who has a copy and an old token could otherwise derive the present one, if the key of the project leaks as well.
    """
    over = now - _longest_retry_window()
    return Rule(
        rows=Grant.objects.using(db_alias()),
        deletable=Q(retry_slots__isnull=False, refreshed_at__lt=over),
        time_field="created_at",
        before=over,
        is_mutable=True,
        keeps_rows=True,
    )
