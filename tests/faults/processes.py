"""Processes that are started to be killed."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.server import is_listening
from tests.waiting import LONGEST_SECONDS, wait_until


class Process:
    """A server in the foreground with all its children: started, killed without warning, and started again."""

    def __init__(
        self, command: Sequence[str], *, port: int, log: Path, environment: Mapping[str, str], user: str | None = None
    ) -> None:
        self.command, self.port, self.log, self.user = command, port, log, user
        self.environment = dict(environment)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None, "The server was not started."
        return self.process.pid

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        owner = {} if self.user is None else {"user": self.user, "group": self.user, "extra_groups": []}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=log, cwd="/", **owner
            )
        wait_until(lambda: self.process.poll() is not None or self.answers())
        assert self.process.poll() is None, f"{self.command[0]} ended:\n{self.log.read_text()[-3000:]}"

    def answers(self) -> bool:
        return is_listening(self.port)

    def children(self) -> list[int]:
        return _children_of(self.pid)

    def kill(self) -> None:
        """``kill -9`` it and all its children, so that none closes its connections in order."""
        if self.process is None:
            return
        pids = [self.pid, *self.children()]
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        self.process.wait(timeout=LONGEST_SECONDS)
        wait_until(lambda: not any(map(_runs, pids)))
        self.process = None

    def kill_child(self, number: int) -> None:
        """``kill -9`` one child: the one of this number, modulo how many there are."""
        children = sorted(self.children())
        if children:
            _signal(children[number % len(children)], signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang: the kernel accepts connections, and no request is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


def _children_of(parent: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{parent}/task").iterdir())
    except FileNotFoundError:
        return []
    found: list[int] = []
    for task in tasks:
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            found += map(int, (task / "children").read_text().split())
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _runs(pid: int) -> bool:
    """Whether a process holds anything yet: one that waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}
