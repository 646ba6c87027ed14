"""Is a grant lost if servers are killed, or responses and commits lost, while many grants are refreshed?

It starts its own PostgreSQL and MariaDB servers, in a temporary folder on free ports, and kills only these. It fails if
a grant is lost although there is a retry window, or on a response that no fault may cause. See README.md.

    python benchmarks/faults.py --grants 1000
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it is run as a file

from tests.faults import scenarios
from tests.faults.deployment import CLIENT_IDS, WINDOW_SECONDS, deploy
from tests.faults.scenarios import SCENARIOS, Outcome, Plan
from tests.faults.servers import SERVERS, missing_software

HEAD = "| fault | database | window | faults | refreshes | no response | 503 | slowest | lost of {:,} |"


def main() -> int:
    options = read_options()
    print(f"{HEAD.format(options.grants)}\n|---|---|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    begun, failures = perf_counter(), []
    for vendor in options.database:
        if (absent := missing_software(vendor)) is not None:
            raise SystemExit(f"{absent}.")
        with deploy(vendor) as deployment:
            for name in (name for name in options.fault if vendor in SCENARIOS[name]):
                for window in options.window:
                    outcome = getattr(scenarios, name)(deployment, plan_of(options, window))
                    deployment.stop_sites()
                    print(row(name, vendor, window, outcome), flush=True)
                    failures += missed_targets(f"{name}, {vendor}, {window} s", window, outcome)
    print("\n".join(["", *(failures or [f"All targets were met ({perf_counter() - begun:.0f} s)."])]))
    return min(len(failures), 1)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grants", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="how often each grant is refreshed at least")
    parser.add_argument("--threads", type=int, default=32, help="how many requests are sent at the same time")
    parser.add_argument("--times", type=int, default=5, help="how often a process is killed")
    parser.add_argument("--lose-every", type=int, default=20, help="one of this number of responses or commits is lost")
    parser.add_argument("--database", nargs="+", choices=sorted(SERVERS), default=["postgresql", "mysql", "sqlite"])
    parser.add_argument("--fault", nargs="+", choices=sorted(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument("--window", type=int, nargs="+", choices=sorted(CLIENT_IDS), default=[0, WINDOW_SECONDS])
    return parser.parse_args()


def plan_of(options: argparse.Namespace, window: int) -> Plan:
    return Plan(
        retry_window=window,
        grants=options.grants,
        rounds=options.rounds,
        threads=options.threads,
        times=options.times,
        lose_every=options.lose_every,
    )


def row(name: str, vendor: str, window: int, outcome: Outcome) -> str:
    """Return a row of a Markdown table."""
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


def missed_targets(run: str, window: int, outcome: Outcome) -> list[str]:
    """Return wrong responses and, with a retry window, lost grants."""
    lost = outcome.lost if window else []
    return [f"{run}: {what}" for what in (*outcome.wrong[:10], *lost[:10])]


if __name__ == "__main__":
    sys.exit(main())
