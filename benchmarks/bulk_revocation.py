"""Revoke a large number of grants in the admin, and print the statements, time and memory. See README.md."""

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it is run as a file

from benchmarks.rounds import table
from benchmarks.scratch import scratch_database
from benchmarks.server import Site, site

WARM_UP, FEW = 200, 1_000
MORE_BYTES = {"traced_peak_bytes": 1 << 20, "resident_growth_bytes": 8 << 20}
"""How much more memory many grants may take than few: SQLite keeps its pages and what it sorts in this process."""

_WRITES = {
    "UPDATE oauth_refresh_grant": 1,
    "INSERT oauth_refresh_revocationnotice": 1,
    "INSERT django_admin_log": 1,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grants", type=int, default=100_000, metavar="N", help=f"to compare with {FEW:,}")
    options = parser.parse_args()
    with scratch_database(os.environ.get("DATABASE_URL", "sqlite://")) as database_url:
        # With DEBUG off, as site() has it: DEBUG would keep a copy of every statement in memory.
        host = {"ALLOWED_HOSTS": "testserver", "OAUTH_ISSUER": "https://testserver"}
        example = site("example_project.settings", database_url, **host)
        _run_step(example, f"create_grants({WARM_UP})")
        few, many = (_measure(example, number) for number in (FEW, options.grants))
    sys.stdout.write(f"{json.dumps([few, many], indent=2)}\n\n{as_table(few, many)}\n\n")
    failures = missed_targets(few, many)
    sys.stdout.write("\n".join([*(failures or ["All targets were met."]), ""]))
    return len(failures)


def missed_targets(few: dict[str, Any], many: dict[str, Any]) -> list[str]:
    """Check that one update and one notice are enough, and that nothing else depends on the number of grants."""
    missed = []
    for run in (few, many):
        writes = {name: n for name, n in _statements(run).items() if name.startswith(("INSERT", "UPDATE", "DELETE"))}
        if writes != _WRITES:
            missed.append(f"{run['grants']:,} grants were written by {writes}, not by {_WRITES}.")
        if run["revoked"] != run["grants"]:
            missed.append(f"{run['revoked']:,} of {run['grants']:,} grants were revoked.")
    if _statements(few) != _statements(many):
        missed.append("The number of statements depends on the number of grants.")
    missed += [
        f"{name} grows with the number of grants."
        for name, more in MORE_BYTES.items()
        if max(_all(many, name)) > max(_all(few, name)) + more
    ]
    return missed


def as_table(few: dict[str, Any], many: dict[str, Any]) -> str:
    header = ("request", "grants", "statements", "seconds", "traced peak", "resident growth")
    rows: list[tuple[object, ...]] = [
        (
            request["request"],
            f"{run['grants']:,}",
            sum(request["statements"].values()),
            f"{request['seconds']:.3f}",
            _mebibytes(request["traced_peak_bytes"]),
            _mebibytes(request["resident_growth_bytes"]),
        )
        for pair in zip(few["requests"], many["requests"], strict=True)
        for run, request in zip((few, many), pair, strict=True)
    ]
    written = {name: n for name, n in _statements(many).items() if not name.startswith("SELECT")}
    return f"{table(header, rows)}\n\nWritten for {many['grants']:,} grants: {written}"


def _measure(example: Site, number: int) -> dict[str, Any]:
    """Create and revoke the grants, each in a process of its own."""
    _run_step(example, f"create_grants({number})")
    measured: dict[str, Any] = _run_step(example, f"measure({number}, warm_up={WARM_UP})")
    return measured


def _run_step(example: Site, call: str) -> Any:
    sys.stderr.write(f"{call}\n")
    return json.loads(example.call("benchmarks.revocation_steps", call))


def _statements(run: dict[str, Any]) -> Counter[str]:
    return sum((Counter(request["statements"]) for request in run["requests"]), Counter())


def _all(run: dict[str, Any], name: str) -> list[int]:
    return [request[name] for request in run["requests"]]


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):.2f} MiB"


if __name__ == "__main__":
    sys.exit(main())
