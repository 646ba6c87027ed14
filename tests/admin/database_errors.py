"""Let the database fail while a page is made."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection

_DIGEST = re.compile(r"[0-9a-f]{64}")


@contextmanager
def failing_statements(verb: str, table: str) -> Iterator[set[str]]:
    """Let every statement with this verb and table fail; yield the digests that statements carried."""
    digests: set[str] = set()

    def execute_or_fail(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        digests.update(value for value in params or () if isinstance(value, str) and _DIGEST.fullmatch(value))
        if sql.startswith(verb) and table in sql:
            raise OperationalError("the connection is lost")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute_or_fail):
        yield digests
