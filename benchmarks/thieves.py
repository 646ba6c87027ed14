"""How long does a thief with a copy of a refresh token go unnoticed, with and without a retry window?

Owner and thief refresh once an hour, each their own newest token, until one of them is refused. The clock is made up;
the requests are real ones, in one process.

    python benchmarks/thieves.py --hours 48
"""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import time_machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it runs as a file, too

from benchmarks.simulated import simulated_site
from tests.factories import ApplicationFactory, UserFactory
from tests.faults.thieves import BEGIN, Theft, run
from tests.oauth import OAuthClient

HEAD = "| the thief comes | window | refreshes until the end | ended after | alarm | retries, and by whom |"


def main() -> int:
    options = read_options()
    with simulated_site():
        logging.disable(logging.CRITICAL)
        print(f"{HEAD}\n|---|---:|---:|---:|---|---|")
        for comes, theft in thefts():
            for window in (0, options.window):
                print(row(comes, theft, window, hours=options.hours), flush=True)
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=48, help="how long to watch")
    parser.add_argument("--window", type=int, default=30, help="seconds, beside 0")
    return parser.parse_args()


def thefts() -> Iterator[tuple[str, Theft]]:
    """Yield every kind of theft, with its name."""
    second, minute = timedelta(seconds=1), timedelta(minutes=1)
    yield "10 minutes before the owner", Theft(delay=-10 * minute)
    yield "10 minutes after the owner", Theft(delay=10 * minute)
    yield "10 minutes after the owner's second refresh", Theft(delay=70 * minute)
    yield "10 seconds before the owner", Theft(delay=-10 * second)
    yield "10 seconds after the owner", Theft(delay=10 * second)
    yield "the same, from its address, as its user agent", Theft(delay=10 * second, disguised=True)
    yield "10 seconds after the owner, but late once, in hour 12", Theft(delay=10 * second, late_in_hour=12)


def row(comes: str, theft: Theft, window: int, *, hours: int) -> str:
    """Let one theft take its course and return a row of a table of Markdown."""
    application = ApplicationFactory(public=True, retry_window=timedelta(seconds=window))
    with time_machine.travel(BEGIN, tick=False):
        client = OAuthClient(application).start(user=UserFactory())
    course = run(theft, client, hours=hours)
    retries = Counter({True: "same", False: "another"}[same] for same in course.retries_by_same_caller)
    cells = (
        comes,
        f"{window} s",
        f"{course.refreshes}" if course.ended_after else f"none in {course.refreshes}",
        f"{course.ended_after}" if course.ended_after else f"not in {hours} h",
        "reuse" if course.alarms else "none",
        ", ".join(f"{number} by {who} caller" for who, number in retries.items()) or "none",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
