"""An empty database of the kind that DATABASE_URL names, which exists for one measurement."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit


@contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """Create a database beside the one at ``url``, yield its URL, and drop it. PostgreSQL, or a SQLite file."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/scratch.sqlite3"
        return
    if not parts.scheme.startswith("postgres"):
        raise SystemExit("DATABASE_URL must begin with postgres:// or sqlite://.")
    name = f"oauth_refresh_benchmark_{os.getpid()}"
    _execute(url, f"CREATE DATABASE {name}")
    try:
        yield urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, ""))
    finally:
        _execute(url, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(url: str, statement: str) -> None:
    import psycopg  # noqa: PLC0415  SQLite does without it

    with psycopg.connect(f"postgresql:{url.partition(':')[2]}", autocommit=True) as connection:
        connection.execute(statement)
