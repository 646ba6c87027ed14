"""Prune millions of rows while a server refreshes grants, and print time and memory. See README.md.

PostgreSQL only: its ``generate_series`` creates the rows, and ``pg_stat_activity`` shows the longest transaction.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # it is run as a file

from benchmarks.machine import described, postgresql_url  # noqa: E402
from benchmarks.rounds import table  # noqa: E402
from benchmarks.scratch import connected, scratch_database  # noqa: E402
from benchmarks.server import Site, served, site  # noqa: E402
from benchmarks.steady_load import Load, latencies  # noqa: E402

APPLICATION_NAME = "oauth_prune_benchmark"
REFRESHED_GRANTS = 20
TABLES = ("grant", "refreshtoken", "accesstoken")


def main() -> int:
    options = read_options()
    database = postgresql_url(os.environ)
    with scratch_database(database, name="prune") as url:
        example = site("benchmarks.sites.production", url)
        refresh_tokens = prepare(example, url, options)
        with served(example, workers=1) as server:
            load = Load(server.ports[0], refresh_tokens, rate=options.rate)
            sys.stderr.write(f"Refreshing for {options.baseline} seconds before.\n")
            before = load.during(lambda: time.sleep(options.baseline))
            sys.stderr.write("Pruning.\n")
            pruned: dict[str, Any] = {}
            meanwhile = load.during(lambda: pruned.update(prune(example, url)))
        left = counts(url)
    result = {
        "machine": described(database),
        **vars(options),
        **pruned,
        "left": left,
        "refreshes": {"before": latencies(before), "meanwhile": latencies(meanwhile)},
    }
    failures = load.refused + missed_targets(result, options)
    print(f"{json.dumps(result, indent=2)}\n\n{as_table(result)}\n")
    print("\n".join(failures or ["All targets were met."]))
    return len(failures)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grants", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--spent-tokens", type=int, default=10_000_000, metavar="N", help="of all grants together")
    parser.add_argument("--rate", type=int, default=5, metavar="N", help="refreshes per second, before and meanwhile")
    parser.add_argument("--baseline", type=int, default=60, metavar="S", help="seconds of refreshes before the prune")
    return parser.parse_args()


def prepare(example: Site, url: str, options: argparse.Namespace) -> list[str]:
    """Create the rows, and the grants to refresh. Return the refresh tokens of the latter."""
    example.manage("createsuperuser", "--no-input", "--username", "eve", "--email", "eve@example.org")
    example.manage("oauth_create_application", "Phone", "--client-id", "phone", "--public")
    sys.stderr.write(f"Creating {options.grants:,} grants and {options.spent_tokens:,} spent tokens.\n")
    rows = (Path(__file__).parent / "prune_rows.sql").read_text()
    with connected(url) as connection:
        connection.execute(rows.format(grants=options.grants, spent=options.spent_tokens // options.grants))
        for name in TABLES:
            connection.execute(f"VACUUM ANALYZE oauth_refresh_{name}")
    issue = ("oauth_issue_tokens", "--application", "phone", "--user", "eve", "--count", str(REFRESHED_GRANTS))
    return [json.loads(line)["refresh_token"] for line in example.manage(*issue).splitlines()]


def prune(example: Site, url: str) -> dict[str, Any]:
    """Run the command in a process of its own, and return its counts, seconds, memory and longest transaction."""
    begun, over, longest = time.perf_counter(), Event(), [0.0]
    process = subprocess.Popen(
        [sys.executable, "-m", "django", "oauth_prune", "--json"],
        cwd=ROOT,
        env={**example.environment, "PGAPPNAME": APPLICATION_NAME},
        stdout=subprocess.PIPE,
        text=True,
    )
    watcher = Thread(target=watch_transactions, args=(url, over, longest))
    watcher.start()
    output = process.stdout.read() if process.stdout else ""
    _pid, status, usage = os.wait4(process.pid, 0)  # unlike Popen.wait(), it returns the memory used
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    over.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"The command failed: {process.returncode}")
    counted = json.loads(output)
    rows = sum(count for kind, count in counted.items() if not isinstance(count, bool) and kind != "skipped")
    return {
        "pruned": counted,
        "rows": rows,
        "seconds": round(seconds, 1),
        "rows_per_second": round(rows / seconds),
        "peak_memory_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "longest_transaction_seconds": round(longest[0], 3),
    }


def watch_transactions(url: str, over: Event, longest: list[float]) -> None:
    """Fifty times a second, query how long the command's current transaction has been open."""
    query = (
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity "
        "WHERE application_name = %s AND xact_start IS NOT NULL"
    )
    with connected(url) as connection:
        while not over.wait(0.02):
            longest[0] = max(longest[0], float(connection.execute(query, [APPLICATION_NAME]).fetchone()[0]))


def counts(url: str) -> dict[str, int]:
    with connected(url) as connection:
        return {
            name: connection.execute(f"SELECT count(*) FROM oauth_refresh_{name}").fetchone()[0]  # noqa: S608  our own tables
            for name in TABLES
        }


def missed_targets(result: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """Check that all rows that were due are deleted, and no others."""
    expired = options.grants // 2
    active = options.grants - expired
    spent = options.spent_tokens // options.grants
    expected = {
        "grants": expired,
        # An active grant keeps its current refresh token and the one before.
        "refresh_tokens": expired * (spent + 1) + active * (spent - 1),
        "access_tokens": options.grants,
    }
    missed = [
        f"{result['pruned'][kind]:,} {kind} were deleted, not {count:,}."
        for kind, count in expected.items()
        if result["pruned"][kind] != count
    ]
    if result["left"]["grant"] != active + REFRESHED_GRANTS:
        missed.append(f"{result['left']['grant']:,} grants are left, not {active + REFRESHED_GRANTS:,}.")
    return missed


def as_table(result: dict[str, Any]) -> str:
    before, meanwhile = result["refreshes"]["before"], result["refreshes"]["meanwhile"]
    rows: list[tuple[object, ...]] = [
        ("rows before", f"{result['grants']:,} grants, {result['spent_tokens']:,} spent refresh tokens"),
        ("rows deleted", f"{result['rows']:,} in {result['seconds']:,} s"),
        ("rows per second", f"{result['rows_per_second']:,}"),
        ("peak memory of the command", f"{result['peak_memory_bytes'] / (1 << 20):.0f} MiB"),
        ("longest transaction", f"{1000 * result['longest_transaction_seconds']:.0f} ms"),
        ("refresh before: median, p99", f"{before['median_ms']} ms, {before['p99_ms']} ms ({before['count']:,})"),
        (
            "refresh meanwhile: median, p99",
            f"{meanwhile['median_ms']} ms, {meanwhile['p99_ms']} ms ({meanwhile['count']:,})",
        ),
    ]
    return table(("what", "measured"), rows)


if __name__ == "__main__":
    sys.exit(main())
