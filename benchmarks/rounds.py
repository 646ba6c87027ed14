"""Rounds in which all contenders run in turn, and the medians of the results.

The speed of a machine varies over time. So ratios are taken between runs of the same round, and the median of the
rounds is reported.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.load import Run


@dataclass(kw_only=True)
class Rounds:
    """The runs of each contender, in the order of the rounds."""

    runs: dict[str, list[Run]] = field(default_factory=dict)

    def per_second(self, name: str) -> float:
        return median(run.per_second for run in self.runs[name])

    def milliseconds(self, name: str, percent: int) -> float:
        return median(run.percentile(percent) for run in self.runs[name]) * 1000

    def generator_share(self, name: str) -> float:
        """Return the share of one processor that the load generator used."""
        return median(run.generator_seconds / run.seconds for run in self.runs[name])

    def ratio(self, name: str, other: str) -> float:
        """Return the requests per second of ``name``, divided by those of ``other``."""
        pairs = zip(self.runs[name], self.runs[other], strict=True)
        return median(run.per_second / others.per_second for run, others in pairs)

    def figures(self, name: str, *, beside: str) -> dict[str, Any]:
        return {
            "requests": sum(len(run.latencies) for run in self.runs[name]),
            "per_second": round(self.per_second(name), 1),
            "ratio": round(self.ratio(name, beside), 3),
            "p50_ms": round(self.milliseconds(name, 50), 2),
            "p99_ms": round(self.milliseconds(name, 99), 2),
            "generator_share": round(self.generator_share(name), 3),
        }


def interleaved(contenders: Mapping[str, Callable[[], Run]], *, rounds: int) -> Rounds:
    """Run every contender once in each round, and once before to warm up."""
    done = Rounds(runs={name: [] for name in contenders})
    for number in range(rounds + 1):
        for name, run in contenders.items():
            result = run()
            if number:
                done.runs[name].append(result)
                sys.stderr.write(f"round {number}, {name}: {result.per_second:.0f}/s\n")
    return done


def table(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Return a Markdown table: the first column aligned to the left, the others to the right."""
    lines = [header, ("---", *("---:" for _column in header[1:])), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def refreshes_table(rounds: Rounds, titles: Mapping[str, str], *, subject: str, beside: str) -> str:
    """Return a table of the refreshes of each contender. ``titles`` is by name; ratios are to ``beside``."""
    return table(
        (subject, "refreshes per second", "ratio", "p50 ms", "p99 ms"),
        [
            (
                title,
                f"{rounds.per_second(name):,.0f}",
                f"{rounds.ratio(name, beside):.3f}",
                f"{rounds.milliseconds(name, 50):.1f}",
                f"{rounds.milliseconds(name, 99):.1f}",
            )
            for name, title in titles.items()
        ],
    )
