"""Two nodes behind nginx, with one PostgreSQL and one Redis: kill one after the other under load, and lose nothing.

All servers are started here, in a temporary folder on free ports. Fails if a session was lost, if an answer came that
must not come, or if the server repeated more responses than clients have asked for: then nginx sent a POST twice.

    python benchmarks/two_nodes.py --sessions 500
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it runs as a file, too

from tests.faults.nodes import node_killed
from tests.faults.scenarios import Plan
from tests.faults.stage import WINDOW_SECONDS, stage


def main() -> int:
    options = read_options()
    plan = Plan(
        retry_window=WINDOW_SECONDS,
        sessions=options.sessions,
        rounds=options.rounds,
        threads=options.threads,
        times=options.times,
    )
    with stage("postgresql") as here:
        outcome = node_killed(here, plan)
    seen, answers = outcome.seen, outcome.seen.answers
    print("| nodes killed | refreshes | no answer | 502 | 503 | repeated | slowest | lost sessions |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    print(
        f"| {seen.faults} | {seen.refreshes:,} | {answers.get('none', 0)} | {answers.get('502', 0)} "
        f"| {answers.get('503', 0)} | {outcome.retries_granted} | {seen.slowest_seconds:.1f} s "
        f"| {len(seen.lost)} of {seen.sessions:,} |"
    )
    broken = [*seen.lost, *seen.wrong]
    if outcome.retries_granted > outcome.asked_again:
        broken.append(f"{outcome.retries_granted} responses were repeated, {outcome.asked_again} were asked for again.")
    print("\n".join(["", *(broken or [f"Every promise was kept ({seen.seconds:.0f} s)."])]))
    return min(len(broken), 1)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3, help="how often each session is refreshed at least")
    parser.add_argument("--threads", type=int, default=32, help="how many requests are under way at the same time")
    parser.add_argument("--times", type=int, default=6, help="how often a node is killed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
