"""Calls that are made at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connections

from tests.waiting import LONGEST_SECONDS

T = TypeVar("T")


def run_together(*calls: Callable[[], T]) -> list[T]:
    """Start all calls at the same moment, each in a thread with a database connection of its own; return in order."""
    barrier = Barrier(len(calls), timeout=LONGEST_SECONDS)

    def run(call: Callable[[], T]) -> T:
        try:
            barrier.wait()
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
