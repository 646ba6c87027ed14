"""Others who listen, act in between, or make the database fail, for the length of a ``with`` block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection
from django.db.models import Model
from django.dispatch import Signal

from oauth_refresh.models import AccessToken, AuthorizationCode, Grant, GrantEvent, RefreshToken


@contextmanager
def connected(signal: Signal, receiver: Callable[..., Any], *, first: bool = False) -> Iterator[None]:
    """Connect a receiver as a project would; ``first`` puts it before all that are connected already."""
    signal.connect(receiver)
    if first:
        signal.receivers.insert(0, signal.receivers.pop())
    try:
        yield
    finally:
        signal.disconnect(receiver)


@contextmanager
def heard(signal: Signal) -> Iterator[list[dict[str, Any]]]:
    """Yield a list that grows by what each sending of ``signal`` carries."""
    carried: list[dict[str, Any]] = []

    def listen(signal: Signal, sender: type, **kwargs: Any) -> None:
        carried.append(kwargs)

    with connected(signal, listen):
        yield carried


@contextmanager
def rival_acts_after_a_look_at(model: type[Model], act: Callable[[], object]) -> Iterator[None]:
    """Let a rival ``act``, once, after the first statement that reads rows of ``model``."""
    rivals = [act]

    def interleave(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("SELECT") and model._meta.db_table in sql and rivals:
            rivals.pop()()
        return result

    with connection.execute_wrapper(interleave):
        yield


@contextmanager
def rival_acts_after_the_token_was_read(act: Callable[[], object]) -> Iterator[None]:
    """Let a rival ``act``, once, between the look-up of the presented refresh token and the update that spends it."""
    with rival_acts_after_a_look_at(RefreshToken, act):
        yield


@contextmanager
def rival_acts_after_the_code_was_read(act: Callable[[], object]) -> Iterator[None]:
    """Let a rival ``act``, once, between the look-up of the presented code and the update that spends it."""
    with rival_acts_after_a_look_at(AuthorizationCode, act):
        yield


class DriverError(Exception):
    """What a database driver raises; ``sqlstate`` as psycopg names it."""

    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate


DEADLOCK = {
    "postgresql": "DO $$ BEGIN RAISE 'deadlock detected' USING ERRCODE = '40P01'; END $$",
    "mysql": "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213",
}
"""A statement that fails as if the database had broken a deadlock at our cost, by vendor."""


@contextmanager
def fails_once(statement: str) -> Iterator[list[str]]:
    """Let the database break a deadlock, once, at the cost of such a statement; yield all of these that are tried."""
    tried: list[str] = []

    def execute_or_fail(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(statement):
            tried.append(sql)
            if len(tried) == 1:
                raise OperationalError("deadlock detected") from DriverError("40P01")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute_or_fail):
        yield tried


@contextmanager
def fault_after_an_insert_of(model: type[Model]) -> Iterator[None]:
    """Let something of the project's own fail whenever a row of ``model`` has just been inserted."""

    def fail(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("INSERT") and model._meta.db_table in sql:
            raise LookupError("a fault of the project's own")
        return result

    with connection.execute_wrapper(fail):
        yield


def everything() -> dict[str, list[dict[str, Any]]]:
    """Return all rows that a request of the protocol could change, to compare before and after."""
    return {
        model.__name__: list(model._default_manager.order_by("pk").values())
        for model in (Grant, AuthorizationCode, RefreshToken, AccessToken, GrantEvent)
    }
