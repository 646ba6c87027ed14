"""What a release is made with: the script, the workflows, and the files that are published beside the package."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from oauth_refresh import __version__
from tests.server import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = (ROOT / ".ci" / "release-requirements.txt").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_ACTION = re.compile(r"uses: (\S+)")


def name_of(requirement):
    return re.match(r"[\w-]+", requirement)[0]


@pytest.mark.parametrize("requirement", [*PROJECT["build-system"]["requires"], "build", "twine", "cyclonedx-bom"])
def test_release_is_built_with_a_pinned_version(requirement):
    assert re.search(rf"^{name_of(requirement)}==[\d.]+ \\\n    --hash=sha256:", PINNED, re.MULTILINE)


def test_first_section_of_the_changelog_is_of_this_version():
    [heading] = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[:1]

    assert __version__ in heading or "unreleased" in heading.lower()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_takes_every_action_by_its_commit(path):
    actions = [action for action in _ACTION.findall(path.read_text()) if not action.startswith("./")]

    # The one that publishes: RELEASING.md tells the maintainer who switches it on to pin it.
    by_name = [action for action in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)]
    assert by_name in ([], ["pypa/gh-action-pypi-publish@release/v1"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_gives_each_job_its_rights_only(path):
    workflow = yaml.safe_load(path.read_text())

    assert workflow["permissions"] == {}
    assert all("permissions" in job for job in workflow["jobs"].values())


def test_workflow_publishes_only_what_was_built_and_audited_and_once_it_is_switched_on():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]

    assert jobs["publish"]["needs"] == ["audit", "build"]
    assert jobs["publish"]["if"] == "vars.PUBLISH_TO_PYPI == 'true'"
    assert [name for name, job in jobs.items() if "id-token" in job["permissions"]] == ["publish"]


@pytest.mark.parametrize("extra", ["docs", "remote"])
def test_extras_that_the_documentation_is_built_with_exist(extra):
    config = yaml.safe_load((ROOT / ".readthedocs.yaml").read_text())

    assert extra in config["python"]["install"][0]["extra_requirements"]
    assert extra in PROJECT["project"]["optional-dependencies"]


@pytest.fixture
def package(tmp_path):
    """A function: a wheel with the files named, beside its metadata, is checked; it returns status and output."""

    def check(*files: str, committed: str = "oauth_refresh/a.py\ntests/b.py\n") -> tuple[int, str]:
        listed, wheel = tmp_path / "committed", tmp_path / "django_oauth_refresh-1.0-py3-none-any.whl"
        listed.write_text(committed)
        metadata = "django_oauth_refresh-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name in (
                *files,
                *(f"{metadata}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")),
            ):
                archive.writestr(name, "")
        run = subprocess.run(
            [sys.executable, ".ci/release_contents.py", "1.0", listed, wheel],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return run.returncode, run.stdout

    return check


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "difference"),
    [
        (["oauth_refresh/a.py", "tests/b.py"], "not committed: tests/b.py"),
        (["oauth_refresh/a.py", "oauth_refresh/.env"], "not committed: oauth_refresh/.env"),
        ([], "missing: oauth_refresh/a.py"),
    ],
)
def test_wheel_with_other_files_than_the_package_is_refused(package, files, difference):
    status, output = package(*files)

    assert status == 1
    assert difference in output.splitlines()


@pytest.mark.slow
def test_wheel_with_the_files_of_the_package_is_accepted(package):
    status, output = package("oauth_refresh/a.py")

    assert (status, output) == (0, "django_oauth_refresh-1.0-py3-none-any.whl: 5 files\n")


@pytest.mark.parametrize("name", ["SECURITY.md", "CODE_OF_CONDUCT.md", "RELEASING.md"])
def test_every_link_of_the_page_leads_to_a_file(name):
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", (ROOT / name).read_text())

    assert [link for link in links if not Path(ROOT / link).is_file()] == []
