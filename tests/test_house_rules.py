"""The rules of the house that a machine can check: who imports whom, how long files are, that migrations follow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "oauth_refresh"
TESTS = ROOT / "tests"
LONGEST_FILE = 250


@pytest.mark.slow
def test_import_contracts_are_kept():
    linted = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "0 broken" in linted.stdout


def test_no_file_of_the_package_is_over_250_lines():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "migrations"
    }

    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def modules_imported_by(path):
    """Return the names that a file imports, each in the two ways that it may be read: as a module, and from one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_module_imports_a_test_module():
    found = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for name in modules_imported_by(path)
        if name.startswith("tests.") and any(part.startswith("test_") for part in name.split("."))
    ]

    assert found == []


@pytest.mark.slow
def test_what_is_slow_to_import_is_imported_when_it_is_first_needed():
    program = (
        "import sys, django; from django.conf import settings;"
        "apps = ['admin', 'auth', 'contenttypes', 'messages', 'sessions'];"
        "settings.configure(INSTALLED_APPS=[*(f'django.contrib.{app}' for app in apps), 'oauth_refresh']);"
        "django.setup(); print(sorted({'cryptography', 'joserfc', 'rest_framework', 'ua_parser'} & sys.modules.keys()))"
    )

    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"
