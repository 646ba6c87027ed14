"""How long does the theft of a refresh token stay undetected, with and without a retry window?

Owner and thief refresh once an hour, each with the newest token they have, until one of them is refused. The requests
are real, but sent in this process, and the clock is simulated.

    python benchmarks/theft.py --hours 48
"""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import time_machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it is run as a file

from benchmarks.simulated_site import simulated_site
from tests.factories import ApplicationFactory, UserFactory
from tests.faults.theft import BEGIN, Theft, simulate_theft
from tests.oauth import OAuthClient

HEAD = "| the thief refreshes | window | refreshes until the end | ended after | detected by | retries |"


def main() -> int:
    options = read_options()
    with simulated_site():
        logging.disable(logging.CRITICAL)
        print(f"{HEAD}\n|---|---:|---:|---:|---|---|")
        for title, theft in thefts():
            for window in options.window:
                print(row(title, theft, window, hours=options.hours), flush=True)
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=48, help="how long the simulation runs")
    parser.add_argument("--window", type=int, nargs="+", default=[0, 10, 30, 120], help="seconds")
    return parser.parse_args()


def thefts() -> Iterator[tuple[str, Theft]]:
    """Yield every kind of theft, with its title."""
    second, minute = timedelta(seconds=1), timedelta(minutes=1)
    yield "10 minutes before the owner", Theft(delay=-10 * minute)
    yield "10 minutes after the owner", Theft(delay=10 * minute)
    yield "10 minutes after the owner's second refresh", Theft(delay=70 * minute)
    yield "5 seconds before the owner", Theft(delay=-5 * second)
    yield "5 seconds after the owner", Theft(delay=5 * second)
    yield "20 seconds after the owner", Theft(delay=20 * second)
    yield "100 seconds after the owner", Theft(delay=100 * second)
    yield "5 seconds after, with the owner's address and user agent", Theft(delay=5 * second, disguised=True)
    yield "5 seconds after the owner, but once, in hour 12, later", Theft(delay=5 * second, late_in_hour=12)


def row(title: str, theft: Theft, window: int, *, hours: int) -> str:
    """Simulate a theft, and return a row of a Markdown table."""
    application = ApplicationFactory(public=True, retry_window=timedelta(seconds=window))
    with time_machine.travel(BEGIN, tick=False):
        client = OAuthClient(application).start(user=UserFactory())
    outcome = simulate_theft(theft, client, hours=hours)
    retries = Counter({True: "same", False: "another"}[same] for same in outcome.retries_by_same_caller)
    cells = (
        title,
        f"{window} s",
        f"{outcome.refreshes}" if outcome.ended_after else f"none in {outcome.refreshes}",
        f"{outcome.ended_after}" if outcome.ended_after else f"not in {hours} h",
        "reuse" if outcome.reuse_detected else "none",
        ", ".join(f"{number} by {who} caller" for who, number in retries.items()) or "none",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
