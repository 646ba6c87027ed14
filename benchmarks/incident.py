"""What do the admin's indexes cost a refresh, and how fast are its pages in an incident? See README.md."""

import argparse
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # it is run as a file

from benchmarks.contenders import our_site  # noqa: E402
from benchmarks.history import CONNECTIONS, refresh_contender  # noqa: E402
from benchmarks.machine import described, postgresql_url  # noqa: E402
from benchmarks.rounds import interleaved, refreshes_table, table  # noqa: E402
from benchmarks.scratch import connected, scratch_database  # noqa: E402

TARGET = 0.97
MOST_SECONDS = 1
"""For a list by address."""
GENERATIONS = 720
"""Of each grant: an hourly refresh for 30 days."""
_INDEXES = ("oauth_refresh_token_address", "oauth_refresh_token_created", "oauth_grant_address")

# One refresh in ten comes from elsewhere; all others of a grant from one address.
_GRANTS = """
    INSERT INTO oauth_refresh_grant (
        public_id, application_id, user_id, grant_type, scope, resources, consented, mac_key, generation, access_floor,
        created_at, refreshed_at, idle_expires_at, password_fingerprint, retries, address, user_agent, revoked_reason
    )
    SELECT gen_random_uuid(), application_id, user_id, 'authorization_code', scope, '', true, mac_key, %(generations)s,
        %(generations)s, now() - interval '30 days', now(), now() + interval '14 days', '', 0,
        ('10.' || n %% 16 || '.' || (n / 16) %% 256 || '.' || n %% 251)::inet, 'benchmark', ''
    FROM (SELECT * FROM oauth_refresh_grant LIMIT 1) AS any_grant, generate_series(1, %(grants)s) AS n
"""
_REFRESH_TOKENS = """
    INSERT INTO oauth_refresh_refreshtoken (grant_id, generation, digest, created_at, expires_at, address, user_agent)
    SELECT id, g, encode(sha256(convert_to('refresh ' || id || ' ' || g, 'UTF8')), 'hex'), at,
        at + interval '14 days',
        CASE WHEN random() < 0.1
            THEN ('203.' || floor(random() * 50) || '.' || floor(random() * 256) || '.' || floor(random() * 256))::inet
            ELSE address
        END,
        user_agent
    FROM generate_series(1, %(generations)s) AS g, oauth_refresh_grant,
        LATERAL (
            SELECT now() - (%(generations)s - g) * interval '1 hour' - id %% 3600 * interval '1 second'
        ) AS issued (at)
    WHERE oauth_refresh_grant.address <<= '10.0.0.0/8'
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, metavar="N", help="refreshes that are stored")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=3, help="for each run")
    options = parser.parse_args()
    database = postgresql_url(os.environ)
    with ExitStack() as stack:
        contenders = {
            "without": refresh_contender(stack, database, "unindexed", rows=options.rows, prepare=_drop_indexes),
            "with": refresh_contender(stack, database, "indexed", rows=options.rows),
        }
        rounds = interleaved(
            {name: lambda run=run: run(CONNECTIONS, options.seconds) for name, run in contenders.items()},
            rounds=options.rounds,
        )
    pages = _measured_pages(database, rows=options.rows)
    figures = {name: rounds.figures(name, beside="without") for name in rounds.runs}
    results = {"machine": described(database), "rows": options.rows, "refreshes": figures, "pages": pages}
    text = refreshes_table(
        rounds,
        {"without": "without", "with": "with"},
        subject="indexes for the admin",
        beside="without",
    )
    lines = [(page["title"], f"{page['ms']:,.0f}", page["statements"]) for page in pages]
    sys.stdout.write(f"{json.dumps(results, indent=2)}\n\n{text}\n\n{table(('page', 'ms', 'statements'), lines)}\n\n")
    failures = _missed_targets(rounds.ratio("with", "without"), pages)
    sys.stdout.write("\n".join([*(failures or ["All targets were met."]), ""]))
    return len(failures)


def _missed_targets(ratio: float, pages: list[dict[str, object]]) -> list[str]:
    slow = [
        f"{page['title']} took {page['ms']} ms."
        for page in pages
        if "address" in str(page["title"]) and float(str(page["ms"])) > MOST_SECONDS * 1000
    ]
    return (
        slow if ratio >= TARGET else [f"With the indexes, the ratio of refreshes is {ratio:.3f}, not {TARGET}.", *slow]
    )


def _drop_indexes(database_url: str) -> None:
    with connected(database_url) as connection:
        for name in _INDEXES:
            connection.execute(f"DROP INDEX {name}")


def _measured_pages(database: str, *, rows: int) -> list[dict[str, object]]:
    with scratch_database(database, name="pages") as database_url:
        ours = our_site(database_url, grants=1)
        numbers = {"grants": -(-rows // GENERATIONS), "generations": GENERATIONS}
        with connected(database_url) as connection:
            for statement in (_GRANTS, _REFRESH_TOKENS):
                connection.execute(statement, numbers)
            connection.execute("VACUUM ANALYZE")
        pages: list[dict[str, object]] = json.loads(ours.site.call("benchmarks.sites.incident_pages", "measure()"))
        return pages


if __name__ == "__main__":
    sys.exit(main())
