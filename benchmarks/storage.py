"""What is stored for a session that is refreshed, before and after pruning, and are its updates made in place?

README.md says how to run this.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that it runs as a file, too

from benchmarks.contenders import Ours, our_site  # noqa: E402
from benchmarks.load import AtMost, drive  # noqa: E402
from benchmarks.machine import described, postgresql_url  # noqa: E402
from benchmarks.rounds import table  # noqa: E402
from benchmarks.scratch import connected, scratch_database  # noqa: E402
from benchmarks.served import served  # noqa: E402

TABLES = ("grant", "refreshtoken", "accesstoken")
# The grant, its refresh token and the predecessor, which could ask for a retry, and an access token not yet expired.
MOST_ROWS_AFTER_PRUNE = 4
LEAST_IN_PLACE = 0.8  # of the updates of grants; the design measured 0.87


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What the three tables hold: rows, bytes with all indexes, and bytes once VACUUM FULL has packed them."""

    rows: int
    bytes: int
    packed_bytes: int

    def per(self, sessions: int) -> dict[str, int]:
        return {name: round(value / sessions) for name, value in asdict(self).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--refreshes", type=int, default=1_000, help="of each session")
    options = parser.parse_args()
    database = postgresql_url(os.environ)
    with scratch_database(database, name="storage") as database_url:
        results = _measured(database_url, sessions=options.sessions, refreshes=options.refreshes)
    results = {"machine": described(database), **vars(options), **results}
    sys.stdout.write(f"{json.dumps(results, indent=2)}\n\n{as_table(results)}\n\n")
    broken = broken_promises(results)
    sys.stdout.write("\n".join([*(broken or ["Every promise was kept."]), ""]))
    return len(broken)


def broken_promises(results: dict[str, Any]) -> list[str]:
    rows, in_place = results["after_prune"]["rows"], results["in_place"]
    broken = []
    if rows > MOST_ROWS_AFTER_PRUNE:
        broken.append(f"{rows} rows of a session are left after pruning, not {MOST_ROWS_AFTER_PRUNE}.")
    if in_place < LEAST_IN_PLACE:
        broken.append(f"{in_place:.0%} of the updates of grants were made in place, not {LEAST_IN_PLACE:.0%}.")
    return broken


def as_table(results: dict[str, Any]) -> str:
    rows = [
        (title, *(f"{results[stage][name]:,}" for name in ("rows", "bytes", "packed_bytes")))
        for stage, title in (
            ("before", "new"),
            ("refreshed", f"after {results['refreshes']:,} refreshes"),
            ("after_prune", "then pruned"),
        )
    ]
    header = ("a session", "rows", "bytes with indexes", "bytes after VACUUM FULL")
    return f"{table(header, rows)}\n\nUpdates of grants made in place (HOT): {results['in_place']:.1%}."


def _measured(database_url: str, *, sessions: int, refreshes: int) -> dict[str, Any]:
    ours = our_site(database_url, sessions=sessions)
    _let_access_tokens_live_for_a_second(database_url)
    before = _stored(database_url).per(sessions)
    _refresh(ours, sessions=sessions, refreshes=refreshes)
    in_place = _share_in_place(database_url)
    refreshed = _stored(database_url).per(sessions)
    time.sleep(2)
    pruned = json.loads(ours.site.manage("oauth_prune", "--retain", "0", "--json"))
    return {
        "before": before,
        "refreshed": refreshed,
        "after_prune": _stored(database_url).per(sessions),
        "pruned": pruned,
        "in_place": in_place,
    }


def _refresh(ours: Ours, *, sessions: int, refreshes: int) -> None:
    """Refresh each session so often, and wait until PostgreSQL has counted: connections tell when they close."""
    with served(ours.site) as server:
        drive(server.ports, [AtMost(session, refreshes) for session in ours.sessions(sessions)])


def _share_in_place(database_url: str) -> float:
    with connected(database_url) as connection:
        updates, in_place = connection.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'oauth_refresh_grant'"
        ).fetchone()
    return float(in_place / updates)


def _stored(database_url: str) -> Stored:
    """Count, and measure twice: as it lies after the VACUUM that PostgreSQL does by itself, and packed."""
    rows = sum(_value(database_url, f"SELECT count(*) FROM oauth_refresh_{name}") for name in TABLES)  # noqa: S608  ours
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


def _let_access_tokens_live_for_a_second(database_url: str) -> None:
    """Spare the hour that they live otherwise: only what has expired is pruned."""
    with connected(database_url) as connection:
        connection.execute("UPDATE oauth_refresh_application SET access_token_lifetime = interval '1 second'")
        connection.execute("UPDATE oauth_refresh_accesstoken SET expires_at = now()")


if __name__ == "__main__":
    sys.exit(main())
