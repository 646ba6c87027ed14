"""``docs/how-to/move-from-django-oauth-toolkit.md`` is followed step by step, in a project with five applications."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import old_project
from tests.docs.pages import DOCS
from tests.docs.walkthrough import Walkthrough, environment

pytestmark = pytest.mark.slow

PAGE = (DOCS / "how-to" / "move-from-django-oauth-toolkit.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in re.split("^## ", PAGE, flags=re.MULTILINE)}
NOT_TYPED = ["python -m pip install"]


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def go_on(folder, *steps):
    run(folder, "old_clients.py", *steps)


def write_old_files(folder, *names):
    for name in names:
        (folder / name).write_text(old_project.OLD_FILES[name])


def deploy_old_code(folder):
    """The old code again, with the new app beside it, as before the cut-over."""
    write_old_files(folder, "mysite/urls.py", "mysite/views.py")
    go_on(folder, "those not used go on")


@pytest.fixture(scope="module")
def cut_over(tmp_path_factory):
    """A project that has followed the guide up to the cut-over, and how many commands that took."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "mysite").mkdir()
    write_old_files(folder, *old_project.OLD_FILES)
    shutil.copy(Path(__file__).with_name("old_clients.py"), folder)
    run(folder, "manage.py", "migrate", "--verbosity", "0")
    go_on(folder, "set up")
    followed = Walkthrough(folder)
    followed.browser = {"some clients go on": lambda: go_on(folder, "some go on")}
    return folder, followed.follow(SECTIONS["Before"]) + followed.follow(SECTIONS["Cut over"])


def commands_on(*titles):
    typed = re.findall(r"^\$ (.*)", "".join(SECTIONS[title] for title in titles), flags=re.MULTILINE)
    return len([command for command in typed if not command.startswith(tuple(NOT_TYPED))])


def test_move_is_done_as_the_guide_says(cut_over, tmp_path):
    folder, typed = cut_over
    shutil.copytree(folder, tmp_path / "moved")
    followed = Walkthrough(tmp_path / "moved")
    followed.browser = {"all clients go on": lambda: go_on(followed.folder, "all go on", "replay")}

    typed += followed.follow(SECTIONS["After"])

    assert typed == commands_on("Before", "Cut over", "After")


def test_way_back_is_as_the_guide_says(cut_over, tmp_path):
    shutil.copytree(cut_over[0], tmp_path / "back")
    run(tmp_path / "back", "manage.py", "oauth_import_toolkit", "--sessions")
    followed = Walkthrough(tmp_path / "back")
    followed.browser = {"the old code is deployed again": lambda: deploy_old_code(followed.folder)}

    typed = followed.follow(SECTIONS["Back"])

    assert typed == commands_on("Back")
