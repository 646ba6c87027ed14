"""Draw ``_static/architecture.svg``: the layers of the package, and the modules that one refresh enters, in order.

    python docs/architecture.py [--check]

The layers are those of the import contract in ``pyproject.toml``; the modules are those that a traced request enters,
on SQLite in memory. ``--check`` writes nothing, and fails if the drawing is not up to date.
"""

import sys
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # it is run as a file

from benchmarks.request_trace import traced_refresh  # noqa: E402

PICTURE = ROOT / "docs" / "_static" / "architecture.svg"
CONTRACT = "Imports go only downwards, and modules of one layer never import each other"
WIDTH, MARGIN, TITLE, CHIP, GAP = 760, 16, 28, 28, 8
LETTER = 7.2
"""The width of a letter, roughly: a chip is as wide as its text."""

STYLE = """
.architecture { --ink: #1b2230; --quiet: #566075; --card: #ffffff; --line: #c3cbd9; --good: #12683b; --on-good: #ffffff; font-family: system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .architecture { --ink: #e9ecf3; --quiet: #a6b0c5; --card: #171d28; --line: #4a556b; --good: #7fd9a4; --on-good: #052112; } }
.architecture text { fill: var(--ink); font-size: 13px; }
.architecture .layer { fill: var(--quiet); font-size: 14px; }
.architecture .band { fill: var(--card); stroke: var(--line); }
.architecture .chip { fill: none; stroke: var(--good); stroke-width: 1.5; }
.architecture .number { fill: var(--good); }
.architecture .order { fill: var(--on-good); font-size: 12px; font-weight: 600; text-anchor: middle; }
"""  # noqa: E501


def layers() -> list[list[str]]:
    """Return the modules of each layer, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [contract for contract in contracts if contract["name"] == CONTRACT]
    return [layer.split(" | ") for layer in contract["layers"]]


def entered(files: list[str]) -> list[tuple[str, str]]:
    """Return each file once, in the order in which it was first entered: its module, and what is shown for it."""
    found = []
    for file in dict.fromkeys(files):
        first, _slash, rest = file.removesuffix(".py").partition("/")
        found.append((first, f"{first}.{rest}".removesuffix(".__init__").removesuffix(".")))
    return found


def drawing(files: list[str]) -> str:
    """Return the SVG."""
    numbered = [(module, label, number) for number, (module, label) in enumerate(entered(files), start=1)]
    parts, top = [], MARGIN
    for layer in layers():
        chips = [(label, number) for module, label, number in numbered if module in layer]
        body, height = _band(layer, chips, top=top)
        parts.append(body)
        top += height + GAP
    path = ", ".join(label for _module, label, _number in numbered)
    names = 'role="img" aria-labelledby="architecture-title architecture-description" class="architecture"'
    lines = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top - GAP + MARGIN}" {names}>',
        '<title id="architecture-title">The layers of the package, and the path of a refresh</title>',
        '<desc id="architecture-description">Each layer imports only from those below it.',
        f"A refresh enters, in this order: {path}.</desc>",
        f"<style>{STYLE}</style>",
        *parts,
        "</svg>",
    )
    return "\n".join([*lines, ""])


def _band(layer: list[str], chips: list[tuple[str, int]], *, top: int) -> tuple[str, int]:
    """Return one layer with the modules that are entered in it, and its height."""
    parts, left, line = [], 2 * MARGIN, top + TITLE + GAP
    for label, number in chips:
        width = 44 + round(LETTER * len(label))
        if left + width > WIDTH - 2 * MARGIN:
            left, line = 2 * MARGIN, line + CHIP + GAP
        parts.append(
            f'<rect class="chip" x="{left}" y="{line}" width="{width}" height="{CHIP}" rx="14"/>'
            f'<circle class="number" cx="{left + 14}" cy="{line + 14}" r="11"/>'
            f'<text class="order" x="{left + 14}" y="{line + 18}">{number}</text>'
            f'<text x="{left + 30}" y="{line + 19}">{escape(label)}</text>'
        )
        left += width + GAP
    height = (line + CHIP if chips else top + TITLE) + GAP - top
    band = f'<rect class="band" x="{MARGIN}" y="{top}" width="{WIDTH - 2 * MARGIN}" height="{height}" rx="8"/>'
    title = f'<text class="layer" x="{2 * MARGIN}" y="{top + 24}">{escape(" · ".join(layer))}</text>'
    return "\n".join([band, title, *parts]), height


def main() -> int:
    drawn = drawing([file for file, _function in traced_refresh()])
    if "--check" not in sys.argv:
        PICTURE.write_text(drawn)
    elif PICTURE.read_text() != drawn:
        sys.stderr.write("The drawing is not up to date: run python docs/architecture.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
