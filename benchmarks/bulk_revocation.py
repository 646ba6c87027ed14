"""Revoke very many grants from the admin, and print what it took: README.md says how to run and read this."""

import argparse
import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs as a file, too

from benchmarks.scratch import scratch_database  # noqa: E402

REHEARSAL, FEW = 200, 1_000
MORE_BYTES = {"traced_peak_bytes": 1 << 20, "resident_growth_bytes": 8 << 20}
"""How much more memory may be taken for other reasons: SQLite keeps its pages and what it sorts in this process."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grants", type=int, default=100_000, metavar="N", help=f"to compare with {FEW:,}")
    options = parser.parse_args()
    url = os.environ.get("DATABASE_URL", "sqlite://")
    with scratch_database(url) as scratch_url:
        environment = _production(scratch_url)
        _manage(environment, "migrate", "--verbosity", "0")
        _make(environment, REHEARSAL)
        few, many = (_measured(environment, number) for number in (FEW, options.grants))
    sys.stdout.write(f"{json.dumps([few, many], indent=2)}\n\n{table(few, many)}\n")
    broken = broken_promises(few, many)
    sys.stdout.write("\n".join(["", *(broken or ["Every promise was kept."]), ""]))
    return len(broken)


def broken_promises(few: dict[str, Any], many: dict[str, Any]) -> list[str]:
    """Return what is not as the README says: one update, as many statements and as much memory for any number."""
    broken = []
    for run in (few, many):
        updates = {
            name: n for name, n in _statements(run).items() if not name.startswith(("SELECT", "SAVEPOINT", "RELEASE"))
        }
        if updates.get("UPDATE oauth_refresh_grant") != 1 or any(n > 1 for n in updates.values()):
            broken.append(f"{run['grants']:,} grants were written by {updates}, not by one UPDATE.")
        if run["revoked"] != run["grants"]:
            broken.append(f"{run['revoked']:,} of {run['grants']:,} grants were revoked.")
    if _statements(few) != _statements(many):
        broken.append("The number of statements depends on the number of grants.")
    broken += [
        f"{name} grows with the number of grants."
        for name, more in MORE_BYTES.items()
        if max(_all(many, name)) > max(_all(few, name)) + more
    ]
    return broken


def table(few: dict[str, Any], many: dict[str, Any]) -> str:
    """Return both runs as a table of Markdown, a row for each request."""
    lines = [
        "| request | grants | statements | seconds | traced peak | resident growth |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for pair in zip(few["requests"], many["requests"], strict=True):
        for run, request in zip((few, many), pair, strict=True):
            cells = (
                request["request"],
                f"{run['grants']:,}",
                sum(request["statements"].values()),
                f"{request['seconds']:.3f}",
                _mebibytes(request["traced_peak_bytes"]),
                _mebibytes(request["resident_growth_bytes"]),
            )
            lines.append(f"| {' | '.join(map(str, cells))} |")
    written = {name: n for name, n in _statements(many).items() if not name.startswith("SELECT")}
    return "\n".join([*lines, "", f"Written for {many['grants']:,} grants: {written}"])


def _measured(environment: dict[str, str], number: int) -> dict[str, Any]:
    """Make so many grants and end them, each in a process of its own."""
    _make(environment, number)
    sys.stderr.write(f"Revoking {number:,} grants.\n")
    measured: dict[str, Any] = _step(environment, f"measure({number}, rehearsal={REHEARSAL})")
    return measured


def _make(environment: dict[str, str], number: int) -> None:
    sys.stderr.write(f"Making {number:,} grants.\n")
    _step(environment, f"seed({number})")


def _step(environment: dict[str, str], call: str) -> Any:
    code = f"from benchmarks.revocation_steps import measure, seed; {call}"
    return json.loads(_manage(environment, "shell", "--verbosity", "0", "--command", code))


def _manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603  our own


def _production(database_url: str) -> dict[str, str]:
    """Return the environment of the example as a production site: DEBUG would keep a copy of every statement."""
    return os.environ | {
        "DATABASE_URL": database_url,
        "DEBUG": "False",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "testserver",
        "OAUTH_ISSUER": "https://testserver",
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
    }


def _statements(run: dict[str, Any]) -> Counter[str]:
    return sum((Counter(request["statements"]) for request in run["requests"]), Counter())


def _all(run: dict[str, Any], name: str) -> list[int]:
    return [request[name] for request in run["requests"]]


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):.2f} MiB"


if __name__ == "__main__":
    sys.exit(main())
