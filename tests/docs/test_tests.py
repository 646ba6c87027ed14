"""``tests/README.md``: its examples are collected and run as printed, and its tables name what there is."""

from pathlib import Path

import pytest

from tests.docs.pages import blocks

TESTS = Path(__file__).parent.parent
PAGE = TESTS / "README.md"

for example in blocks(PAGE, "python"):
    exec(compile(example, str(PAGE), "exec"))  # noqa: S102  it is our own page


def test_examples_of_the_page_were_collected():
    names = {"test_unused_refresh_token_is_refused_after_its_lifetime", "test_reason_names_the_grant_that_has_expired"}

    assert names <= {*globals()}


@pytest.mark.parametrize(
    "name",
    [
        *sorted(f"`{path.parent.name}/`" for path in TESTS.glob("*/__init__.py")),
        *sorted(f"`{path.name}`" for path in TESTS.glob("*.py") if not path.name.startswith(("test_", "__"))),
    ],
)
def test_every_folder_and_helper_is_on_the_page(name):
    assert name in PAGE.read_text()
