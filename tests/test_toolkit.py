"""Moving here from django-oauth-toolkit: projects of their own, in a process, since this one does not install it."""

import os
import subprocess
import sys

import coverage
import pytest
from django.db import connection

from tests.server import ROOT

pytestmark = pytest.mark.slow

FOLDER = ROOT / "tests" / "toolkit"
MEASURED = ["-m", "coverage", "run", "--parallel-mode", "--source", "oauth_refresh"]
"""The lines that run in that process count for the coverage of this one."""


def run_stories(settings, stories):
    measured = MEASURED if coverage.Coverage.current() is not None else []
    options = ["-q", "-n0", "--nomigrations", f"--ds=tests.toolkit.{settings}"]
    return subprocess.run(
        [sys.executable, *measured, "-m", "pytest", *options, *stories],
        cwd=ROOT,
        env={**os.environ, "TEST_DATABASE": f"test_{settings}_{os.getpid()}"},  # others run at the same time
        capture_output=True,
        text=True,
        check=False,
    )


def test_stories_of_the_project_are_true():
    inner = run_stories("settings", sorted(FOLDER.glob("story_*.py")))

    assert (inner.returncode, inner.stderr) == (0, ""), inner.stdout


@pytest.mark.skipif(connection.vendor != "sqlite", reason="The models are others, not the database.")
def test_project_with_models_of_its_own_moves_too():
    inner = run_stories("swapped_settings", [FOLDER / "story_adopt.py", FOLDER / "story_undo.py"])

    assert (inner.returncode, inner.stderr) == (0, ""), inner.stdout
