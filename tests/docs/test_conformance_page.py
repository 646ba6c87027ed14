"""``docs/reference/conformance.md`` claims what the tests show, and nothing else."""

import subprocess
import sys

import pytest

from docs import conformance
from tests.conformance.clauses import CLAUSES
from tests.conformance.rows import DIFFERENCES, NOT_TESTED, SECTIONS, is_tested, rows_of
from tests.server import ROOT

ALL_ROWS = [row for section in SECTIONS for row in rows_of(section)]
TABLES = "<!-- begin: written by docs/conformance.py -->\nold\n<!-- end -->"


def line_of(row, text):
    [line] = {line for line in text.splitlines() if line.startswith(f"| {row} |")}
    return line


def test_page_is_what_the_script_writes():
    text = conformance.PAGE.read_text()

    assert conformance.page(text, conformance.read_tests()) == text


@pytest.mark.slow
def test_check_passes_while_the_page_is_up_to_date():
    run = subprocess.run(
        [sys.executable, "docs/conformance.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (run.returncode, run.stderr) == (0, "")


def test_check_fails_and_changes_nothing_if_the_page_is_stale(tmp_path, monkeypatch, capsys):
    stale = tmp_path / "conformance.md"
    stale.write_text(TABLES)
    monkeypatch.setattr(conformance, "PAGE", stale)

    status = conformance.main(["--check"])

    assert (status, stale.read_text()) == (1, TABLES)
    assert "run python docs/conformance.py" in capsys.readouterr().err


def test_script_writes_between_its_two_lines_only(tmp_path, monkeypatch):
    written = tmp_path / "conformance.md"
    written.write_text(f"before\n{TABLES}\nafter\n")
    monkeypatch.setattr(conformance, "PAGE", written)

    assert conformance.main([]) == 0

    assert written.read_text().startswith("before\n<!-- begin: written by docs/conformance.py -->\n\n360 rows, ")
    assert written.read_text().endswith("\n\n<!-- end -->\nafter\n")


def test_page_without_the_two_lines_is_an_error():
    with pytest.raises(ValueError, match="needs a line"):
        conformance.page("nothing", {})


def test_every_row_is_on_the_page():
    text = conformance.PAGE.read_text()

    assert [row for row in ALL_ROWS if f"| {row} |" not in text] == []


def test_row_without_a_test_is_not_met():
    assert line_of("RT-021", conformance.tables({})).endswith("|  |  | not tested |")


def test_row_out_of_scope_has_its_reason():
    assert line_of("RV-020", conformance.tables({})).endswith("|  | out of scope: DPoP |")


def test_row_that_differs_says_how():
    tests = {"CA-013": [conformance.Test("It is so.", "test_it")]}

    assert line_of("CA-013", conformance.tables(tests)) == (
        f"| CA-013 | §2.3, §5.2 | It is so. [test_it][] | differs: {DIFFERENCES['CA-013']} |"
    )


@pytest.mark.parametrize(
    ("source", "sentences"),
    [
        ("def test_rt_001_api_of_oauth_2_1_is_utf_8(): ...", ["API of OAuth 2.1 is UTF-8."]),
        ("@parametrize('n', [1])\ndef test_rt_001_json(n): ...", ["JSON."]),
        ("class TestIt:\n    def test_rt_001_a(self): ...", ["A."]),
        ("@pytest.mark.skipif(sqlite, reason='')\ndef test_rt_001_a(): ...", ["A."]),
        ("@pytest.mark.skip\ndef test_rt_001_a(): ...", []),
        ("@pytest.mark.xfail(strict=True)\ndef test_rt_001_a(): ...", []),
        ("pytestmark = pytest.mark.skip(reason='')\ndef test_rt_001_a(): ...", []),
        ("def test_without_a_row(): ...", []),
    ],
)
def test_only_tests_that_can_pass_count(tmp_path, source, sentences):
    (tmp_path / "test_it.py").write_text(source)

    found = conformance.read_tests(tmp_path)

    assert [test.sentence for test in found.get("RT-001", [])] == sentences


def test_every_clause_is_of_a_row_and_of_a_document_on_the_page():
    documents = {document for group in conformance.DOCUMENTS.values() for document in group}
    named = {clause.partition(" ")[0] for clauses in CLAUSES.values() for clause in clauses.split("; ")}

    assert set(CLAUSES) <= set(ALL_ROWS)
    assert named == documents


def test_only_rows_with_tests_differ():
    assert all(is_tested(row) for row in DIFFERENCES)
    assert set(DIFFERENCES) <= set(ALL_ROWS)
    assert not set(DIFFERENCES) & set(NOT_TESTED)
