"""What is dead for good, and how long it is kept all the same: one rule for each table that grows by itself.

Nothing here needs an index of its own. A key on the tokens' age would cost an insert at every refresh, to save work
that is done once a day; and the age of a grant moves with each refresh, so no index may hold it. But a primary key
grows with time and is never changed: who walks along it from its beginning meets the old rows first, and knows when
to stop. What is passed on the way and stays is three tokens for each living grant.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from oauth_refresh.conf import app_settings
from oauth_refresh.models import AccessToken, AuthorizationCode, Grant, GrantEvent, RefreshToken, UsedAssertion
from oauth_refresh.services.revocation import CERTAINLY_OVER
from oauth_refresh.services.transactions import write_alias


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Of ``rows``, those that match ``dead`` may go.

    ``age`` is a column that never changes and grows with the primary key, as far as clocks agree; no row whose age is
    not before ``before`` is dead. ``may_move``: something could still change these rows, so they are locked and looked
    at again; the others are dead for good once they are dead. ``family``: what goes with a row, by its ``grant``.
    """

    rows: QuerySet[Any]
    dead: Q
    age: str
    before: datetime
    may_move: bool = False
    family: tuple[QuerySet[Any], ...] = ()


def rules(now: datetime, *, retain: timedelta) -> Iterator[Rule]:
    """Yield the rules in the order in which they are best applied: grants last, so that few of their rows are left."""
    yield _used_assertions(now)
    kept_since = now - retain
    parts = (_refresh_tokens(kept_since), _access_tokens(kept_since), _events(kept_since))
    yield from parts
    yield _grants(now, retain=retain, parts=parts)


def _used_assertions(now: datetime) -> Rule:
    """Remembered until they expire; the clocks of our own machines may differ, too."""
    expired_before = now - app_settings.clock_skew
    return Rule(
        rows=UsedAssertion.objects.using(write_alias()),
        dead=Q(expires_at__lt=expired_before),
        age="expires_at",
        before=expired_before,
    )


def _refresh_tokens(kept_since: datetime) -> Rule:
    """Spent ones are kept for the timeline alone: the MAC of a pruned token still sounds the alarm.

    A retry needs the current generation and its predecessor. The grant's generation only grows, so what was below
    both when it was read is so for ever.
    """
    return Rule(
        rows=RefreshToken.objects.using(write_alias()).annotate(grant_generation=_of_the_grant("generation")),
        dead=Q(created_at__lt=kept_since, grant_generation__gt=F("generation") + 1),
        age="created_at",
        before=kept_since,
    )


def _access_tokens(kept_since: datetime) -> Rule:
    """Expired ones lead from a leaked token to its grant; once expired they never live again, nor are retried.

    The newest of a grant stays with it, for a client that revokes it signs out (RFC 7009 §2.1). The others are older
    than the last refresh, which only becomes later.
    """
    refreshed_at = Coalesce(_of_the_grant("refreshed_at"), F("created_at"))
    return Rule(
        rows=AccessToken.objects.using(write_alias()).annotate(grant_refreshed_at=refreshed_at),
        dead=Q(expires_at__lt=kept_since, grant_refreshed_at__gt=F("created_at")),
        age="created_at",
        before=kept_since,
    )


def _of_the_grant(column: str) -> Subquery:
    """Return a column of a token's grant: not by a join, for which MariaDB might begin with all grants."""
    return Subquery(Grant.objects.using(write_alias()).filter(pk=OuterRef("grant_id")).values(column))


def _events(kept_since: datetime) -> Rule:
    """Kept as long as spent tokens, for the timeline; so no client fills a table by what it repeats."""
    return Rule(
        rows=GrantEvent.objects.using(write_alias()),
        dead=Q(at__lt=kept_since),
        age="at",
        before=kept_since,
    )


def _grants(now: datetime, *, retain: timedelta, parts: tuple[Rule, ...]) -> Rule:
    """Revoked or expired ones are kept for the people who ask what happened; consent that came to nothing is not.

    A refresh that began before the expiry may move it, but not for as long as an hour.
    """
    over = now - CERTAINLY_OVER
    dead_since = over - retain
    never_started = Q(generation=0, revoked_at=None, idle_expires_at__lt=over)
    ended = Q(revoked_at__lt=dead_since) | Q(expires_at__lt=dead_since) | Q(idle_expires_at__lt=dead_since)
    return Rule(
        rows=Grant.objects.using(write_alias()),
        dead=ended | never_started,
        age="created_at",
        before=over,
        may_move=True,
        family=(
            *(rule.rows.exclude(rule.dead) for rule in parts),
            AuthorizationCode.objects.using(write_alias()),
        ),
    )
