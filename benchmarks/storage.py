"""How much does a grant store, before and after pruning, and does PostgreSQL update its row in place? See README.md."""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # it is run as a file

from benchmarks.contenders import OurSite, our_site  # noqa: E402
from benchmarks.load import AtMost, drive  # noqa: E402
from benchmarks.machine import described, postgresql_url  # noqa: E402
from benchmarks.rounds import table  # noqa: E402
from benchmarks.scratch import connected, scratch_database  # noqa: E402
from benchmarks.server import served  # noqa: E402

TABLES = ("grant", "refreshtoken", "accesstoken")
MAX_ROWS_AFTER_PRUNE = 4
"""The grant, the current refresh token, the one before, which a retry may present, and the newest access token."""
MIN_IN_PLACE = 0.99
"""Share of the updates of grants."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Rows and bytes of the three tables, with indexes; ``packed_bytes`` are those after VACUUM FULL."""

    rows: int
    bytes: int
    packed_bytes: int

    def per(self, grants: int) -> dict[str, int]:
        return {name: round(value / grants) for name, value in asdict(self).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grants", type=int, default=50)
    parser.add_argument("--refreshes", type=int, default=1_000, help="of each grant")
    parser.add_argument("--window", type=int, default=0, help="the retry window, in seconds")
    options = parser.parse_args()
    database = postgresql_url(os.environ)
    with scratch_database(database, name="storage") as database_url:
        results = _measured(database_url, options)
    results = {"machine": described(database), **vars(options), **results}
    sys.stdout.write(f"{json.dumps(results, indent=2)}\n\n{as_table(results)}\n\n")
    failures = missed_targets(results)
    sys.stdout.write("\n".join([*(failures or ["All targets were met."]), ""]))
    return len(failures)


def missed_targets(results: dict[str, Any]) -> list[str]:
    rows, in_place = results["after_prune"]["rows"], results["in_place"]
    missed = []
    if rows > MAX_ROWS_AFTER_PRUNE:
        missed.append(f"{rows} rows of a grant are left after pruning, not {MAX_ROWS_AFTER_PRUNE}.")
    if in_place < MIN_IN_PLACE:
        missed.append(f"{in_place:.0%} of the updates of grants were made in place, not {MIN_IN_PLACE:.0%}.")
    return missed


def as_table(results: dict[str, Any]) -> str:
    rows = [
        (title, *(f"{results[stage][name]:,}" for name in ("rows", "bytes", "packed_bytes")))
        for stage, title in (
            ("before", "new"),
            ("refreshed", f"after {results['refreshes']:,} refreshes"),
            ("after_prune", "then pruned"),
        )
    ]
    header = ("a grant", "rows", "bytes with indexes", "bytes after VACUUM FULL")
    return f"{table(header, rows)}\n\nUpdates of grants made in place (HOT): {results['in_place']:.1%}."


def _measured(database_url: str, options: argparse.Namespace) -> dict[str, Any]:
    grants, refreshes = options.grants, options.refreshes
    ours = our_site(database_url, grants=grants)
    _shorten_access_tokens(database_url)
    with connected(database_url) as connection:
        window = f"interval '{options.window} seconds'"
        connection.execute(f"UPDATE oauth_refresh_application SET retry_window = {window}")  # noqa: S608  a number
    before = _stored(database_url).per(grants)
    _refresh(ours, grants=grants, refreshes=refreshes)
    in_place = _share_in_place(database_url)
    refreshed = _stored(database_url).per(grants)
    time.sleep(options.window + 2)
    pruned = json.loads(ours.site.manage("oauth_prune", "--retain", "0", "--json"))
    return {
        "before": before,
        "refreshed": refreshed,
        "after_prune": _stored(database_url).per(grants),
        "pruned": pruned,
        "in_place": in_place,
    }


def _refresh(ours: OurSite, *, grants: int, refreshes: int) -> None:
    """Refresh each grant, then stop the site: PostgreSQL counts the updates of a connection when it closes."""
    with served(ours.site) as server:
        drive(server.ports, [AtMost(source, refreshes) for source in ours.refreshes(grants)])


def _share_in_place(database_url: str) -> float:
    with connected(database_url) as connection:
        updates, in_place = connection.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'oauth_refresh_grant'"
        ).fetchone()
    return float(in_place / updates)


def _stored(database_url: str) -> Stored:
    """Count the rows, and measure the bytes twice: after VACUUM, which PostgreSQL runs by itself, and VACUUM FULL."""
    rows = sum(_value(database_url, f"SELECT count(*) FROM oauth_refresh_{name}") for name in TABLES)  # noqa: S608  our own tables
    found = []
    for vacuum in ("VACUUM", "VACUUM FULL"):
        for name in TABLES:
            with connected(database_url) as connection:
                connection.execute(f"{vacuum} oauth_refresh_{name}")
        found.append(
            sum(_value(database_url, f"SELECT pg_total_relation_size('oauth_refresh_{name}')") for name in TABLES)
        )
    return Stored(rows=rows, bytes=found[0], packed_bytes=found[1])


def _value(database_url: str, query: str) -> int:
    with connected(database_url) as connection:
        value: int = connection.execute(query).fetchone()[0]
        return value


def _shorten_access_tokens(database_url: str) -> None:
    """Let access tokens expire after a second instead of an hour, since only expired ones are pruned."""
    with connected(database_url) as connection:
        connection.execute("UPDATE oauth_refresh_application SET access_token_lifetime = interval '1 second'")
        connection.execute("UPDATE oauth_refresh_accesstoken SET expires_at = now()")


if __name__ == "__main__":
    sys.exit(main())
