"""The pages in ``docs/``, and what stands on them."""

import re
from pathlib import Path

from docs import generated
from tests.server import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))

_FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def read(path: str) -> str:
    """Return a page as it is built."""
    return _MARKER.sub(lambda marker: generated.PARTS[marker[1]](), (DOCS / path).read_text())


def section(page: str, title: str) -> str:
    """Return what stands below a heading, up to the next of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", read(page), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page} has no heading {title!r}"
    return found[1]


def blocks(path: Path, *languages: str) -> list[str]:
    """Return the code blocks of a page that are marked with one of the languages."""
    return [match["body"] for match in _FENCE.finditer(path.read_text()) if match["language"] in languages]
