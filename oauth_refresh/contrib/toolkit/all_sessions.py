"""Move all sessions of django-oauth-toolkit here, in bounded batches: for the command."""

import logging
from collections import Counter
from collections.abc import Collection, Iterator

from django.db import DataError, IntegrityError, transaction

from oauth_refresh.contrib.toolkit import old_rows
from oauth_refresh.contrib.toolkit.applications import import_for_dry_run
from oauth_refresh.contrib.toolkit.sessions import MovedSessions, imported_applications, move_texts
from oauth_refresh.services.db import db_alias

BATCH_SIZE = 20
"""How many sessions one transaction moves. A client whose user has one of them waits for all of them to move here."""

logger = logging.getLogger(__name__)


def move_all(
    *, batch_size: int = BATCH_SIZE, dry_run: bool = False, with_applications: bool = False
) -> Iterator[tuple[int, MovedSessions]]:
    """Move all sessions, a transaction for each ``batch_size`` of them. Yield how many each visited, and its result.

    It can be interrupted and run again: what was moved is gone there, and what stayed is visited again. A ``dry_run``
    does the same and rolls it back; ``with_applications``: as if they were imported before.
    """
    old_rows.require_readable()
    for checksums in old_rows.live_batches(batch_size):
        yield len(checksums), _rehearse(checksums, with_applications) if dry_run else _move_batch(checksums)


def _move_batch(checksums: list[str]) -> MovedSessions:
    """Move a batch; if the database refuses it, one session after the other, so that only the refused one stays."""
    try:
        return move_texts(checksums)
    except (DataError, IntegrityError):
        if len(checksums) == 1:
            logger.exception("A session of django-oauth-toolkit was not moved: the database refused it.")
            return MovedSessions(stayed=Counter(refused=1))
    total = MovedSessions()
    for checksum in checksums:
        total += _move_batch([checksum])
    return total


def _rehearse(checksums: Collection[str], with_applications: bool) -> MovedSessions:
    finder = import_for_dry_run if with_applications else imported_applications
    with transaction.atomic(using=db_alias()):
        result = move_texts(checksums, find_applications=finder)
        transaction.set_rollback(True, using=db_alias())
    return result
