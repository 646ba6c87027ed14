"""The tests and the list of rows agree."""

import pkgutil
from importlib import import_module

from tests import conformance
from tests.conformance.rows import NOT_TESTED, SECTIONS, is_tested, row_of, rows_of

ALL_ROWS = [row for section in SECTIONS for row in rows_of(section)]


def rows_with_tests():
    modules = [import_module(f"tests.conformance.{info.name}") for info in pkgutil.iter_modules(conformance.__path__)]
    names = [name for module in modules for name in vars(module)]
    return {row for name in names if (row := row_of(name)) is not None}


def test_exactly_the_rows_in_scope_have_tests():
    assert rows_with_tests() == {row for row in ALL_ROWS if is_tested(row)}


def test_every_row_left_out_is_a_row_and_has_a_reason():
    assert set(NOT_TESTED) <= set(ALL_ROWS)
    assert all(reason.startswith(("later: ", "out of scope: ")) for reason in NOT_TESTED.values())
