"""Which database the app writes to, and the transaction of one decision."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cache, partial, wraps
from typing import Any, ParamSpec, TypeVar

from django.db import OperationalError, connections, router, transaction
from django.db.models import Model

from oauth_refresh.errors import AutocommitOff, TransactionBroken, TransactionOpen
from oauth_refresh.http import clear_local_variables
from oauth_refresh.models import Grant

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=Model)

logger = logging.getLogger(__name__)

_SERIALIZATION_SQLSTATES = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected
_SERIALIZATION_ERRNOS = frozenset({1020, 1213})  # MariaDB: record has changed, deadlock
_ATTEMPTS = 5
# The signals to send after the commit of the transaction that is open.
_senders: ContextVar[list[Callable[[], object]] | None] = ContextVar("oauth_refresh_senders", default=None)
_SHARED_LOCKS = {"postgresql": "FOR SHARE", "mysql": "LOCK IN SHARE MODE"}
_IN_ERROR = 3  # libpq's PQTRANS_INERROR, as both psycopg and psycopg2 report it


def db_alias() -> str:
    """Return the database that every decision is read from and written to: a replica may lag behind a revocation."""
    return router.db_for_write(Grant)


def is_valid_text(text: str) -> bool:
    """Whether a column can hold ``text``, so that a look-up is no error: no NUL (PostgreSQL), no lone surrogate."""
    return "\x00" not in text and (text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text))


def _require_autocommit() -> None:
    """Raise AutocommitOff if the connection would not commit: the client would get tokens that are not stored."""
    alias = db_alias()
    if not connections[alias].in_atomic_block and not transaction.get_autocommit(using=alias):
        raise AutocommitOff(
            f"AUTOCOMMIT is off for the database {alias!r}, so nothing would be stored: remove it from DATABASES."
        )


def read_with_shared_lock(model: type[M], key: Any) -> M | None:
    """Return the stored row, locked until commit so that others may read but not change it; None if it is gone.

    ``select_for_update`` has an exclusive lock only, with which all grants of one application would wait for each
    other. SQLite needs no lock: it refuses to write in a transaction if another one has written since its first read.
    """
    connection = connections[db_alias()]
    quoted = connection.ops.quote_name
    table, column = quoted(model._meta.db_table), quoted(str(model._meta.pk.column))
    lock = _SHARED_LOCKS.get(connection.vendor, "")
    sql = f"SELECT * FROM {table} WHERE {column} = %s {lock}"  # noqa: S608  all of it is written here or in models
    return next(iter(model._base_manager.using(db_alias()).raw(sql, [key])), None)


def retry_serialization_failure(operation: Callable[P, T]) -> Callable[P, T]:
    """Run a whole transaction again if the database chose it as the victim of a deadlock or a conflict, up to 5 times.

    The last such failure, and every other one, is raised. So is a failure inside the caller's transaction: all of that
    one would have to be run again. Raises AutocommitOff where nothing would be committed.
    """

    @wraps(operation)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        _require_autocommit()
        # A revocation of many grants may be the victim more than once while their clients refresh, on MariaDB.
        for _attempt in range(_ATTEMPTS - 1):
            try:
                return operation(*args, **kwargs)
            except OperationalError as error:
                if connections[db_alias()].in_atomic_block or not _is_serialization_failure(error):
                    raise
                logger.info("The database rolled this transaction back to end a deadlock or conflict; trying again.")
        return operation(*args, **kwargs)

    return run


@contextmanager
def atomic_write(*, durable: bool = True) -> Iterator[None]:
    """Open the transaction of one decision. ``durable``: no caller may roll it back, so inside another it is an error.

    A receiver of the host project that swallows a database error has broken the transaction, and Django would roll it
    back without an exception. Raises TransactionBroken then; TransactionOpen inside another transaction, and
    AutocommitOff where nothing would be committed.
    """
    _require_autocommit()
    alias = db_alias()
    committed: list[bool] = []
    senders = _senders.get()
    outer = _senders.set([] if senders is None else senders)
    try:
        with _begin(alias, durable=durable):
            transaction.on_commit(partial(committed.append, True), using=alias, robust=True)
            with connections[alias].execute_wrapper(_break_after_deadlock):
                yield
            if transaction.get_rollback(using=alias) or _server_will_roll_back(alias):
                raise TransactionBroken("A receiver hid a database error, so nothing can be committed.")
    except Exception as error:
        if not committed:
            raise
        # An on_commit hook of the project failed, and Django runs none after it. With a 503 the client would send the
        # token again, which is spent; and a theft that was noticed must be reported.
        clear_local_variables(error)
        logger.exception("A hook of the project failed after the commit; the request is answered all the same.")
        for send in _senders.get() or ():
            send()
    finally:
        _senders.reset(outer)


@contextmanager
def _begin(alias: str, *, durable: bool) -> Iterator[None]:
    """Open the transaction. Raises TransactionOpen, which also says what to do, in place of Django's RuntimeError."""
    with ExitStack() as stack:
        try:
            stack.enter_context(transaction.atomic(using=alias, durable=durable))
        except RuntimeError as error:
            raise TransactionOpen(
                f"A transaction is already open on the database {alias!r}, but a refresh or revocation must be "
                "durable: its rollback could undo them. Exempt the endpoints of oauth_refresh from what opened it, "
                "such as a middleware with atomic() or django-reversion's RevisionMiddleware."
            ) from error
        yield


def after_commit(send: Callable[[], object]) -> None:
    """Send a signal of ours once, after the commit. A failure is logged: the transaction is committed already."""
    once = cache(send)
    if (senders := _senders.get()) is not None:
        senders.append(once)
    transaction.on_commit(once, using=db_alias(), robust=True)


def _break_after_deadlock(execute: Callable[..., T], sql: str, params: Any, many: bool, context: dict[str, Any]) -> T:
    """Let nothing be committed after a deadlock, even if a receiver hides the error.

    MariaDB has then rolled back everything before it, and would commit what follows as a transaction of its own.
    """
    try:
        return execute(sql, params, many, context)
    except OperationalError as error:
        if _is_serialization_failure(error):
            transaction.set_rollback(True, using=context["connection"].alias)
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
