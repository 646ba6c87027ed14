"""Kill servers while many sessions are refreshed, break connections at the worst moment, and count what is lost.

It starts PostgreSQL and MariaDB servers of its own, in a temporary folder on free ports, and kills only these. A lost
session, with the window on, or an answer that no fault may cause, fails the run. README.md says how to read the table.

    python benchmarks/faults.py --sessions 1000
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it runs as a file, too

from tests.faults import scenarios
from tests.faults.scenarios import SCENARIOS, Outcome, Plan
from tests.faults.servers import SERVERS, why_absent
from tests.faults.stage import CLIENT_IDS, stage

HEAD = "| fault | database | window | faults | refreshes | no answer | 503 | slowest | lost of {:,} |"


def main() -> int:
    options = read_options()
    print(f"{HEAD.format(options.sessions)}\n|---|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    begun, broken = perf_counter(), []
    for vendor in options.database:
        if (absent := why_absent(vendor)) is not None:
            raise SystemExit(f"{absent}.")
        with stage(vendor) as here:
            for name in (name for name in options.fault if vendor in SCENARIOS[name]):
                for window in options.window:
                    outcome = getattr(scenarios, name)(here, plan_of(options, window))
                    here.clear_sites()
                    print(row(name, vendor, window, outcome), flush=True)
                    broken += promises_broken(f"{name}, {vendor}, {window} s", window, outcome)
    print("\n".join(["", *(broken or [f"Every promise was kept ({perf_counter() - begun:.0f} s)."])]))
    return min(len(broken), 1)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="how often each session is refreshed at least")
    parser.add_argument("--threads", type=int, default=32, help="how many requests are under way at the same time")
    parser.add_argument("--times", type=int, default=5, help="how often something is killed")
    parser.add_argument("--lose-every", type=int, default=20, help="each how many-th answer or commit is lost")
    parser.add_argument("--database", nargs="+", choices=sorted(SERVERS), default=["postgresql", "mysql", "sqlite"])
    parser.add_argument("--fault", nargs="+", choices=sorted(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument("--window", type=int, nargs="+", choices=sorted(CLIENT_IDS), default=sorted(CLIENT_IDS))
    return parser.parse_args()


def plan_of(options: argparse.Namespace, window: int) -> Plan:
    return Plan(
        retry_window=window,
        sessions=options.sessions,
        rounds=options.rounds,
        threads=options.threads,
        times=options.times,
        lose_every=options.lose_every,
    )


def row(name: str, vendor: str, window: int, outcome: Outcome) -> str:
    """Return a row of a table of Markdown."""
    cells = (
        name.replace("_", " "),
        SERVERS[vendor].__name__,
        f"{window} s",
        f"{outcome.faults:,}",
        f"{outcome.refreshes:,}",
        f"{outcome.answers.get('none', 0):,}",
        f"{outcome.answers.get('503', 0):,}",
        f"{outcome.slowest_seconds:.1f} s",
        f"{len(outcome.lost):,}",
    )
    return f"| {' | '.join(cells)} |"


def promises_broken(run: str, window: int, outcome: Outcome) -> list[str]:
    """Return what must not have happened: wrong answers ever, lost sessions where there is a window."""
    lost = outcome.lost if window else []
    return [f"{run}: {what}" for what in (*outcome.wrong[:10], *lost[:10])]


if __name__ == "__main__":
    sys.exit(main())
