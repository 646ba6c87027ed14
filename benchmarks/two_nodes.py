"""Is a grant lost if one of two nodes behind nginx is killed under load? The nodes share a PostgreSQL and a Redis.

All servers are started here, in a temporary folder on free ports. The command fails if a grant is lost, on a response
that this may not cause, or if the server repeated more responses than clients have sent requests again: then nginx
has sent a POST twice.

    python benchmarks/two_nodes.py --grants 500
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it is run as a file

from tests.faults.deployment import WINDOW_SECONDS, deploy
from tests.faults.nodes import node_killed
from tests.faults.scenarios import Plan


def main() -> int:
    options = read_options()
    plan = Plan(
        retry_window=WINDOW_SECONDS,
        grants=options.grants,
        rounds=options.rounds,
        threads=options.threads,
        times=options.times,
    )
    with deploy("postgresql") as deployment:
        outcome = node_killed(deployment, plan)
    seen, answers = outcome.seen, outcome.seen.answers
    print("| nodes killed | refreshes | no response | 502 | 503 | repeated | slowest | lost grants |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    print(
        f"| {seen.faults} | {seen.refreshes:,} | {answers.get('none', 0)} | {answers.get('502', 0)} "
        f"| {answers.get('503', 0)} | {outcome.retries_granted} | {seen.slowest_seconds:.1f} s "
        f"| {len(seen.lost)} of {seen.grants:,} |"
    )
    failures = [*seen.lost, *seen.wrong]
    if outcome.retries_granted > outcome.repeated:
        failures.append(f"{outcome.retries_granted} responses were repeated, {outcome.repeated} were asked for again.")
    print("\n".join(["", *(failures or [f"All targets were met ({seen.seconds:.0f} s)."])]))
    return min(len(failures), 1)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grants", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3, help="how often each grant is refreshed at least")
    parser.add_argument("--threads", type=int, default=32, help="how many requests are sent at the same time")
    parser.add_argument("--times", type=int, default=6, help="how often a node is killed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
