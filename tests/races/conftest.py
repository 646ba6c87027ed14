import os
import time
from collections import Counter
from importlib.util import find_spec

import pytest
from django.db import connection

from tests.races.server import serving
from tests.server import manage

ROUNDS = int(os.environ.get("RACE_ROUNDS", "3"))


class Rounds:
    """The rounds of one race, and how often which status was answered."""

    def __init__(self, planned):
        self.planned, self.done, self.statuses, self.started = planned, 0, Counter(), time.monotonic()

    def __iter__(self):
        for number in range(self.planned):
            yield number
            self.done += 1

    def count(self, answers):
        self.statuses.update(answer.status for answer in answers)

    def __str__(self):
        answers = " ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))
        return f"{self.done} rounds, {answers}, {time.monotonic() - self.started:.1f} s"


@pytest.fixture
def rounds(request, record_property):
    """The rounds of this race. SQLite has one writer at a time, so it gets a fifth of them."""
    rounds = Rounds(max(2, ROUNDS // 5) if connection.vendor == "sqlite" else ROUNDS)
    yield rounds
    record_property("race", f"{connection.vendor}: {request.node.name}: {rounds}")


@pytest.fixture(scope="module")
def server(database_url, django_db_blocker, tmp_path_factory):
    """The example project, served by several processes; the ORM of the test works on the server's database."""
    if find_spec("gunicorn") is None:
        pytest.skip("gunicorn is not installed")
    migrated = manage("migrate", database_url=database_url)
    assert migrated.returncode == 0, migrated.stderr
    with django_db_blocker.unblock(), serving(database_url, tmp_path_factory.mktemp("site")) as server:
        yield server


def pytest_terminal_summary(terminalreporter):
    """Print one line for each race: rounds, answers by status, and how long it took."""
    finished = [report for report in terminalreporter.stats.get("", []) if report.when == "teardown"]
    lines = [text for report in finished for name, text in report.user_properties if name == "race"]
    if lines:
        terminalreporter.section("races")
    for line in sorted(lines):
        terminalreporter.write_line(line)
