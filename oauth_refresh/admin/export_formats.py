"""Rows as CSV that a spreadsheet opens without running any of it, and as JSON; in pieces, so memory stays small."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from itertools import islice
from typing import Any, NamedTuple

Row = dict[str, Any]

_ROWS_A_PIECE = 500
_BYTE_ORDER_MARK = "\ufeff"  # without it, Excel reads UTF-8 as the code page of the machine
# At the start of a cell, or behind what a spreadsheet may split cells at. It takes the wide signs as well.
_FORMULA = re.compile(r"(?:^|[;|,\t])\s*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001


class Format(NamedTuple):
    """``write`` takes the names of the columns, the rows, and facts about them; it yields the text of the file."""

    content_type: str
    write: Callable[[list[str], Iterable[Row], dict[str, Any]], Iterator[str]]


def write_csv(names: list[str], rows: Iterable[Row], about: dict[str, Any]) -> Iterator[str]:
    """Yield the names and the rows as RFC 4180 says. It has no place for facts about them."""
    yield _BYTE_ORDER_MARK + _csv_lines([names])
    for piece in _pieces(rows):
        yield _csv_lines([[_cell(value) for value in row.values()] for row in piece])


def write_json(names: list[str], rows: Iterable[Row], about: dict[str, Any]) -> Iterator[str]:
    """Yield one object: the facts, and the rows as the list ``rows``."""
    yield json.dumps(about).removesuffix("}") + ', "rows": ['
    separator = "\n"
    for piece in _pieces(rows):
        yield separator + ",\n".join(json.dumps(row) for row in piece)
        separator = ",\n"
    yield "\n]}\n"


def _pieces(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while piece := list(islice(iterator, _ROWS_A_PIECE)):
        yield piece


def _csv_lines(lines: list[list[Any]]) -> str:
    buffer = StringIO(newline="")
    csv.writer(buffer).writerows(lines)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    """Return the value so that it stays a text.

    A client chooses its ``User-Agent``, and a spreadsheet runs ``=HYPERLINK(…)`` as a formula. An apostrophe before it
    makes it a text (OWASP: CSV Injection).
    """
    if isinstance(value, str) and _FORMULA.search(value):
        return f"'{value}"
    return value


FORMATS = {
    "csv": Format("text/csv; charset=utf-8", write_csv),
    "json": Format("application/json", write_json),
}
