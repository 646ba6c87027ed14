"""The machine and the versions, to be published with the figures."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version

from benchmarks.scratch import connected

_PACKAGES = ("Django", "djangorestframework", "gunicorn", "psycopg")


def described(database_url: str) -> dict[str, object]:
    """Return date, machine and versions."""
    with connected(database_url) as connection:
        settings = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0]
            for name in ("server_version", "synchronous_commit", "fsync", "shared_buffers")
        }
    return {
        "date": datetime.now(tz=UTC).date().isoformat(),
        "processors": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "postgresql": settings,
        **{name: version(name) for name in _PACKAGES},
    }


def postgresql_url(environment: Mapping[str, str]) -> str:
    """Return DATABASE_URL, which must name a PostgreSQL database."""
    url = environment.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        raise SystemExit("DATABASE_URL must begin with postgres://.")
    return url
