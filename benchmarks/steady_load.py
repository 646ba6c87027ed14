"""Sessions that are refreshed at a steady rate while something else goes on, and the server that they ask."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection, socket
from statistics import median, quantiles
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent


class Load:
    """Refreshes sessions in turn at a steady rate; a late answer does not put off the time the next is due."""

    def __init__(self, port: int, tokens: list[dict[str, Any]], *, rate: int) -> None:
        self.port, self.rate = port, rate
        self.tokens = [line["refresh_token"] for line in tokens]
        self.refused: list[str] = []

    def during(self, act: Any) -> list[float]:
        """Refresh until ``act`` has returned; return how many seconds each took from when it was due."""
        over, seconds = Event(), []
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
            number = (number + 1) % len(self.tokens)
            self.tokens[number] = self._refresh(connection, self.tokens[number])
            seconds.append(time.perf_counter() - due)
            due += 1 / self.rate
            time.sleep(max(0.0, due - time.perf_counter()))

    def _refresh(self, connection: HTTPConnection, token: str) -> str:
        form = urlencode({"grant_type": "refresh_token", "client_id": "phone", "refresh_token": token})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/oauth/token", body=form, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != HTTPStatus.OK:
            self.refused.append(f"A refresh was answered {answer.status}: {body.decode()}")
            return token
        return str(json.loads(body)["refresh_token"])


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[int]:
    """Serve the example by gunicorn, and yield its port."""
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    options = ["--workers", "2", "--worker-class", "gthread", "--threads", "2", "--log-level", "error"]
    command = [sys.executable, "-m", "gunicorn", "example_project.wsgi", "--bind", f"127.0.0.1:{port}", *options]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603  our own
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(port: int) -> None:
    for _turn in range(300):
        with suppress(OSError), create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit("The server did not start.")


def latencies(seconds: list[float]) -> dict[str, Any]:
    milliseconds = [1000 * value for value in seconds]
    return {
        "count": len(milliseconds),
        "median_ms": round(median(milliseconds), 1),
        "p99_ms": round(quantiles(milliseconds, n=100)[98], 1),
        "max_ms": round(max(milliseconds), 1),
    }
