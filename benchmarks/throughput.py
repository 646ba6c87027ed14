"""How many refreshes per second, compared with an empty view, django-oauth-toolkit and the limit of the database?

See README.md.
"""

import argparse
import json
import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # it is run as a file

from benchmarks.contenders import MD5, TOOLKIT, Contender, our_contenders, pgbench, toolkit, unprepared  # noqa: E402
from benchmarks.machine import described, postgresql_url  # noqa: E402
from benchmarks.rounds import Rounds, interleaved, table  # noqa: E402
from benchmarks.server import THREADS, WORKERS  # noqa: E402

CONNECTIONS = (1, 8, 32)
TARGET_CONNECTIONS = 8
TARGETS = {"unprepared": 0.21, "refresh": 0.25}
FURTHER_TARGETS = {"unprepared": 0.25, "refresh": 0.30}
"""Share of the bare view."""
TOOLKIT_TARGETS = {"toolkit_fast": 4, "toolkit": 40}
TITLES = {
    "bare": "(a) DRF view that parses the form and answers",
    "refresh": "refresh",
    "unprepared": "refresh, with no statement prepared: Django's default",
    "toolkit_fast": f"(b) refresh of {TOOLKIT}, MD5 for client secrets",
    "toolkit": f"(b) refresh of {TOOLKIT}, its default hasher",
    "pgbench": "(c) pgbench: the same three writes, the limit",
    "api": "the view of (a), but only with an access token",
    "notes": "the example's `/api/notes/`",
    "introspect": "introspect",
    "revoke": "revoke",
}


def main() -> int:
    options = _options()
    with ExitStack() as stack:
        contenders = _contenders(stack, options)
        measured = {
            connections: interleaved(
                {name: partial(run, connections, options.seconds) for name, run in contenders.items()},
                rounds=options.rounds,
            )
            for connections in options.connections
        }
    results = {
        "machine": described(options.database),
        "gunicorn": f"{WORKERS}, each with one worker of {THREADS} threads",
        "rounds": options.rounds,
        "seconds": options.seconds,
        "connections": {
            str(connections): {name: rounds.figures(name, beside="bare") for name in rounds.runs}
            for connections, rounds in measured.items()
        },
    }
    sys.stdout.write(f"{json.dumps(results, indent=2)}\n\n{as_table(measured)}\n\n")
    if TARGET_CONNECTIONS not in measured:
        sys.stdout.write(f"The targets are for {TARGET_CONNECTIONS} connections.\n")
        return 0
    failures = missed_targets(measured[TARGET_CONNECTIONS])
    sys.stdout.write("\n".join([*(failures or ["All targets were met."]), ""]))
    return len(failures)


def missed_targets(rounds: Rounds) -> list[str]:
    """Return the targets that were missed. The further targets are only mentioned."""
    missed = []
    for name, target in TARGETS.items():
        ratio = rounds.ratio(name, "bare")
        if ratio < FURTHER_TARGETS[name]:
            sys.stderr.write(f"{TITLES[name]}: the further target of {FURTHER_TARGETS[name]} was missed.\n")
        if ratio < target:
            missed.append(f"{TITLES[name]}: the ratio to the bare view is {ratio:.3f}, not {target}.")
    for name, times in TOOLKIT_TARGETS.items():
        if name in rounds.runs and (measured := rounds.ratio("refresh", name)) < times:
            missed.append(f"{TITLES[name]}: {measured:.1f} times as fast, not {times}.")
    return missed


def as_table(measured: dict[int, Rounds]) -> str:
    header = ("request", "connections", "per second", "ratio to (a)", "refresh is", "p50 ms", "p99 ms", "generator")
    rows = [
        (
            TITLES[name],
            connections,
            f"{rounds.per_second(name):,.0f}",
            f"{rounds.ratio(name, 'bare'):.3f}",
            f"{rounds.ratio('refresh', name):.2f} times that",
            f"{rounds.milliseconds(name, 50):.1f}",
            f"{rounds.milliseconds(name, 99):.1f}",
            f"{rounds.generator_share(name):.0%}",
        )
        for connections, rounds in measured.items()
        for name in rounds.runs
    ]
    return table(header, rows)


def _contenders(stack: ExitStack, options: argparse.Namespace) -> dict[str, Contender]:
    """Start all contenders, in the order of TITLES: those that are compared most run one after the other."""
    most = max(options.connections)
    contenders = our_contenders(stack, options.database, connections=most)
    contenders["unprepared"] = unprepared(stack, options.database, connections=most)
    if not options.alone:
        contenders["toolkit_fast"] = toolkit(stack, options.database, connections=most, hasher=MD5)
        contenders["toolkit"] = toolkit(stack, options.database, connections=most)
    contenders["pgbench"] = pgbench(stack, options.database, connections=most)
    return {name: contenders[name] for name in TITLES if name in contenders}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="for each run")
    parser.add_argument("--alone", action="store_true", help=f"without {TOOLKIT}, which is installed from PyPI")
    options = parser.parse_args()
    options.database = postgresql_url(os.environ)
    return options


if __name__ == "__main__":
    sys.exit(main())
