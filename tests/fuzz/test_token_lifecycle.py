"""Random sequences of requests and events, compared with the rules.

``FUZZ_EXAMPLES=500 pytest tests/fuzz`` tries that many sequences, other ones each time; a failure is printed with the
decorator that repeats it. Without it a few are tried, always the same.
"""

import ast
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from tests.fuzz import reference
from tests.fuzz.machine import OPTIONS, TokenLifecycle

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
sequences = hypothesis_settings(
    max_examples=EXAMPLES or 16,
    stateful_step_count=50 if EXAMPLES else 30,
    derandomize=not EXAMPLES,
    print_blob=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.django_db
def test_tokens_are_as_valid_as_the_rules_say(oauth_settings):
    oauth_settings(**OPTIONS)

    run_state_machine_as_test(TokenLifecycle, settings=sequences)


def test_rules_are_short_and_use_nothing_of_the_package():
    tree = ast.parse(Path(reference.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    lines_of_texts = {number for node in texts for number in range(node.lineno, node.end_lineno + 1)}
    lines = {node.lineno for node in ast.walk(tree) if hasattr(node, "lineno")} - lines_of_texts

    assert imports == []
    assert len(lines) <= 75
