"""The README says what there is, and the test that CONTRIBUTING.md shows passes."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.dispatch import Signal

from oauth_refresh import signals
from oauth_refresh.conf import AppSettings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize("key", [setting.key for setting in AppSettings.declared()])
def test_every_setting_is_in_the_readme(key):
    assert f"| `{key}`" in README


@pytest.mark.parametrize("name", [name for name, member in vars(signals).items() if isinstance(member, Signal)])
def test_every_signal_is_in_the_readme(name):
    assert f"| `{name}` |" in README


@pytest.mark.parametrize("name", sorted(name for name, app in get_commands().items() if app == "oauth_refresh"))
def test_every_command_is_in_the_readme(name):
    assert f"| `{name}" in README


def test_test_in_contributing_passes(client_app):
    [code] = re.findall(r"^```python\n(.*?)^```$", CONTRIBUTING, re.MULTILINE | re.DOTALL)
    names = {}

    exec(code, names)  # noqa: S102  it is our own page

    [test] = [member for name, member in names.items() if name.startswith("test_")]
    test(client_app)


@pytest.mark.parametrize("name", re.findall(r"`((?:oauth_refresh|tests|docs|\.ci)/[\w./]+)`", CONTRIBUTING))
def test_file_that_contributing_names_exists(name):
    assert (ROOT / name).exists()
