"""The life of tokens, played at random against the rules.

``FUZZ_EXAMPLES=500 pytest tests/fuzz`` plays that many lives, other ones each time; what fails is printed with what
plays it again. Without it a few are played, always the same.
"""

import ast
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from tests.fuzz import reference
from tests.fuzz.machine import OPTIONS, LifeOfTokens

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
played = hypothesis_settings(
    max_examples=EXAMPLES or 16,
    stateful_step_count=50 if EXAMPLES else 30,
    derandomize=not EXAMPLES,
    print_blob=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.django_db
def test_tokens_live_and_die_as_the_rules_say(settings):
    settings.OAUTH_REFRESH = settings.OAUTH_REFRESH | OPTIONS

    run_state_machine_as_test(LifeOfTokens, settings=played)


def test_rules_are_short_and_use_nothing_of_the_package():
    tree = ast.parse(Path(reference.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    lines_of_texts = {number for node in texts for number in range(node.lineno, node.end_lineno + 1)}
    lines = {node.lineno for node in ast.walk(tree) if hasattr(node, "lineno")} - lines_of_texts

    assert imports == []
    assert len(lines) <= 60
