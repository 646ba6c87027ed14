"""Where the app writes, and what it does when the database asks for a second try."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, router, transaction

from oauth_refresh.models import Grant

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

_SERIALIZATION_SQLSTATES = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_SERIALIZATION_ERRNOS = frozenset({1020, 1213})  # MariaDB: record has changed, deadlock


def write_alias() -> str:
    """Return the database that every decision is read from and written to: a replica may lag behind a revocation."""
    return router.db_for_write(Grant)


def retry_serialization_failure(operation: Callable[P, T]) -> Callable[P, T]:
    """Run a whole transaction once more if the database chose it as the victim of a deadlock or a conflict.

    The second failure, and every other one, goes on to the caller. So does a failure inside the caller's transaction:
    all of that one would have to be run again.
    """

    @wraps(operation)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return operation(*args, **kwargs)
        except OperationalError as error:
            if transaction.get_connection(write_alias()).in_atomic_block or not _is_serialization_failure(error):
                raise
            logger.info("The database broke a deadlock or conflict at our cost; trying once more.")
        return operation(*args, **kwargs)

    return run


def _is_serialization_failure(error: OperationalError) -> bool:
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    errno = error.args[0] if error.args else None
    return sqlstate in _SERIALIZATION_SQLSTATES or errno in _SERIALIZATION_ERRNOS
