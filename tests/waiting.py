"""Waiting for what must happen, however slow the machine is: by a condition with a deadline, never by a fixed time."""

import time
from collections.abc import Callable

LONGEST_SECONDS = 120


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once ``condition`` holds. Raises AssertionError if it does not in time."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "What was waited for did not happen."
        time.sleep(0.02)
