"""The README is short, its links work, and the test that CONTRIBUTING.md shows passes."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.walkthrough import environment, stop
from tests.server import curl, free_port, is_listening
from tests.waiting import wait_until

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


BLOCK = re.compile(r"^(?P<indent> *)```(?P<kind>python|sh)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
STEPS = README.partition("## Install it into your project")[2].partition("\n## ")[0]


def blocks_of_steps(kind):
    return [
        re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        for match in BLOCK.finditer(STEPS)
        if match["kind"] == kind
    ]


def add(path, text):
    path.write_text((path.read_text() if path.exists() else "") + text)


def run(folder, command):
    """Run a command of the page, and return what it prints. ``createsuperuser`` takes the password from elsewhere."""
    words = command.replace("createsuperuser", "createsuperuser --noinput --email a@example.com").split()
    done = subprocess.run(
        [sys.executable, *words[1:]],
        cwd=folder,
        env=environment() | {"DJANGO_SUPERUSER_PASSWORD": "a long enough password"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_steps_lead_from_nothing_to_a_token_that_is_refused(tmp_path):
    run(tmp_path, "python -m django startproject mysite .")
    for path, code in zip(("settings.py", "views.py", "urls.py"), blocks_of_steps("python"), strict=True):
        add(tmp_path / "mysite" / path, f"\n{code}")
    set_up, requests = blocks_of_steps("sh")
    *commands, serve = [
        command.replace('"Phone app"', "Phone") for line in set_up.splitlines() for command in line.split(" && ")
    ]
    tokens = "".join(run(tmp_path, command) for command in commands)
    port = str(free_port())
    server = subprocess.Popen(
        [sys.executable, *serve.split()[1:], port],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: is_listening(int(port)))
        answers = []
        for line in requests.splitlines():
            newest = {f"{prefix}…": re.findall(rf"{prefix}[\w-]+", tokens)[-1] for prefix in ("oat_", "ort_")}
            request = re.sub("oat_…|ort_…", lambda shown, newest=newest: newest[shown[0]], line)
            answers.append(curl(request.replace("8000", port), folder=tmp_path))
            tokens += answers[-1].text
    finally:
        stop(server)

    assert [answer.status for answer in answers] == [200, 200, 200, 401]
    assert answers[0].json == {"user": "alice", "app": "Phone"}
