"""A project whose user model has no passwords, in a process of its own: a user model cannot be swapped in this one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_grants_of_users_without_passwords_work():
    inner = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--ds=tests.passwordless.settings", "tests/passwordless/story.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (inner.returncode, inner.stderr) == (0, ""), inner.stdout
    assert "8 passed" in inner.stdout
