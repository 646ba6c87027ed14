"""What else may happen in the middle of a request, forced for the length of a ``with`` block.

Another request acts between two statements, or the database or the project's own code fails.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import OperationalError, connection
from django.db.models import Model

from oauth_refresh.models import AuthorizationCode, RefreshToken
from oauth_refresh.signals import refresh_token_exchanged
from tests.signals import connected


@contextmanager
def run_after_select(model: type[Model], action: Callable[[], object], *, count: int = 1) -> Iterator[None]:
    """Run ``action``, once, after the first statement, or after so many, that read rows of ``model``."""
    pending = [action, *[lambda: None] * (count - 1)]

    def interleave(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("SELECT") and model._meta.db_table in sql and pending:
            pending.pop()()
        return result

    with connection.execute_wrapper(interleave):
        yield


@contextmanager
def run_after_token_lookup(action: Callable[[], object]) -> Iterator[None]:
    """Run ``action``, once, between the look-up of a refresh token and the update that spends it."""
    with run_after_select(RefreshToken, action):
        yield


@contextmanager
def run_after_code_lookup(action: Callable[[], object]) -> Iterator[None]:
    """Run ``action``, once, between the look-up of an authorization code and the update that spends it."""
    with run_after_select(AuthorizationCode, action):
        yield


class DriverError(Exception):
    """What a database driver raises; ``sqlstate`` as psycopg names it."""

    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate


RAISE_DEADLOCK = {
    "postgresql": "DO $$ BEGIN RAISE 'deadlock detected' USING ERRCODE = '40P01'; END $$",
    "mysql": "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213",
}
"""By vendor, a statement that fails as if the database had rolled us back to resolve a deadlock."""


@contextmanager
def deadlocks(statement: str, *, times: int) -> Iterator[list[str]]:
    """Let the first statements that begin so fail with a deadlock; yield a list of all such statements."""
    tried: list[str] = []

    def execute_or_fail(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(statement):
            tried.append(sql)
            if len(tried) <= times:
                raise OperationalError("deadlock detected") from DriverError("40P01")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute_or_fail):
        yield tried


deadlock_once = partial(deadlocks, times=1)


@contextmanager
def error_after_insert(model: type[Model]) -> Iterator[None]:
    """Raise LookupError, as code of the project might, whenever a row of ``model`` has been inserted.

    A receiver of the project is connected as well, so that a refresh is a transaction on PostgreSQL too.
    """

    def fail(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith(("INSERT", "WITH")) and model._meta.db_table in sql:
            raise LookupError("an error of the project's own code")
        return result

    with connected(refresh_token_exchanged, lambda **kwargs: None), connection.execute_wrapper(fail):
        yield
