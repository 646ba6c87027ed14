"""Projects with other user models, in processes of their own: a user model cannot be swapped in this one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).parent.parent
PREPARED = {"DATABASE_POOL": "true", "DATABASE_PREPARED": "true"}
PROJECTS = {
    "a UUID key": {"USER_MODEL": "UuidUser"},
    "a child model": {"USER_MODEL": "ChildUser"},
    "USE_TZ off": {"USER_MODEL": "UuidUser", "USE_TZ": "false"},
    "a pool, statements prepared": {"USER_MODEL": "UuidUser", **PREPARED},
    "a pool, statements prepared, USE_TZ off": {"USER_MODEL": "ChildUser", "USE_TZ": "false", **PREPARED},
}


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS)
def test_tokens_work_with_another_user_model(project):
    if "DATABASE_POOL" in project and connection.vendor != "postgresql":
        pytest.skip("only psycopg has a pool")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--create-db"]
    inner = subprocess.run(
        [*command, "--ds=tests.user_models.settings", "tests/user_models/story.py"],
        cwd=ROOT,
        env={
            **os.environ,
            **project,
            "TEST_DATABASE": f"test_user_models_{os.getpid()}",
        },  # others run at the same time
        capture_output=True,
        text=True,
        check=False,
    )

    assert (inner.returncode, inner.stderr) == (0, ""), inner.stdout
    assert "8 passed" in inner.stdout
