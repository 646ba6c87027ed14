"""A Django project on a database of its own, served by gunicorn."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKERS, THREADS = 2, 4
_SECONDS_TO_START = 30

# SystemExit, unlike the default action, runs the context managers that stop the servers and drop the databases.
signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit("Terminated."))


@dataclass(frozen=True, kw_only=True)
class Site:
    """A Django project: an interpreter with its dependencies, and an environment with its settings."""

    environment: Mapping[str, str]
    python: str = sys.executable

    def manage(self, *arguments: str) -> str:
        """Run a management command, and return its output."""
        return _run([self.python, "-m", "django", *arguments], environment=self.environment)

    def call(self, module: str, call: str) -> str:
        """Call a function of a module in ``manage.py shell``, and return its output."""
        code = f"import {module}; {module}.{call}"
        return self.manage("shell", "--verbosity", "0", "--command", code)


@dataclass(frozen=True, kw_only=True)
class Server:
    """Running gunicorn servers with one worker each, and their ports.

    Several workers behind one port would not get equal shares of the connections: a worker keeps a connection that it
    has accepted, and the fastest may accept all of them.
    """

    ports: tuple[int, ...]
    arbiters: tuple[int, ...]

    def workers(self) -> list[int]:
        """Return the process IDs of the workers."""
        children = [Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text() for arbiter in self.arbiters]
        return [int(process) for process in " ".join(children).split()]


def site(settings: str, database_url: str, *, python: str = sys.executable, **more: str) -> Site:
    """Return a production site with these settings on a migrated database; ``more`` is added to its environment."""
    environment = os.environ | {
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_PREPARED": "True",
        "DATABASE_URL": database_url,
        "DEBUG": "False",
        "DJANGO_SETTINGS_MODULE": settings,
        "OAUTH_ISSUER": "http://127.0.0.1",
        "OAUTH_REQUIRE_HTTPS": "False",
        "PYTHONPATH": str(ROOT),
        "SECRET_KEY": secrets.token_urlsafe(64),
        **more,
    }
    made = Site(environment=environment, python=python)
    made.manage("migrate", "--verbosity", "0")
    return made


@contextmanager
def served(of: Site, *, workers: int = WORKERS, threads: int = THREADS) -> Iterator[Server]:
    """Serve the site until the block ends."""
    with ExitStack() as stack:
        started = [stack.enter_context(_gunicorn(of, threads=threads)) for _worker in range(workers)]
        yield Server(ports=tuple(port for port, _arbiter in started), arbiters=tuple(arbiter for _, arbiter in started))


@contextmanager
def served_at(port: int, of: Site, *, workers: int = WORKERS, threads: int = THREADS) -> Iterator[Server]:
    """Serve the site at one port, which its settings may name, until the block ends."""
    with _gunicorn(of, threads=threads, workers=workers, port=port) as (_port, arbiter):
        yield Server(ports=(port,), arbiters=(arbiter,))


@contextmanager
def _gunicorn(of: Site, *, threads: int, workers: int = 1, port: int = 0) -> Iterator[tuple[int, int]]:
    """Run gunicorn, and yield its port and the process ID of its arbiter."""
    port = port or free_port()
    process = subprocess.Popen(  # noqa: S603  our own command
        [
            *(of.python, "-m", "gunicorn", "django.core.wsgi:get_wsgi_application()"),
            *("--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--keep-alive", "60"),
            *("--worker-class", "gthread", "--workers", str(workers), "--threads", str(threads)),
        ],
        cwd=ROOT,
        env=of.environment,
    )
    try:
        _wait_for(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _attempt in range(_SECONDS_TO_START * 10):
        if process.poll() is not None:
            raise SystemExit("gunicorn did not start.")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"gunicorn did not start within {_SECONDS_TO_START} seconds.")


def _run(command: list[str], *, environment: Mapping[str, str]) -> str:
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603  our own command
