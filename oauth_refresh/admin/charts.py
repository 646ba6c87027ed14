"""Charts of the overview: bars as SVG, and the same numbers for a table, each with a link to the rows it counts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from oauth_refresh.admin.display import format_time, local_time

_HEIGHT = 40
_WIDTH_OF_PART = 10
_GAP = 2

Link = Callable[[datetime, datetime], str | None]
"""Returns the address of the list of what happened from one time to before another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One part of the period: when it began, how many there were, and where its bar is drawn."""

    at: str
    count: int
    url: str | None
    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    name: str
    title: Any
    total: int
    url: str | None
    bars: tuple[Bar, ...]
    highest: int
    first: str
    last: str
    note: Any = ""

    @property
    def view_box(self) -> str:
        return f"0 0 {len(self.bars) * _WIDTH_OF_PART} {_HEIGHT}"

    @property
    def width_of_bar(self) -> int:
        return _WIDTH_OF_PART - _GAP


def make_chart(
    name: str, title: Any, *, counts: Iterable[int], limits: list[datetime], link: Link, note: Any = ""
) -> Chart:
    """Return the chart of ``counts``, one for each part between two of ``limits``."""
    numbers = list(counts)
    highest = max(numbers)
    bars = []
    for position, (count, (since, until)) in enumerate(zip(numbers, pairwise(limits), strict=True)):
        # One is seen beside a thousand: everything that happened has a bar.
        height = max(1, round(count / highest * _HEIGHT)) if count else 0
        bars.append(
            Bar(
                at=format_time(since),
                count=count,
                url=link(since, until) if count else None,
                x=position * _WIDTH_OF_PART + _GAP // 2,
                y=_HEIGHT - height,
                height=height,
            )
        )
    return Chart(
        name=name,
        title=title,
        total=sum(numbers),
        url=link(limits[0], limits[-1]),
        bars=tuple(bars),
        highest=highest,
        first=format_time(limits[0]),
        last=format_time(limits[-1]),
        note=note,
    )


def typed_period(since: datetime, until: datetime) -> dict[str, str]:
    """Return the parameters of ``TimeFilter`` for the time from ``since`` to before ``until``."""
    last = until - timedelta(seconds=1)  # the filter includes the whole second that it names
    return {"from": f"{local_time(since):%Y-%m-%dT%H:%M:%S}", "until": f"{local_time(last):%Y-%m-%dT%H:%M:%S}"}
