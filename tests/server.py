"""The example project in processes of its own: commands, a server, and requests to it."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.waiting import LONGEST_SECONDS, wait_until

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One whole answer: the status, the headers with their names in small letters, and the body."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def is_server_error_in_json(self) -> bool:
        """Whether it is the 503 that a server error must be: readable by clients, and silent about the cause."""
        if self.status != 503 or self.headers.get("content-type") != "application/json":
            return False
        return (
            self.headers.get("retry-after", "").isdecimal()
            and set(self.json) == {"error", "error_description"}
            and self.json["error"] == "temporarily_unavailable"
        )


def call(
    port: int, method: str, path: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Make one request on a connection of its own. Raises OSError or HTTPException if no whole answer comes.

    A body is sent as a form.
    """
    form = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
    connection = HTTPConnection("127.0.0.1", port, timeout=LONGEST_SECONDS)
    try:
        connection.request(method, path, body=body, headers={"Connection": "close", **form, **(headers or {})})
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(status=response.status, headers=named, text=text)


def manage(*arguments: str, database_url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a management command of the example project in a process of its own."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment_of(database_url) | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * LONGEST_SECONDS,
    )


def manage_all(*commands: Sequence[str], database_url: str, **environment: str) -> str:
    """Run management commands, all in one process because starting one takes the most time; return what they print."""
    calls = "".join(f"call_command(*{tuple(command)!r}); " for command in commands)
    script = f"from django.core.management import call_command; {calls}"
    result = manage("shell", "--verbosity", "0", "--command", script, database_url=database_url, **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout


@contextmanager
def runserver(*, database_url: str, **environment: str) -> Iterator[str]:
    """Serve the example project and yield its origin, such as ``http://127.0.0.1:41234``."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
        cwd=ROOT,
        env=environment_of(database_url) | {"OAUTH_ISSUER": f"http://127.0.0.1:{port}"} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=LONGEST_SECONDS)


@contextmanager
def far_api(*, issuer: str, port: int, database_url: str) -> Iterator[None]:
    """Serve the API on another port, for the tokens of ``issuer``."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "far_api", "--port", str(port), "--issuer", issuer],
        cwd=ROOT,
        env=environment_of(database_url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait(timeout=LONGEST_SECONDS)


def curl(line: str, *, folder: Path) -> Answer:
    """Run one command line that begins with ``curl``, as a shell would split it."""
    program, *arguments = shlex.split(line.replace("\\\n", ""))
    assert program == "curl"
    assert shutil.which("curl"), "These tests send requests by curl: install it."
    headers, body = folder / "headers", folder / "body"
    subprocess.run(
        ["curl", "-sS", "-D", headers, "-o", body, *arguments], check=True, timeout=LONGEST_SECONDS, capture_output=True
    )
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
    """Return once the server answers. Raises AssertionError if it ends instead."""
    wait_until(lambda: process.poll() is not None or is_listening(port))
    assert process.poll() is None, "The server ended before it answered."


def is_listening(port: int) -> bool:
    """Whether a server takes connections at a port of this machine."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
