"""Prune millions of rows beside a server that is refreshed from, and print what it took: README.md says how to run it.

PostgreSQL only: the rows are made by its ``generate_series``, and the longest transaction is what it says about itself.
"""

import argparse
import json
import os
import platform
import secrets
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import django
import psycopg

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs as a file, too

from benchmarks.scratch import scratch_database  # noqa: E402
from benchmarks.steady_load import Load, latencies, serving  # noqa: E402

NAME = "oauth_prune_benchmark"
SESSIONS = 20
"""How many sessions the load refreshes in turn."""


def main() -> int:
    options = read_options()
    with scratch_database(os.environ.get("DATABASE_URL", "")) as url:
        environment = production(url)
        tokens = prepare(environment, url, options)
        with serving(environment) as port:
            load = Load(port, tokens, rate=options.rate)
            note(f"Refreshing for {options.baseline} seconds before.")
            before = load.during(lambda: time.sleep(options.baseline))
            note("Pruning.")
            pruned: dict[str, Any] = {}
            meanwhile = load.during(lambda: pruned.update(prune(environment, url)))
        left = counts(url)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "django": django.get_version(),
        "processors": os.cpu_count(),
        "load_average": round(os.getloadavg()[1], 1),
        **vars(options),
        **pruned,
        "left": left,
        "refreshes": {"before": latencies(before), "meanwhile": latencies(meanwhile)},
    }
    broken = load.refused + broken_promises(result, options)
    print(f"{json.dumps(result, indent=2)}\n\n{table(result)}\n")
    print("\n".join(broken or ["Every promise was kept."]))
    return len(broken)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grants", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--spent-tokens", type=int, default=10_000_000, metavar="N", help="of all grants together")
    parser.add_argument("--rate", type=int, default=5, metavar="N", help="refreshes per second, before and meanwhile")
    parser.add_argument("--baseline", type=int, default=60, metavar="S", help="seconds of refreshes before the prune")
    return parser.parse_args()


def prepare(environment: dict[str, str], url: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Make the rows, and begin the sessions that are refreshed. Return the latter's tokens."""
    manage(environment, "migrate", "--verbosity", "0")
    account = ("--noinput", "--username", "eve", "--email", "eve@example.com")
    manage({**environment, "DJANGO_SUPERUSER_PASSWORD": "a long enough password"}, "createsuperuser", *account)
    manage(environment, "oauth_create_application", "Phone", "--client-id", "phone", "--public")
    note(f"Making {options.grants:,} grants and {options.spent_tokens:,} spent tokens.")
    rows = (Path(__file__).parent / "prune_rows.sql").read_text()
    numbers = {"grants": options.grants, "spent": options.spent_tokens // options.grants}
    with connect(url) as connection:
        connection.execute(rows.format(**numbers))
        for table in ("grant", "refreshtoken", "accesstoken"):
            connection.execute(f"VACUUM ANALYZE oauth_refresh_{table}")
    begin = ("oauth_issue_tokens", "--application", "phone", "--user", "eve", "--count", str(SESSIONS))
    return [json.loads(line) for line in manage(environment, *begin).splitlines()]


def prune(environment: dict[str, str], url: str) -> dict[str, Any]:
    """Run the command in a process of its own, and return its counts, seconds, memory and longest transaction."""
    command = [sys.executable, "manage.py", "oauth_prune", "--json"]
    begun, over, longest = time.perf_counter(), Event(), [0.0]
    process = subprocess.Popen(  # noqa: S603  our own
        command, cwd=ROOT, env={**environment, "PGAPPNAME": NAME}, stdout=subprocess.PIPE, text=True
    )
    watcher = Thread(target=watch_transactions, args=(url, over, longest))
    watcher.start()
    output = process.stdout.read() if process.stdout else ""
    _pid, status, usage = os.wait4(process.pid, 0)
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
    """Ask fifty times a second how long the command's present transaction has been open."""
    question = (
        "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity "
        "WHERE application_name = %s AND xact_start IS NOT NULL"
    )
    with connect(url) as connection:
        while not over.wait(0.02):
            row = connection.execute(question, [NAME]).fetchone()
            longest[0] = max(longest[0], float(row[0]) if row else 0.0)


def counts(url: str) -> dict[str, int]:
    with connect(url) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM oauth_refresh_{table}").fetchone()[0]  # noqa: S608  our own
            for table in ("grant", "refreshtoken", "accesstoken")
        }


def broken_promises(result: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """Return what is not as it must be: all that is dead is gone, and nothing that lives."""
    dead = options.grants // 2
    alive = options.grants - dead
    spent = options.spent_tokens // options.grants
    expected = {
        "grants": dead,
        # Of a living grant its current token and the predecessor stay.
        "refresh_tokens": dead * (spent + 1) + alive * (spent - 1),
        "access_tokens": options.grants,
    }
    broken = [
        f"{result['pruned'][kind]:,} {kind} went, not {count:,}."
        for kind, count in expected.items()
        if result["pruned"][kind] != count
    ]
    if result["left"]["grant"] != alive + SESSIONS:
        broken.append(f"{result['left']['grant']:,} grants are left, not {alive + SESSIONS:,}.")
    return broken


def table(result: dict[str, Any]) -> str:
    """Return the figures as a table of Markdown."""
    before, meanwhile = result["refreshes"]["before"], result["refreshes"]["meanwhile"]
    rows = {
        "rows before": f"{result['grants']:,} grants, {result['spent_tokens']:,} spent refresh tokens",
        "rows deleted": f"{result['rows']:,} in {result['seconds']:,} s",
        "rows per second": f"{result['rows_per_second']:,}",
        "peak memory of the command": f"{result['peak_memory_bytes'] / (1 << 20):.0f} MiB",
        "longest transaction": f"{1000 * result['longest_transaction_seconds']:.0f} ms",
        "refresh before: median, p99": f"{before['median_ms']} ms, {before['p99_ms']} ms ({before['count']:,})",
        "refresh meanwhile: median, p99": (
            f"{meanwhile['median_ms']} ms, {meanwhile['p99_ms']} ms ({meanwhile['count']:,})"
        ),
    }
    return "\n".join(["| what | measured |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows.items())])


def manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603  our own


def production(url: str) -> dict[str, str]:
    """Return the environment of the example as a production site, but on plain http."""
    return os.environ | {
        "DATABASE_URL": url,
        "DEBUG": "False",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "127.0.0.1",
        "OAUTH_ISSUER": "https://127.0.0.1",
        "OAUTH_REQUIRE_HTTPS": "False",
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
    }


def connect(url: str) -> Any:
    return psycopg.connect(f"postgresql:{url.partition(':')[2]}", autocommit=True)


def note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
