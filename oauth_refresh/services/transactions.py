"""Where the app writes, and what it does when the database asks for a second try."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import OperationalError, connections, router, transaction

from oauth_refresh.errors import DoomedTransaction
from oauth_refresh.models import Grant

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

_SERIALIZATION_SQLSTATES = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_SERIALIZATION_ERRNOS = frozenset({1020, 1213})  # MariaDB: record has changed, deadlock
_IN_ERROR = 3  # libpq's PQTRANS_INERROR, as both psycopg and psycopg2 tell it


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


@contextmanager
def writing(*, durable: bool = True) -> Iterator[None]:
    """Open the transaction of one decision. ``durable``: no caller may roll it back, so inside another it is an error.

    A receiver of the host project that swallows a database error has doomed the transaction, and Django would roll it
    back without a word. Raises DoomedTransaction then.
    """
    alias = write_alias()
    with transaction.atomic(using=alias, durable=durable):
        with _robust_hooks(alias), connections[alias].execute_wrapper(_doom_what_was_undone):
            yield
        if transaction.get_rollback(using=alias) or _server_will_roll_back(alias):
            raise DoomedTransaction("A receiver hid a database error, so nothing can be committed.")


@contextmanager
def _robust_hooks(alias: str) -> Iterator[None]:
    """Let whatever the block registers to run after the commit fail without raising; Django logs it and goes on.

    Raised, it would turn into a 503 what is committed: the client would send a token again that is spent.
    """
    connection = transaction.get_connection(alias)
    earlier = len(connection.run_on_commit)
    yield
    hooks = connection.run_on_commit
    hooks[earlier:] = [(savepoints, hook, True) for savepoints, hook, _robust in hooks[earlier:]]


def _doom_what_was_undone(execute: Callable[..., T], sql: str, params: Any, many: bool, context: dict[str, Any]) -> T:
    """Let nothing be committed after a deadlock, whoever hides it.

    MariaDB has then undone all that came before, and would commit what follows as if nothing had happened.
    """
    try:
        return execute(sql, params, many, context)
    except OperationalError as error:
        if _is_serialization_failure(error):
            context["connection"].needs_rollback = True
        raise


def _server_will_roll_back(alias: str) -> bool:
    """Whether PostgreSQL would turn COMMIT into ROLLBACK: Django does not see errors of a bare cursor."""
    info = getattr(connections[alias].connection, "info", None)
    return getattr(info, "transaction_status", None) == _IN_ERROR


def _is_serialization_failure(error: OperationalError) -> bool:
    cause = error.__cause__
    sqlstate = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)  # psycopg 3, psycopg2
    errno = error.args[0] if error.args else None
    return sqlstate in _SERIALIZATION_SQLSTATES or errno in _SERIALIZATION_ERRNOS
