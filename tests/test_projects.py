"""Projects with another user model, or with more databases: each in a process, since this one has its settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run_story(project):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", f"--ds=tests.{project}.settings", f"tests/{project}/story.py"],
        cwd=ROOT,
        env={**os.environ, "TEST_DATABASE": f"test_{project}_{os.getpid()}"},  # others run at the same time
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_grants_of_users_without_passwords_work():
    inner = run_story("passwordless")

    assert (inner.returncode, inner.stderr) == (0, ""), inner.stdout
    assert "8 passed" in inner.stdout


@pytest.mark.slow
def test_grants_of_users_who_are_deleted_softly_end():
    inner = run_story("soft_deletion")

    assert (inner.returncode, inner.stderr) == (0, ""), inner.stdout
    assert "6 passed" in inner.stdout


@pytest.mark.slow
def test_nothing_in_another_database_ends_grants():
    inner = run_story("archive")

    assert (inner.returncode, inner.stderr) == (0, ""), inner.stdout
    assert "22 passed" in inner.stdout


@pytest.mark.slow
def test_grants_work_where_times_have_no_zone():
    inner = run_story("local_time")

    assert (inner.returncode, inner.stderr) == (0, ""), inner.stdout
    assert "32 passed" in inner.stdout
