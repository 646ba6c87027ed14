"""An empty database on the server of DATABASE_URL, for one measurement."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit


@contextmanager
def scratch_database(url: str, *, name: str = "scratch") -> Iterator[str]:
    """Create a PostgreSQL database on the server of ``url``, or a SQLite file, yield its URL, and drop it."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/{name}.sqlite3"
        return
    if not parts.scheme.startswith("postgres"):
        raise SystemExit("DATABASE_URL must begin with postgres:// or sqlite://.")
    database = f"oauth_refresh_{name}_{os.getpid()}"
    _execute(url, f"CREATE DATABASE {database}")
    try:
        yield urlunsplit((parts.scheme, parts.netloc, f"/{database}", parts.query, ""))
    finally:
        _execute(url, f"DROP DATABASE {database} WITH (FORCE)")


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """Connect to the PostgreSQL database at ``url`` without Django. Each statement is a transaction of its own."""
    import psycopg  # noqa: PLC0415  not needed for SQLite

    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        yield connection


def libpq_url(url: str) -> str:
    """Return ``url`` with the scheme that PostgreSQL's own tools accept."""
    return f"postgresql:{url.partition(':')[2]}"


def _execute(url: str, statement: str) -> None:
    with connected(url) as connection:
        connection.execute(statement)
