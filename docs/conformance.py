"""Write the tables of ``reference/conformance.md`` from the names of the tests: ``python docs/conformance.py``.

With ``--check``, change nothing and fail if the page is not what would be written. The tests are read, not run: a row
counts as met if it has a test that is neither skipped nor expected to fail. CI runs them.
"""

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.conformance.clauses import CLAUSES  # noqa: E402  found by the path above
from tests.conformance.rows import DIFFERENCES, NOT_TESTED, SECTIONS, row_of, rows_of  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "conformance.md"
TESTS = ROOT / "tests" / "conformance"
SOURCE = "https://github.com/django-oauth-refresh/django-oauth-refresh/blob/main/tests/conformance/"

DOCUMENTS = {
    "RFC 6749: The OAuth 2.0 Authorization Framework": ["6749"],
    "RFC 6750: Bearer Token Usage": ["6750"],
    "RFC 7009: Token Revocation": ["7009"],
    "RFC 7662: Token Introspection": ["7662"],
    "RFC 7636: Proof Key for Code Exchange": ["7636"],
    "RFC 7521 and 7523: assertions, with the draft that revises them": ["7521", "7523", "7523bis"],
    "RFC 8252: OAuth 2.0 for Native Apps": ["8252"],
    "RFC 8414: Authorization Server Metadata": ["8414"],
    "RFC 8707: Resource Indicators": ["8707"],
    "RFC 9207: Issuer Identification": ["9207"],
    "RFC 9700: Best Current Practice for Security": ["9700"],
    "RFC 9728: Protected Resource Metadata": ["9728"],
    "OAuth 2.1 (draft 16)": ["2.1"],
    "Other documents": ["7515", "7591", "7617", "8725", "9110", "9449", "9701", "CIMD", "OIDC"],
}
OWN_RULES = "Rules of this server, which no document states"
"""The heading of rows without a clause."""

_BEGIN, _END = "<!-- begin: written by docs/conformance.py -->", "<!-- end -->"
_SPELLED = {
    **{word: word.upper() for word in ("api", "cors", "http", "json", "jwt", "pkce", "s256", "uri", "url")},
    "uris": "URIs",
}
_PHRASES = {"oauth 2 1": "OAuth 2.1", "utf 8": "UTF-8", "base64": "Base64", "openid connect": "OpenID Connect"}
_NOT_RUN = {"skip", "xfail"}


@dataclass(frozen=True, slots=True)
class Test:
    """A test of a row: its name as a sentence, and its module."""

    sentence: str
    module: str


def read_tests(folder: Path = TESTS) -> dict[str, list[Test]]:
    """Return the tests of each row, in the order of files and lines."""
    found: dict[str, list[Test]] = {}
    for path in sorted(folder.glob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        of_module = [node.value for node in module.body if isinstance(node, ast.Assign) and _assigns_marks(node)]
        for node in ast.walk(module):
            if not isinstance(node, ast.FunctionDef) or _leaves_out([*of_module, *node.decorator_list]):
                continue
            if row := row_of(node.name):
                found.setdefault(row, []).append(Test(_sentence(node.name), path.stem))
    return found


def _assigns_marks(statement: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in statement.targets)


def _leaves_out(marks: list[ast.expr]) -> bool:
    """Whether a mark keeps the test from passing anywhere. ``skipif`` does not: it names a database that is needed."""
    return any(getattr(node, "attr", "") in _NOT_RUN for mark in marks for node in ast.walk(mark))


def _sentence(name: str) -> str:
    words = re.sub(r"^test_[a-z]+_\d{3}_", "", name).replace("_", " ")
    text = " ".join(_SPELLED.get(word, word) for word in words.split())
    for phrase, spelled in _PHRASES.items():
        text = re.sub(rf"\b{phrase}\b", spelled, text)
    return text[0].upper() + text[1:] + "."


def tables(tests: dict[str, list[Test]]) -> str:
    """Return the counts, and one table for each document. A row that several documents ask for is in each of them."""
    rows = [row for section in SECTIONS for row in rows_of(section)]
    verdicts = [_verdict(row, tests).partition(":")[0] for row in rows]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    parts = [f"{len(rows)} rows, by {sum(map(len, tests.values()))} tests: {counts}."]
    for title, documents in DOCUMENTS.items():
        lines = [_line(row, _clauses(row, documents), tests) for row in rows if _clauses(row, documents)]
        parts.append(_table(title, lines))
    parts.append(_table(OWN_RULES, [_line(row, "", tests) for row in rows if row not in CLAUSES]))
    modules = sorted({test.module for found in tests.values() for test in found})
    parts.append("\n".join(f"[{module}]: {SOURCE}{module}.py" for module in modules))
    return "\n\n".join(parts)


def _clauses(row: str, documents: list[str]) -> str:
    """Return what the row takes from the documents, such as ``§2.3.1, App. B``."""
    asked = [part.partition(" ") for part in CLAUSES.get(row, "").split("; ")]
    named = [f"{_name(document, documents)}{sections}" for document, _, sections in asked if document in documents]
    return ", ".join(text.strip() for text in named)


def _name(document: str, documents: list[str]) -> str:
    """Return what to write before a section: nothing where the heading says it."""
    if len(documents) == 1:
        return ""
    return f"RFC {document} " if document.isdigit() else f"{document} "


def _table(title: str, lines: list[str]) -> str:
    return "\n".join([f"## {title}", "", "| row | clause | what is tested | verdict |", "|---|---|---|---|", *lines])


def _line(row: str, clauses: str, tests: dict[str, list[Test]]) -> str:
    found = tests.get(row, [])
    sentences = " ".join(test.sentence for test in found)
    files = " ".join(f"[{name}][]" for name in dict.fromkeys(test.module for test in found))
    return f"| {row} | {clauses} | {f'{sentences} {files}'.strip()} | {_verdict(row, tests)} |"


def _verdict(row: str, tests: dict[str, list[Test]]) -> str:
    if row in NOT_TESTED:
        return NOT_TESTED[row]
    if row not in tests:
        return "not tested"
    return f"differs: {DIFFERENCES[row]}" if row in DIFFERENCES else "met"


def page(text: str, tests: dict[str, list[Test]]) -> str:
    """Return the page with its tables as they are now. Raises ValueError if it has no place for them."""
    before, begin, rest = text.partition(_BEGIN)
    _tables, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"The page needs a line {_BEGIN} and a line {_END}.")
    return f"{before}{_BEGIN}\n\n{tables(tests)}\n\n{_END}{after}"


def main(arguments: list[str]) -> int:
    text = PAGE.read_text(encoding="utf-8")
    written = page(text, read_tests())
    if arguments == ["--check"]:
        if written != text:
            sys.stderr.write("docs/reference/conformance.md is not up to date: run python docs/conformance.py\n")
        return int(written != text)
    PAGE.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
