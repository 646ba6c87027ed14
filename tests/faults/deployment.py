"""A database server of its own, the example project served on it by gunicorn, and grants: to break one of them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from tests.faults.clients import HeldGrant
from tests.faults.processes import Process
from tests.faults.servers import SERVERS, Database
from tests.server import ROOT, call, free_port
from tests.waiting import LONGEST_SECONDS

WINDOW_SECONDS, LONG_WINDOW_SECONDS = 30, 1800
CLIENT_IDS = {0: "strict", WINDOW_SECONDS: "lenient", LONG_WINDOW_SECONDS: "patient"}
"""The application for each retry window, in seconds; 0: none. The long one does not close on a slow machine."""

USERNAME = "eve"
PROTECTED = "/protected/"
"""A path that needs an access token."""


class Site(Process):
    """The example project under gunicorn: worker processes with threads, which gunicorn replaces when they end."""

    def __init__(self, *, folder: Path, workers: int, threads: int, **environment: str) -> None:
        port = free_port()
        size = ["--workers", str(workers), "--threads", str(threads), "--worker-tmp-dir", str(folder)]
        where = ["--bind", f"127.0.0.1:{port}", "--chdir", str(ROOT), "--no-control-socket"]
        command = [sys.executable, "-m", "gunicorn", *size, *where, "example_project.wsgi"]
        super().__init__(command, port=port, log=folder / f"site-{port}.log", environment=_production(**environment))

    def answers(self) -> bool:
        """Whether a worker answers; gunicorn itself takes connections long before."""
        with suppress(OSError, HTTPException):
            return call(self.port, "GET", PROTECTED).status == HTTPStatus.UNAUTHORIZED
        return False


@dataclass(kw_only=True)
class Deployment:
    """A database server, and the sites that were started on it."""

    folder: Path
    database: Database
    sites: list[Site] = field(default_factory=list)

    def serve(self, *, url: str | None = None, workers: int = 2, threads: int = 4, **environment: str) -> Site:
        """Start a site on the database, or on a proxy to it at ``url``."""
        environment = {"DATABASE_URL": url or self.database.url(), **environment}
        self.sites.append(site := Site(folder=self.folder, workers=workers, threads=threads, **environment))
        site.start()
        return site

    def stop_sites(self) -> None:
        """End every site that was started."""
        while self.sites:
            self.sites.pop().kill()

    def manage(self, *arguments: str, **environment: str) -> str:
        """Run a management command in a process of its own, on the database itself, and return what it printed."""
        environment = {"DATABASE_URL": self.database.url(), **environment}
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=_production(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=5 * LONGEST_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start_grants(self, count: int, *, retry_window: int) -> list[HeldGrant]:
        """Start grants of the application with this window, and return what its client holds of each."""
        client_id = CLIENT_IDS[retry_window]
        arguments = ("oauth_issue_tokens", "--application", client_id, "--user", USERNAME, "--count", str(count))
        issued = map(json.loads, self.manage(*arguments).splitlines())
        return [
            HeldGrant(
                client_id=client_id,
                grant=one["grant"],
                access_token=one["access_token"],
                refresh_token=one["refresh_token"],
            )
            for one in issued
        ]


@contextmanager
def deploy(vendor: str) -> Iterator[Deployment]:
    """Start a database server of this kind with an empty site, and end all processes in the end."""
    with tempfile.TemporaryDirectory(prefix="oauth-refresh-faults-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL may run as another user than we
        database = SERVERS[vendor](folder)
        deployment = Deployment(folder=folder, database=database)
        try:
            database.start()
            database.create_database()
            _prepare(deployment)
            yield deployment
        finally:
            deployment.stop_sites()
            database.kill()


def _prepare(deployment: Deployment) -> None:
    """Migrate, and create a user and the applications: in one process, because starting one takes the most time."""
    applications = "".join(
        f"call_command('oauth_create_application', {client_id!r}, '--client-id', {client_id!r}, '--public', "
        f"'--grant-type', 'refresh_token', '--retry-window', '{window}'); "
        for window, client_id in CLIENT_IDS.items()
    )
    deployment.manage(
        "shell",
        "--command",
        "from django.core.management import call_command; from django.contrib.auth import get_user_model; "
        f"call_command('migrate', verbosity=0); get_user_model().objects.create_user({USERNAME!r}); {applications}",
    )


def _production(**environment: str) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "PYTHONPATH": str(ROOT),
        "DEBUG": "False",
        "SECRET_KEY": "for the length of one fault, and long enough for Django's own checks: 0123456789",
        "ALLOWED_HOSTS": "127.0.0.1",
        "OAUTH_REQUIRE_HTTPS": "False",
        **environment,
    }
