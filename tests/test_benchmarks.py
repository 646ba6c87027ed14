"""The benchmarks can be started. They run for minutes, so nothing else would notice a name that moved."""

import os
import subprocess
import sys

import pytest

from tests.server import ROOT

pytestmark = pytest.mark.slow

FOLDER = ROOT / "benchmarks"
MODULES = sorted(f"benchmarks.{path.stem}" for path in FOLDER.glob("*.py") if path.stem != "__init__")
SITES = ("ours", "clients", "far", "moving", "seven_statements", "toolkit", "toolkit_compliant")
"""Those whose packages the tests install."""
_ENVIRONMENT = {
    "ALLOWED_HOSTS": "127.0.0.1",
    "DATABASE_URL": "sqlite://:memory:",
    "DEBUG": "False",
    "FAR_CLIENT_ID": "far",
    "FAR_CLIENT_SECRET": "secret",
    "FAR_ISSUER": "https://server.example",
    "FAR_MAX_AGE": "60",
    "OAUTH_ISSUER": "https://server.example",
    "SECRET_KEY": "of the tests",
}


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **_ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_module_is_imported():
    imported = run("-c", f"import {', '.join(MODULES)}")

    assert imported.returncode == 0, imported.stderr


@pytest.mark.parametrize("name", SITES)
def test_site_passes_the_checks_of_django(name):
    checked = run("-m", "django", "check", DJANGO_SETTINGS_MODULE=f"benchmarks.sites.{name}")

    assert checked.returncode == 0, checked.stderr


def test_site_that_is_left_passes_the_checks_of_django():
    checked = run("-m", "django", "check", DJANGO_SETTINGS_MODULE="benchmarks.sites.moving", MOVING_SERVER="old")

    assert checked.returncode == 0, checked.stderr
