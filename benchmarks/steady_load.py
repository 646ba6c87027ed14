"""Grants that are refreshed at a steady rate while something else happens."""

import json
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection
from statistics import median, quantiles
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode


class Load:
    """Refreshes grants in turn at a steady rate. A late response does not delay the time at which the next is due."""

    def __init__(self, port: int, refresh_tokens: list[str], *, rate: int) -> None:
        self.port, self.rate = port, rate
        self.refresh_tokens = refresh_tokens
        self.refused: list[str] = []

    def during(self, act: Callable[[], object]) -> list[float]:
        """Refresh until ``act`` has returned. Return the seconds from the time each refresh was due to its response."""
        over, seconds = Event(), list[float]()
        thread = Thread(target=self._run, args=(over, seconds))
        thread.start()
        try:
            act()
        finally:
            over.set()
            thread.join()
        return seconds

    def _run(self, over: Event, seconds: list[float]) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        due, number = time.perf_counter(), 0
        while not over.is_set() and not self.refused:
            number = (number + 1) % len(self.refresh_tokens)
            self.refresh_tokens[number] = self._refresh(connection, self.refresh_tokens[number])
            seconds.append(time.perf_counter() - due)
            due += 1 / self.rate
            time.sleep(max(0.0, due - time.perf_counter()))

    def _refresh(self, connection: HTTPConnection, refresh_token: str) -> str:
        form = urlencode({"grant_type": "refresh_token", "client_id": "phone", "refresh_token": refresh_token})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/oauth/token", body=form, headers=headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != HTTPStatus.OK:
            self.refused.append(f"A refresh was answered with {response.status}: {body.decode()}")
            return refresh_token
        return str(json.loads(body)["refresh_token"])


def latencies(seconds: list[float]) -> dict[str, Any]:
    milliseconds = [1000 * value for value in seconds]
    return {
        "count": len(milliseconds),
        "median_ms": round(median(milliseconds), 1),
        "p99_ms": round(quantiles(milliseconds, n=100)[98], 1),
        "max_ms": round(max(milliseconds), 1),
    }
