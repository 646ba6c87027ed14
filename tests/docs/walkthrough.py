"""Follow a tutorial as a reader would: write its files, type its commands, and compare what they print.

- A ``python`` block is a file. The line before it names it: "Write `name.py` …:" or "Add to the end of `name.py` …:".
- A ``console`` block is a shell, one for the whole page. ``$`` begins a command, and below it is all that it prints;
  ``…`` is any text, on a line of its own any lines.
- ``oat_…`` or ``ort_…`` in a command is the newest token of that kind that was printed.
- Comments before a block: ``<!-- shown, not run -->``, and ``<!-- keeps running -->`` for a server.
- ``<!-- browser: … -->`` is something to do in a browser; the test gives a function for each.

Any other fence is an error, so that all of the page is checked. Port 8000 is replaced by a free one.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Timer
from typing import Self

from tests.server import ROOT, free_port, is_listening
from tests.waiting import LONGEST_SECONDS, wait_until

PRINTED_PORT = "8000"

_PART = re.compile(
    r"^<!-- browser: (?P<browser>.+?) -->$"
    r"|^(?:<!-- (?P<mark>.+?) -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"(?P<verb>Write|Add to the end of) `(?P<path>[\w/.]+)`[^\n]*:\n\n\Z")
_COPIED = re.compile(r"(oat_|ort_)…")
_TOKEN = re.compile(r"\b(?P<prefix>oat_|ort_)[A-Za-z0-9_-]+")


class Mismatch(AssertionError):
    """What happens is not what the page says."""


class Walkthrough:
    """Follows one page in a folder of its own, with the interpreter that runs the tests."""

    def __init__(self, folder: Path, *, browser: Mapping[str, Callable[[], None]] | None = None) -> None:
        self.folder, self.browser = folder, browser or {}
        self.port = str(free_port())
        self.newest_tokens: dict[str, str] = {}

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def follow(self, page: str) -> int:
        """Do everything on the page. Returns how many commands were typed. Raises Mismatch."""
        with Shell(self.folder) as self.shell, ExitStack() as self.servers:
            return sum(self._do(part, before=page[: part.start()]) for part in _PART.finditer(page))

    def _do(self, part: re.Match[str], *, before: str) -> int:
        """Do one part of the page, and return how many commands that took."""
        kind = part["language"], part["mark"]
        if part["browser"] in self.browser:
            self.browser[part["browser"]]()
        elif kind == ("python", None):
            self._write(before, part["body"])
        elif kind == ("console", None):
            return sum(self._type(command, expected) for command, expected in commands(part["body"]))
        elif kind == ("console", "keeps running"):
            for command, _nothing in commands(part["body"]):
                self._serve(command)
        elif kind != ("console", "shown, not run"):
            raise Mismatch(f"This is not checked:\n{part[0]}")
        return 0

    def _write(self, before: str, text: str) -> None:
        named = _FILE.search(before)
        if named is None:
            raise Mismatch(f"No line names this file:\n{text}")
        path = self.folder / named["path"]
        kept = path.read_text() if named["verb"].startswith("Add") else ""
        path.write_text(kept + self._with_port(text))

    def _type(self, command: str, expected: str) -> int:
        typed = _COPIED.sub(lambda copied: self.newest_tokens.get(copied[1], copied[0]), self._with_port(command))
        status, printed = self.shell.run(typed)
        self.newest_tokens |= {token["prefix"]: token[0] for token in _TOKEN.finditer(printed)}
        seen = printed.replace(self.port, PRINTED_PORT)
        if status != 0 or _COPIED.search(typed) or not shows(expected, seen):
            raise Mismatch(f"$ {command}\n--- the page says\n{expected}\n--- it prints, with status {status}\n{seen}")
        return 1

    def _serve(self, command: str) -> None:
        server = subprocess.Popen(
            ["bash", "-c", Shell.PRELUDE + self._with_port(command)],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.servers.callback(stop, server)
        wait_until(lambda: server.poll() is not None or is_listening(int(self.port)))
        if server.poll() is not None:
            raise Mismatch(f"It does not serve: {command}")

    def _with_port(self, text: str) -> str:
        return re.sub(rf"\b{PRINTED_PORT}\b", self.port, text)


class Shell:
    """One bash that keeps its variables from command to command."""

    PRELUDE = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}\ndjango-admin() {{ python -m django "$@"; }}\n'
    _END = "--- the command has ended ---"

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.run(self.PRELUDE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()

    def run(self, command: str) -> tuple[int, str]:
        """Return the status of a command and what it printed, without the last line break."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{command}\nprintf '\\n%s %d\\n' '{self._END}' $?\n")
        stdin.flush()
        patience = Timer(LONGEST_SECONDS, self.process.kill)
        patience.start()
        lines = []
        for line in stdout:
            if line.startswith(self._END):
                patience.cancel()
                return int(line.split()[-1]), "".join(lines).replace("\r", "").rstrip("\n")
            lines.append(line)
        raise Mismatch(f"It does not end: {command}\n{''.join(lines)}")


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a ``console`` block with what the page says it prints."""
    found = re.split(r"^\$ ", body, flags=re.MULTILINE)
    if found[0].strip():
        raise Mismatch(f"No command prints this:\n{found[0]}")
    for part in found[1:]:
        command = re.match(r"(?:[^\n]*\\\n)*[^\n]*\n", part)[0]
        yield command.rstrip("\n"), part[len(command) :].rstrip("\n")


def shows(expected: str, printed: str) -> bool:
    """Whether what is printed is what the page shows: ``…`` is any text, on a line of its own any lines."""
    lines = [
        r"(?:[^\n]*\n)*?" if line == "…" else re.escape(line).replace("…", r"[^\n]*") + "\n"
        for line in expected.splitlines()
    ]
    return re.fullmatch("".join(lines), printed and f"{printed}\n") is not None


def environment() -> dict[str, str]:
    """Return the environment of a reader: with this checkout, and without what is set for the tests."""
    kept = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "DJANGO_SETTINGS_MODULE"}}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def stop(server: subprocess.Popen[bytes]) -> None:
    """End a server with all its processes."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    server.wait(timeout=LONGEST_SECONDS)
