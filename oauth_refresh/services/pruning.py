"""Delete rows that are no longer needed, a batch at a time, while the server goes on working.

It may be killed at any point and started again, and may run twice at once. Each batch is a transaction of its own, and
none waits for a refresh: a refresh locks no token, and a grant that is locked is left for the next time.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Any

from django.db import IntegrityError, connections, models
from django.db.models import Case, Q, Value, When
from django.utils import timezone

from oauth_refresh.models import (
    AccessToken,
    AuthorizationCode,
    Grant,
    GrantEvent,
    PruneRun,
    RefreshToken,
    RevocationNotice,
    UsedAssertion,
)
from oauth_refresh.services.db import atomic_write, db_alias, retry_serialization_failure
from oauth_refresh.services.pruning_rules import Rule, rules
from oauth_refresh.signals import tokens_pruned

RETENTION = timedelta(days=30)
LONGEST_RETENTION = timedelta(days=36_500)
BATCH_SIZE = 1_000
LARGEST_BATCH = 10_000
"""A larger transaction is not faster, and other requests wait for it longer."""

_FIELDS: dict[type[models.Model], str] = {
    Grant: "grants",
    RefreshToken: "refresh_tokens",
    AccessToken: "access_tokens",
    AuthorizationCode: "authorization_codes",
    GrantEvent: "grant_events",
    UsedAssertion: "used_assertions",
    RevocationNotice: "revocation_notices",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many rows of each kind were deleted, or in a dry run would be.

    ``skipped``: rows that stayed because a table of the project refers to them. ``is_complete``: whether every row was
    visited before the time was up.
    """

    grants: int = 0
    refresh_tokens: int = 0
    access_tokens: int = 0
    authorization_codes: int = 0
    grant_events: int = 0
    used_assertions: int = 0
    revocation_notices: int = 0
    skipped: int = 0
    is_complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the walk along one table has come, from 0 to 1, and how many rows of all kinds were deleted so far."""

    kind: str
    fraction: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    rule: Rule
    deletable_keys: list[Any]
    fraction: float


def prune(
    *,
    retain: timedelta = RETENTION,
    batch_size: int = BATCH_SIZE,
    max_seconds: float | None = None,
    dry_run: bool = False,
    progress: Callable[[Progress], object] | None = None,
) -> Pruned:
    """Delete what ended longer than ``retain`` ago, and return the number of rows by kind.

    A batch visits ``batch_size`` rows; after ``max_seconds`` no further one begins. ``dry_run`` only counts.
    ``progress`` is called after each batch. Raises ValueError for an argument out of its range, RuntimeError inside a
    transaction of the caller.
    """
    _require_in_range(retain, batch_size=batch_size, max_seconds=max_seconds)
    deadline = inf if max_seconds is None else monotonic() + max_seconds
    process, counts, is_complete = _count if dry_run else _delete, Counter[str](), True
    measures = progress is not None
    for batch in _batches(timezone.now(), retain=retain, size=batch_size, measures=measures):
        if batch.deletable_keys and not batch.rule.keeps_rows:
            counts += process(batch.rule, batch.deletable_keys)
        elif batch.deletable_keys and not dry_run:
            _erase_salts(batch.rule, batch.deletable_keys)
        if progress is not None:
            kind = str(batch.rule.rows.model._meta.verbose_name_plural)
            progress(Progress(kind=kind, fraction=batch.fraction, rows=counts.total() - counts["skipped"]))
        if monotonic() >= deadline:
            is_complete = False
            break
    pruned = Pruned(**counts, is_complete=is_complete)
    if not dry_run:
        _record_run(pruned, retain=retain)
        tokens_pruned.send_robust(sender=Grant, counts=pruned)
    return pruned


@retry_serialization_failure
def _record_run(pruned: Pruned, *, retain: timedelta) -> None:
    """Store when and how much was deleted, for the overview in the admin.

    Always a new row: of two runs that end together, none finds the row of the other in its way.
    """
    rows = sum(getattr(pruned, name) for name in _FIELDS.values())
    runs = PruneRun.objects.using(db_alias())
    with atomic_write():
        run = runs.create(retain=retain, rows=rows, is_complete=pruned.is_complete)
        runs.filter(pk__lt=run.pk).delete()


def _require_in_range(retain: timedelta, *, batch_size: int, max_seconds: float | None) -> None:
    if not timedelta(0) <= retain <= LONGEST_RETENTION:
        raise ValueError(f"Rows can be retained for 0 to {LONGEST_RETENTION.days} days.")
    if not 1 <= batch_size <= LARGEST_BATCH:
        raise ValueError(f"A batch has 1 to {LARGEST_BATCH} rows.")
    if max_seconds is not None and max_seconds <= 0:
        raise ValueError("max_seconds must be positive.")


def _batches(now: datetime, *, retain: timedelta, size: int, measures: bool) -> Iterator[_Batch]:
    for rule in rules(now, retain=retain):
        yield from _walk(rule, size=size, measures=measures)


def _walk(rule: Rule, *, size: int, measures: bool) -> Iterator[_Batch]:
    """Walk along the primary key, a page at a time, to the first page with no row that is old enough.

    Imported rows that are older than their neighbours thus wait until these are as old. The times stay in the database:
    to read a thousand datetimes takes longer than all else. ``measures`` reads the last of each page.
    """
    is_old, is_deletable = _whether(Q(**{f"{rule.time_field}__lt": rule.before})), _whether(rule.deletable)
    rows = rule.rows.annotate(is_old=is_old, is_deletable=is_deletable).values_list("pk", "is_old", "is_deletable")
    rows = rows.order_by("pk")
    page = list(rows[:size])
    first_time = _time_of(rule, page[0][0]) if measures and page else rule.before
    span = max(rule.before - first_time, timedelta.resolution)
    while any(is_old for _key, is_old, _is_deletable in page):
        last_key, *_flags = page[-1]
        yield _Batch(
            rule=rule,
            deletable_keys=[key for key, _is_old, is_deletable in page if is_deletable],
            fraction=max(0.0, min(1.0, (_time_of(rule, last_key) - first_time) / span)) if measures else 0.0,
        )
        page = list(rows.filter(pk__gt=last_key)[:size])


def _whether(condition: Q) -> Case:
    return Case(When(condition, then=True), default=Value(False), output_field=models.BooleanField())


def _time_of(rule: Rule, key: Any) -> datetime:
    """Return the time of a row; if another process has just deleted it, the latest one that matters."""
    age: datetime | None = rule.rows.filter(pk=key).values_list(rule.time_field, flat=True).first()
    return age or rule.before


@retry_serialization_failure
def _erase_salts(rule: Rule, keys: list[Any]) -> None:
    """Erase the retry slots of these grants. A refresh drops old ones itself; these were not refreshed since."""
    with atomic_write():
        rule.rows.filter(pk__in=_locked(rule, keys)).update(retry_slots=None)


def _count(rule: Rule, keys: list[Any]) -> Counter[str]:
    family = {_FIELDS[children.model]: children.filter(grant__in=keys).count() for children in rule.family}
    return Counter({_FIELDS[rule.rows.model]: len(keys), **family})


def _delete(rule: Rule, keys: list[Any]) -> Counter[str]:
    """Delete the rows with what belongs to them, except a row that a table of the project refers to.

    On PostgreSQL a foreign key may fail as late as at COMMIT, and does not say for which row: so halve the batch.
    """
    try:
        return _delete_together(rule, keys)
    except IntegrityError:  # a foreign key of the project, with PROTECT or without a cascade
        if len(keys) == 1:
            return Counter(skipped=1)
    middle = len(keys) // 2
    return _delete(rule, keys[:middle]) + _delete(rule, keys[middle:])


@retry_serialization_failure
def _delete_together(rule: Rule, keys: list[Any]) -> Counter[str]:
    """Delete by Django's own means, which honour the foreign keys and signals of the project.

    Where the project has none, that is one statement for each table, and reads no row but grants.
    """
    with atomic_write():
        # A refresh may have extended a grant since the batch was read; what is locked cannot be extended any more.
        if rule.is_mutable:
            keys = _locked(rule, keys)
        _total, by_label = rule.rows.model._default_manager.using(db_alias()).filter(pk__in=keys).delete()
    return Counter({field: by_label.get(model._meta.label, 0) for model, field in _FIELDS.items()})


def _locked(rule: Rule, keys: list[Any]) -> list[Any]:
    """Return the keys of those that are still deletable and not locked; the lock keeps them so until the commit."""
    can_skip = connections[db_alias()].features.has_select_for_update_skip_locked
    rows = rule.rows.filter(rule.deletable, pk__in=keys).order_by("pk").select_for_update(skip_locked=can_skip)
    return list(rows.values_list("pk", flat=True))
