"""The README says what there is."""

from pathlib import Path

import pytest
from django.core.management import get_commands
from django.dispatch import Signal

from oauth_refresh import signals
from oauth_refresh.conf import AppSettings

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


@pytest.mark.parametrize("key", [setting.key for setting in AppSettings.declared()])
def test_every_setting_is_in_the_readme(key):
    assert f"| `{key}`" in README


@pytest.mark.parametrize("name", [name for name, member in vars(signals).items() if isinstance(member, Signal)])
def test_every_signal_is_in_the_readme(name):
    assert f"| `{name}` |" in README


@pytest.mark.parametrize("name", sorted(name for name, app in get_commands().items() if app == "oauth_refresh"))
def test_every_command_is_in_the_readme(name):
    assert f"| `{name}" in README
