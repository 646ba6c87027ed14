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


PROJECTS = {
    "passwordless": 8,  # users without passwords
    "soft_deletion": 6,  # users whom the default manager hides
    "archive": 22,  # a second database, in which users and applications are saved and deleted
    "local_time": 35,  # USE_TZ off
}
"""The folder of each project, and how many tests its story has."""


@pytest.mark.slow
@pytest.mark.parametrize(("project", "count"), PROJECTS.items(), ids=PROJECTS)
def test_story_of_the_project_is_true(project, count):
    inner = run_story(project)

    assert (inner.returncode, inner.stderr) == (0, ""), inner.stdout
    assert f"{count} passed" in inner.stdout
