"""Do the spent tokens of earlier refreshes slow a refresh down? See README.md."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # it is run as a file

from benchmarks.contenders import Contender, our_site  # noqa: E402
from benchmarks.load import drive  # noqa: E402
from benchmarks.machine import described, postgresql_url  # noqa: E402
from benchmarks.rounds import interleaved, refreshes_table  # noqa: E402
from benchmarks.scratch import connected, scratch_database  # noqa: E402
from benchmarks.server import served  # noqa: E402

CONNECTIONS = 8
TARGET = 0.9
GENERATIONS = 1_000
"""Of each grant in the history: an hourly refresh for six weeks."""

# Other grants of the same user, each refreshed every hour until now. Their digests are distributed like real ones.
_GRANTS = """
    INSERT INTO oauth_refresh_grant (
        public_id, application_id, user_id, grant_type, scope, resources, consented, mac_key, generation, access_floor,
        created_at, refreshed_at, idle_expires_at, expires_at, password_fingerprint, retries, user_agent, revoked_reason
    )
    SELECT gen_random_uuid(), application_id, user_id, grant_type, scope, resources, consented, mac_key,
        %(generations)s + 1, %(generations)s + 1, created_at, now(), now() + interval '14 days', expires_at,
        password_fingerprint, 0, '', ''
    FROM (SELECT * FROM oauth_refresh_grant LIMIT 1) AS any_grant, generate_series(1, %(grants)s)
"""
_REFRESH_TOKENS = """
    INSERT INTO oauth_refresh_refreshtoken (grant_id, generation, digest, created_at, expires_at, address, user_agent)
    SELECT id, g, encode(sha256(convert_to('refresh ' || id || ' ' || g, 'UTF8')), 'hex'), at,
        at + interval '14 days', '127.0.0.1', 'benchmark'
    FROM oauth_refresh_grant, generate_series(1, %(generations)s) AS g,
        LATERAL (SELECT now() - (%(generations)s - g) * interval '1 hour') AS issued (at)
    WHERE generation > %(generations)s
"""
_ACCESS_TOKENS = """
    INSERT INTO oauth_refresh_accesstoken (grant_id, generation, digest, scope, audience, created_at, expires_at)
    SELECT id, g, encode(sha256(convert_to('access ' || id || ' ' || g, 'UTF8')), 'hex'), scope, '', at,
        at + interval '1 hour'
    FROM oauth_refresh_grant, generate_series(1, %(generations)s) AS g,
        LATERAL (SELECT now() - (%(generations)s - g) * interval '1 hour') AS issued (at)
    WHERE generation > %(generations)s
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, metavar="N", help="spent tokens of each kind")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=3, help="for each run")
    options = parser.parse_args()
    database = postgresql_url(os.environ)
    with ExitStack() as stack:
        contenders = {
            "without": refresh_contender(stack, database, "history_none", rows=0),
            "with": refresh_contender(stack, database, "history", rows=options.rows),
        }
        rounds = interleaved(
            {name: lambda run=run: run(CONNECTIONS, options.seconds) for name, run in contenders.items()},
            rounds=options.rounds,
        )
    results = {
        "machine": described(database),
        "rows": options.rows,
        "history": {name: rounds.figures(name, beside="without") for name in rounds.runs},
    }
    titles = {"without": "0", "with": f"{options.rows:,}"}
    text = refreshes_table(rounds, titles, subject="spent tokens of each kind", beside="without")
    sys.stdout.write(f"{json.dumps(results, indent=2)}\n\n{text}\n\n")
    ratio = rounds.ratio("with", "without")
    is_met = ratio >= TARGET
    sys.stdout.write("The target was met.\n" if is_met else f"The ratio is {ratio:.3f}, not {TARGET}.\n")
    return 0 if is_met else 1


def _fill(database_url: str, rows: int) -> None:
    """Insert spent tokens of each kind, and update PostgreSQL's statistics."""
    sys.stderr.write(f"Inserting {rows:,} spent tokens of each kind.\n")
    numbers = {"grants": -(-rows // GENERATIONS), "generations": GENERATIONS}
    with connected(database_url) as connection:
        if rows:
            for statement in (_GRANTS, _REFRESH_TOKENS, _ACCESS_TOKENS):
                connection.execute(statement, numbers)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def refresh_contender(
    stack: ExitStack, url: str, name: str, *, rows: int, prepare: Callable[[str], None] | None = None
) -> Contender:
    """Serve our site on a database with this many spent tokens, and return its refresh. See ``our_site``."""
    database_url = stack.enter_context(scratch_database(url, name=name))
    ours = our_site(database_url, grants=CONNECTIONS, prepare=prepare)
    _fill(database_url, rows)
    refreshing = ours.refreshes(CONNECTIONS)
    ports = stack.enter_context(served(ours.site)).ports
    return lambda count, seconds: drive(ports, refreshing[:count], seconds=seconds)


if __name__ == "__main__":
    sys.exit(main())
