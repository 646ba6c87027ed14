"""How many refreshes does a connection make if the database is a millisecond away, compared with seven statements?

See README.md.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # it is run as a file

from benchmarks.contenders import our_site  # noqa: E402
from benchmarks.delay import delayed  # noqa: E402
from benchmarks.load import Run, drive  # noqa: E402
from benchmarks.machine import described, postgresql_url  # noqa: E402
from benchmarks.rounds import Rounds, interleaved, refreshes_table  # noqa: E402
from benchmarks.scratch import scratch_database  # noqa: E402
from benchmarks.server import served  # noqa: E402

TARGET = 2.5
_POSTGRESQL_PORT = 5432
TITLES = {
    "two": "two statements",
    "two_unprepared": "the same, with no statement prepared: Django's default",
    "seven": "seven statements",
    "seven_unprepared": "the same, with no statement prepared",
}
SETTINGS = {"two": "benchmarks.sites.ours", "seven": "benchmarks.sites.seven_statements"}


def main() -> int:
    options = _options()
    with ExitStack() as stack:
        contenders = {name: partial(_site(stack, options, name), options.seconds) for name in TITLES}
        rounds = interleaved(contenders, rounds=options.rounds)
    results = {
        "machine": described(options.database),
        "milliseconds": options.milliseconds,
        **{name: rounds.figures(name, beside="seven") for name in TITLES},
    }
    table = refreshes_table(rounds, TITLES, subject="a refresh of", beside="seven")
    sys.stdout.write(f"{json.dumps(results, indent=2)}\n\n{table}\n\n")
    failures = missed_targets(rounds)
    sys.stdout.write("\n".join([*(failures or ["All targets were met."]), ""]))
    return len(failures)


def missed_targets(rounds: Rounds) -> list[str]:
    pairs = (("two", "seven"), ("two_unprepared", "seven_unprepared"))
    ratios = {TITLES[name]: rounds.ratio(name, other) for name, other in pairs}
    return [f"{title}: {ratio:.2f} times as many, not {TARGET}." for title, ratio in ratios.items() if ratio < TARGET]


def _site(stack: ExitStack, options: argparse.Namespace, name: str) -> Callable[[float], Run]:
    """Serve a site whose database is so far away, and return the refreshes of one connection."""
    database_url = stack.enter_context(scratch_database(options.database, name=f"latency_{name}"))
    kind, _underscore, unprepared = name.partition("_")
    ours = our_site(
        database_url,
        grants=1,
        DJANGO_SETTINGS_MODULE=SETTINGS[kind],
        DATABASE_PREPARED="False" if unprepared else "True",
    )
    parts = urlsplit(database_url)
    address = (parts.hostname or "127.0.0.1", parts.port or _POSTGRESQL_PORT)
    port = stack.enter_context(delayed(*address, milliseconds=options.milliseconds))
    netloc = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"
    away = urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))
    site = replace(ours.site, environment={**ours.site.environment, "DATABASE_URL": away})
    refreshing = ours.refreshes(1)
    ports = stack.enter_context(served(site, workers=1, threads=1)).ports
    return lambda seconds: drive(ports, refreshing, seconds=seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--milliseconds", type=float, default=1, help="to the database and back")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="for each run")
    options = parser.parse_args()
    options.database = postgresql_url(os.environ)
    return options


if __name__ == "__main__":
    sys.exit(main())
