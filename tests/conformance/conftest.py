import logging

import pytest

from tests.conformance.rows import NOT_TESTED, SECTIONS, is_tested, row_of, rows_of
from tests.database import database_snapshot
from tests.refusals import assert_no_secret_in, read_refusal


@pytest.fixture
def refused(db, caplog):
    """Send a request that must be refused, assert the global invariants, and return status and body."""
    caplog.set_level(logging.DEBUG)

    def send_and_check(send):
        before = database_snapshot()
        response = send()
        answer = read_refusal(response)
        assert response.status_code < 500
        assert database_snapshot() == before
        assert_no_secret_in(
            response.content.decode() + caplog.text + repr(database_snapshot()), request=response.wsgi_request
        )
        return answer

    return send_and_check


def pytest_terminal_summary(terminalreporter):
    """Print, for each section of which a test ran, what became of its rows."""
    outcomes = _outcomes_by_row(terminalreporter.stats)
    if not outcomes:
        return
    terminalreporter.section("conformance")
    for section in SECTIONS:
        rows = rows_of(section)
        passed = [row for row in rows if outcomes.get(row) == "passed"]
        failed = [row for row in rows if outcomes.get(row) == "failed"]
        if not passed and not failed:
            continue
        all_ran = all(row in outcomes for row in rows if is_tested(row))
        not_tested = [row for row in rows if all_ran and not is_tested(row)]
        counts = f"{section:33} {len(passed):3} passed {len(failed):3} failed"
        terminalreporter.write_line(counts + (f" {len(not_tested):3} later or out of scope" if all_ran else ""))
        for row in failed:
            terminalreporter.write_line(f"    {row}  failed", red=True)
        for row in not_tested:
            terminalreporter.write_line(f"    {row}  {NOT_TESTED[row]}")


def _outcomes_by_row(stats):
    """Return row id to outcome; a row is as good as the worst of its tests."""
    outcomes = {}
    for category, outcome in [("passed", "passed"), ("failed", "failed"), ("error", "failed")]:
        for report in stats.get(category, []):
            if "tests/conformance/" in report.nodeid and (row := row_of(report.nodeid)):
                outcomes[row] = outcome
    return outcomes
