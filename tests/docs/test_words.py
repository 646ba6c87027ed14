"""Plain language: words of our own dialect, and riddles, stand on no page and in no module."""

import re

import pytest

from tests.server import ROOT

RULED_OUT = re.compile(
    r"\b(hand(s|ed|ing)? out|lest|believe[sd]?|somebody|nobody|whatever|whoever|put down|in words|overtaken|discreet"
    r"|barred|alive|(is|are|was|were|be|been) told(?! apart| from))\b",
    re.IGNORECASE,
)
TEXTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(path for folder in ("oauth_refresh", "example_project") for path in sorted((ROOT / folder).rglob("*.py"))),
    *sorted((ROOT / "oauth_refresh" / "templates").rglob("*.html")),
]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_has_no_word_that_is_ruled_out(path):
    assert [match[0] for match in RULED_OUT.finditer(path.read_text())] == []


def test_word_that_is_ruled_out_is_found():
    assert RULED_OUT.search("The client is told that Nobody came.")
    assert not RULED_OUT.search("A copy cannot be told from the original.")
