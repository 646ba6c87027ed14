"""The README says what there is, and the test that CONTRIBUTING.md shows passes."""

import re
import tomllib
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


# What a package index shows has no files beside it.

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REPOSITORY = PROJECT["project"]["urls"]["Repository"]
_TARGET = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)[^)]*\)")


def readme_on_a_package_index():
    """Return the README as the build rewrites it."""
    text = README
    for rule in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"].replace("$HFPR_VERSION", "0.1.0"), text)
    return text


def test_links_and_pictures_of_the_readme_work_on_a_package_index():
    own = re.compile(rf"{REPOSITORY}/(raw|blob)/v0\.1\.0/([^#]+)(#.*)?")
    before = [target for _picture, target in _TARGET.findall(README)]
    after = _TARGET.findall(readme_on_a_package_index())

    assert len(after) == len(before)
    for (picture, target), written in zip(after, before, strict=True):
        if re.match("https?:|#", written):
            assert target == written
            continue
        kind, file, _anchor = own.fullmatch(target).groups()
        assert kind == ("raw" if picture else "blob")
        assert (ROOT / file).is_file()


def test_readme_has_no_html_whose_links_would_be_relative():
    assert re.findall(r"<(?:a|img|source)\b", README) == []


def test_addresses_of_the_project_are_of_one_repository():
    urls = PROJECT["project"]["urls"]

    assert {"Changelog", "Documentation", "Issues", "Repository"} <= set(urls)
    assert all(url.startswith(REPOSITORY) for url in urls.values())
    for url in urls.values():
        if "/blob/main/" in url:
            assert (ROOT / url.partition("/blob/main/")[2]).is_file()
