"""Count the lines of the package: code, imports, comments and docstrings, migrations left out.

python benchmarks/lines.py [FOLDER]
"""

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}


def count(source: str) -> Counter[str]:
    """Return how many lines are imports, docstrings, comments of their own line, and other code. Blank lines: none."""
    tree = ast.parse(source)
    imports = _lines(node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    docstrings = _lines(
        statement
        for node in ast.walk(tree)
        if isinstance(body := getattr(node, "body", None), list)
        for statement in body
        if isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
    code: set[int] = set()
    comments: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in LAYOUT:
            code.update(range(token.start[0], token.end[0] + 1))
    code -= imports | docstrings
    return Counter(
        code=len(code), imports=len(imports), docstrings=len(docstrings), comments=len(comments - code - imports)
    )


def _lines(nodes: Iterable[ast.stmt]) -> set[int]:
    return {line for node in nodes for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "oauth_refresh")
    files = [path for path in sorted(folder.rglob("*.py")) if "migrations" not in path.parts]
    total = sum((count(path.read_text()) for path in files), Counter())
    print(f"{len(files)} files:", ", ".join(f"{number:,} {kind}" for kind, number in total.items()))
