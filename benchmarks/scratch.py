"""An empty database of the kind that DATABASE_URL names, which exists for one measurement."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit


@contextmanager
def scratch_database(url: str, *, name: str = "scratch") -> Iterator[str]:
    """Create a database beside the one at ``url``, yield its URL, and drop it. PostgreSQL, or a SQLite file."""
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
    """Connect to the PostgreSQL database at ``url``, outside of Django; each statement is a transaction."""
    import psycopg  # noqa: PLC0415  SQLite does without it

    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        yield connection


def libpq_url(url: str) -> str:
    """Return ``url`` in the form that the tools of PostgreSQL take, whatever Django takes."""
    return f"postgresql:{url.partition(':')[2]}"


def _execute(url: str, statement: str) -> None:
    with connected(url) as connection:
        connection.execute(statement)
