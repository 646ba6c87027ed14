"""The README is short, its links work, and the test that CONTRIBUTING.md shows passes."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


LINKS = re.findall(r"\]\(([^)\s]+)|^\[[^\]]+\]: (\S+)", README, re.MULTILINE)


def test_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_test_in_contributing_passes(client_app):
    [code] = re.findall(r"^```python\n(.*?)^```$", CONTRIBUTING, re.MULTILINE | re.DOTALL)
    names = {}

    exec(code, names)  # noqa: S102  it is our own page

    [test] = [member for name, member in names.items() if name.startswith("test_")]
    test(client_app)


@pytest.mark.parametrize("name", re.findall(r"`((?:oauth_refresh|tests|docs|\.ci)/[\w./]+)`", CONTRIBUTING))
def test_file_that_contributing_names_exists(name):
    assert (ROOT / name).exists()


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REPOSITORY = PROJECT["project"]["urls"]["Repository"]


@pytest.mark.parametrize("target", [one or other for one, other in LINKS])
def test_link_of_the_readme_works_where_no_files_are_beside_it(target):
    """As on a package index, which shows the README alone."""
    assert target.startswith("https://")
    if target.startswith(REPOSITORY):
        path, _hash, anchor = target.removeprefix(f"{REPOSITORY}/").partition("#")
        assert re.fullmatch(r"(raw|blob)/main/.+", path)
        page = ROOT / path.split("/", 2)[2]
        assert page.is_file()
        titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE) if anchor else []
        assert anchor in {"", *(re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles)}


def test_readme_has_no_html_whose_links_would_be_relative():
    assert re.findall(r"<(?:a|img|source)\b", README) == []


def test_addresses_of_the_project_are_of_one_repository():
    urls = PROJECT["project"]["urls"]

    assert {"Changelog", "Documentation", "Issues", "Repository"} <= set(urls)
    assert all(url.startswith(REPOSITORY) for url in urls.values())
    for url in urls.values():
        if "/blob/main/" in url:
            assert (ROOT / url.partition("/blob/main/")[2]).is_file()
