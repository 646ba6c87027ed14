"""How many grants are lost in a network that loses responses, with and without a retry window?

A simulation in one process, without sockets: each response is discarded with a given probability, and then the client
sends the same request again. The command fails if the number of lost grants differs from the expected one by more than
four standard deviations.

    python benchmarks/flaky_networks.py --grants 1000 --refreshes 50 --siblings 1 4
"""

import argparse
import logging
import sys
from datetime import timedelta
from itertools import product
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it is run as a file

from benchmarks.simulated_site import simulated_site
from oauth_refresh.conf import app_settings
from tests.factories import ApplicationFactory, UserFactory
from tests.faults.networks import Network, deviation, expected_losses, simulate
from tests.oauth import OAuthClient

MAX_DEVIATIONS = 4
HEAD = "| siblings | responses lost | retry window | grants lost | expected | requests | of them refused | seconds |"


def main() -> int:
    options = read_options()
    with simulated_site():
        logging.disable(logging.CRITICAL)  # a log record takes longer than a simulated refresh
        print(f"{HEAD}\n|---:|---:|---:|---:|---:|---:|---:|---:|")
        networks = product(options.siblings, options.loss, (0, options.window))
        is_off = [row(options, siblings, loss, window) for siblings, loss, window in networks]
    print(f"\nseed {options.seed}: {options.grants:,} grants, each refreshed {options.refreshes} times")
    return sum(is_off)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grants", type=int, default=1000)
    parser.add_argument("--refreshes", type=int, default=50)
    parser.add_argument("--loss", type=float, nargs="+", default=[0.05], help="share of responses that are lost")
    parser.add_argument("--siblings", type=int, nargs="+", default=[1], help="processes that share each grant")
    parser.add_argument("--window", type=int, default=30, help="seconds, beside 0")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def row(options: argparse.Namespace, siblings: int, loss: float, window: int) -> bool:
    """Simulate one network, print a row of a Markdown table, and return whether the result differs too much."""
    begun, user = perf_counter(), UserFactory()
    application = ApplicationFactory(public=True, retry_window=timedelta(seconds=window))
    network = Network(
        loss=loss, grants=options.grants, refreshes=options.refreshes, seed=options.seed, siblings=siblings
    )
    losses = simulate(network, start_grant=lambda: OAuthClient(application).start(user=user))
    retries = app_settings.retry_limit if window else 0
    expected, spread = expected_losses(network, retries=retries), deviation(network, retries=retries)
    print(
        f"| {siblings} | {loss:.0%} | {window} s | {losses.lost:,} of {losses.grants:,} "
        f"| {expected:,.1f} ± {spread:.1f} | {losses.requests:,} | {losses.answers.get(400, 0):,} "
        f"| {perf_counter() - begun:.0f} |",
        flush=True,
    )
    return abs(losses.lost - expected) > MAX_DEVIATIONS * max(spread, 1)


if __name__ == "__main__":
    sys.exit(main())
