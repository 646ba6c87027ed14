"""How many sessions does a network cost that loses answers, with and without a retry window?

In one process, without sockets: each answer is thrown away with a given probability, and then the client sends the
same request again. Prints what was lost beside what the theory expects, and fails if they differ by more than four
standard deviations.

    python benchmarks/flaky_networks.py --sessions 1000 --refreshes 50
"""

import argparse
import logging
import sys
from datetime import timedelta
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it runs as a file, too

from benchmarks.simulated import simulated_site
from oauth_refresh.conf import app_settings
from tests.factories import ApplicationFactory, UserFactory
from tests.faults.networks import Network, deviation, expected_losses, simulate
from tests.oauth import OAuthClient

MOST_DEVIATIONS = 4
HEAD = "| answers lost | retry window | sessions lost | expected | requests | of them refused | seconds |"


def main() -> int:
    options = read_options()
    with simulated_site():
        logging.disable(logging.CRITICAL)  # a line for each loss would take longer than the loss
        print(f"{HEAD}\n|---:|---:|---:|---:|---:|---:|---:|")
        off = [row(options, loss, window) for loss in options.loss for window in (0, options.window)]
    print(f"\nseed {options.seed}: {options.sessions:,} sessions, each refreshed {options.refreshes} times")
    return sum(off)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--refreshes", type=int, default=50)
    parser.add_argument("--loss", type=float, nargs="+", default=[0.05], help="share of answers lost")
    parser.add_argument("--window", type=int, default=30, help="seconds, beside 0")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def row(options: argparse.Namespace, loss: float, window: int) -> bool:
    """Simulate one network, print a row of a table of Markdown, and return whether the theory is off."""
    begun, user = perf_counter(), UserFactory()
    application = ApplicationFactory(public=True, retry_window=timedelta(seconds=window))
    network = Network(loss=loss, sessions=options.sessions, refreshes=options.refreshes, seed=options.seed)
    losses = simulate(network, begin_session=lambda: OAuthClient(application).start(user=user))
    retries = app_settings.retry_limit if window else 0
    expected, spread = expected_losses(network, retries=retries), deviation(network, retries=retries)
    print(
        f"| {loss:.0%} | {window} s | {losses.lost:,} of {losses.sessions:,} | {expected:,.1f} ± {spread:.1f} "
        f"| {losses.requests:,} | {losses.answers.get(400, 0):,} | {perf_counter() - begun:.0f} |",
        flush=True,
    )
    return abs(losses.lost - expected) > MOST_DEVIATIONS * max(spread, 1)


if __name__ == "__main__":
    sys.exit(main())
