"""Statements that were sent to the database, in short."""

import re

from django.test.utils import CaptureQueriesContext


def statements(queries: CaptureQueriesContext) -> list[str]:
    """Return each statement as its verb and first table, without the app's prefix, such as ``UPDATE grant``."""
    found = []
    for query in queries.captured_queries:
        sql = query["sql"]
        verb = sql.split(maxsplit=1)[0]
        table = re.search(r"oauth_refresh_(\w+)", sql)
        found.append(f"{verb} {table[1]}" if table else verb)
    return found


def written(queries: CaptureQueriesContext) -> list[str]:
    """Return the statements that write."""
    return [
        statement for statement in statements(queries) if statement.split()[0] in {"INSERT", "UPDATE", "DELETE", "WITH"}
    ]
