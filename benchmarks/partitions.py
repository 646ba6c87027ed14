"""How much slower is a refresh on partitioned tables? See README.md."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # it is run as a file

from benchmarks.history import CONNECTIONS, refresh_contender  # noqa: E402
from benchmarks.machine import described, postgresql_url  # noqa: E402
from benchmarks.rounds import interleaved, refreshes_table  # noqa: E402
from benchmarks.scratch import connected  # noqa: E402

_TOKENS = (ROOT / "benchmarks" / "partitions.sql").read_text()
_GRANTS = (ROOT / "benchmarks" / "hashed_grants.sql").read_text()
PARTITIONS = {"none": (), "tokens by week": (_TOKENS,), "tokens by week, grants by hash": (_GRANTS, _TOKENS)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="spent tokens of each kind")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=5, help="for each run")
    options = parser.parse_args()
    database = postgresql_url(os.environ)
    with ExitStack() as stack:
        contenders = {
            name: refresh_contender(
                stack, database, f"partitions_{number}", rows=options.rows, prepare=_execute(*statements)
            )
            for number, (name, statements) in enumerate(PARTITIONS.items())
        }
        rounds = interleaved(
            {name: lambda run=run: run(CONNECTIONS, options.seconds) for name, run in contenders.items()},
            rounds=options.rounds,
        )
    results = {
        "machine": described(database),
        "rows": options.rows,
        "partitions": {name: rounds.figures(name, beside="none") for name in rounds.runs},
    }
    text = refreshes_table(rounds, {name: name for name in PARTITIONS}, subject="partitions", beside="none")
    sys.stdout.write(f"{json.dumps(results, indent=2)}\n\n{text}\n")
    return 0


def _execute(*statements: str) -> Callable[[str], None]:
    """Return a function that executes the statements on a database."""

    def execute(database_url: str) -> None:
        with connected(database_url) as connection:
            for statement in statements:
                connection.execute(statement)

    return execute


if __name__ == "__main__":
    sys.exit(main())
