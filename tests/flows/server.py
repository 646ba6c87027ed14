"""A real server process of the example project, and curl to talk to it."""

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What curl received: status, the header lines as sent, and the body."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def manage(*arguments: str, database_url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a management command of the example project in a process of its own."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment_of(database_url) | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def manage_all(*commands: Sequence[str], database_url: str, **environment: str) -> str:
    """Run management commands, all in one process because starting one takes the most time; return what they print."""
    calls = "".join(f"call_command(*{tuple(command)!r}); " for command in commands)
    script = f"from django.core.management import call_command; {calls}"
    result = manage("shell", "--verbosity", "0", "--command", script, database_url=database_url, **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


@contextmanager
def runserver(*, database_url: str) -> Iterator[str]:
    """Serve the example project and yield its origin, such as ``http://127.0.0.1:41234``."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
        cwd=ROOT,
        env=environment_of(database_url) | {"OAUTH_ISSUER": f"http://127.0.0.1:{port}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def curl(line: str, *, folder: Path) -> Answer:
    """Run one command line that begins with ``curl``, as a shell would split it."""
    command, *arguments = shlex.split(line.replace("\\\n", ""))
    assert command == "curl"
    headers, body = folder / "headers", folder / "body"
    subprocess.run(["curl", "-sS", "-D", headers, "-o", body, *arguments], check=True, timeout=30, capture_output=True)
    status_line, *header_lines = headers.read_text().splitlines()
    pairs = (header.split(":", 1) for header in header_lines if ":" in header)
    return Answer(
        status=int(status_line.split()[1]),
        headers={name.lower(): value.strip() for name, value in pairs},
        text=body.read_text() if body.exists() else "",
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def environment_of(database_url: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "example_project.settings"}


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < START_SECONDS:
        assert process.poll() is None, "The server ended before it answered."
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("The server did not start.")
