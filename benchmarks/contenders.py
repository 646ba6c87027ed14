"""The contenders of ``throughput.py``, each as a function of the number of connections and the seconds of a run."""

import json
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.environments import python_of_site_with
from benchmarks.load import EachOnce, Refreshes, Repeated, Requests, Run, basic, drive, get, post
from benchmarks.scratch import connected, libpq_url, scratch_database
from benchmarks.server import ROOT, Site, served, site

TOOLKIT = "django-oauth-toolkit==3.4.1"
MD5 = "django.contrib.auth.hashers.MD5PasswordHasher"
SCOPE = "notes:read"
REVOCATIONS = 1_000
_REACTIVATE = """
    UPDATE oauth_refresh_grant SET revoked_at = NULL, revoked_reason = '', revocation_id = NULL
    WHERE revoked_at IS NOT NULL RETURNING 1
"""

Contender = Callable[[int, float], Run]


@dataclass(frozen=True, kw_only=True)
class OurSite:
    """Our site with a confidential client, and the tokens of its grants."""

    site: Site
    authorization: str
    tokens: list[dict[str, Any]]

    def refreshes(self, count: int) -> list[Requests]:
        """Return the refreshes of the first ``count`` grants."""
        return refreshes([token["refresh_token"] for token in self.tokens[:count]], self.authorization)


def our_site(
    database_url: str,
    *,
    grants: int,
    settings: str = "benchmarks.sites.ours",
    window: int = 0,
    prepare: Callable[[str], None] | None = None,
    **environment: str,
) -> OurSite:
    """Return our site with a client and grants of one user. ``prepare`` is called on the empty tables.

    ``window`` is the retry window of the client, in seconds.
    """
    ours = site(settings, database_url, **environment)
    if prepare is not None:
        prepare(database_url)
    ours.manage("createsuperuser", "--no-input", "--username", "eve", "--email", "eve@example.org")
    options = ["--grant-type", "refresh_token", "--json", *(["--retry-window", str(window)] if window else [])]
    client = json.loads(ours.manage("oauth_create_application", "benchmark", *options))
    issue = ("oauth_issue_tokens", "--application", client["client_id"], "--user", "eve", "--scope", SCOPE)
    lines = ours.manage(*issue, "--count", str(grants)).splitlines()
    return OurSite(
        site=ours,
        authorization=basic(client["client_id"], client["client_secret"]),
        tokens=[json.loads(line) for line in lines],
    )


def our_contenders(stack: ExitStack, url: str, *, connections: int) -> dict[str, Contender]:
    """Serve our site, and return the view to compare with, and our endpoints."""
    database_url = stack.enter_context(scratch_database(url, name="ours"))
    ours = our_site(database_url, grants=connections + 1 + REVOCATIONS)
    ports = stack.enter_context(served(ours.site)).ports
    refreshing = ours.refreshes(connections)
    steady, *to_revoke = [token["access_token"] for token in ours.tokens[connections:]]
    form = f"grant_type=refresh_token&refresh_token={ours.tokens[0]['refresh_token']}"
    authorization = ours.authorization
    revocations = [post("/oauth/revoke", f"token={token}", authorization=authorization) for token in to_revoke]

    def revoke(count: int, seconds: float) -> Run:
        """Revoke active grants, at most as many as there are. They are made active again before each run."""
        _psql(database_url, _REACTIVATE)
        return drive(ports, [EachOnce(iter(revocations))] * count, seconds=seconds)

    return {
        "bare": _repeated(ports, post("/bare/", form, authorization=authorization)),
        "refresh": lambda count, seconds: drive(ports, refreshing[:count], seconds=seconds),
        "api": _repeated(ports, get("/protected/", authorization=f"Bearer {steady}")),
        "notes": _repeated(ports, get("/api/notes/", authorization=f"Bearer {steady}")),
        "introspect": _repeated(ports, post("/oauth/introspect", f"token={steady}", authorization=authorization)),
        "revoke": revoke,
    }


def unprepared(stack: ExitStack, url: str, *, connections: int) -> Contender:
    """Serve our site without prepared statements, and return its refresh."""
    database_url = stack.enter_context(scratch_database(url, name="unprepared"))
    ours = our_site(database_url, grants=connections, DATABASE_PREPARED="False")
    refreshing = ours.refreshes(connections)
    ports = stack.enter_context(served(ours.site)).ports
    return lambda count, seconds: drive(ports, refreshing[:count], seconds=seconds)


def toolkit(stack: ExitStack, url: str, *, connections: int, hasher: str = "") -> Contender:
    """Serve a site with django-oauth-toolkit, and return its refresh. ``hasher`` replaces its default."""
    database_url = stack.enter_context(scratch_database(url, name="toolkit_fast" if hasher else "toolkit"))
    python = python_of_site_with(TOOLKIT)
    toolkit_site = site("benchmarks.sites.toolkit", database_url, python=python, SECRET_HASHER=hasher)
    made = json.loads(toolkit_site.call("benchmarks.sites.toolkit_steps", f"create_tokens({connections})"))
    authorization = basic(made["client_id"], made["client_secret"])
    refreshing = refreshes(made["refresh_tokens"], authorization)
    ports = stack.enter_context(served(toolkit_site)).ports
    return lambda count, seconds: drive(ports, refreshing[:count], seconds=seconds)


def pgbench(stack: ExitStack, url: str, *, connections: int) -> Contender:
    """Return the limit: the same three writes in one transaction, by PostgreSQL's own load generator."""
    database_url = stack.enter_context(scratch_database(url, name="limit"))
    our_site(database_url, grants=connections)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    # Each run starts far above the one before, so that no generation of a grant is inserted twice.
    generations = iter(range(1 << 20, 1 << 31, 1 << 20))
    return lambda count, seconds: _pgbench(database_url, folder, count, seconds, start=next(generations))


def _pgbench(database_url: str, folder: Path, connections: int, seconds: float, *, start: int) -> Run:
    for old in folder.iterdir():
        old.unlink()
    _psql(database_url, "UPDATE oauth_refresh_grant SET generation = %s RETURNING generation", start)
    subprocess.run(  # noqa: S603  our own command
        [
            *("pgbench", "--no-vacuum", "--protocol", "prepared", "--file", ROOT / "benchmarks" / "three_writes.sql"),
            *("--client", str(connections), "--jobs", "1", "--time", str(max(1, round(seconds)))),
            *("--define", f"start={start}", "--define", "counter=0", "--log", "--log-prefix", folder / "log"),
            libpq_url(database_url),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    latencies = [int(line.split()[2]) / 1e6 for log in folder.iterdir() for line in log.read_text().splitlines()]
    refreshed = _psql(database_url, "SELECT sum(generation - %s) FROM oauth_refresh_grant", start)
    if refreshed != len(latencies):
        raise SystemExit(f"pgbench made {len(latencies)} transactions, but only {refreshed} refreshed a grant.")
    return Run(latencies=latencies, seconds=max(1, round(seconds)))


def refreshes(refresh_tokens: list[str], authorization: str, *, path: str = "/oauth/token") -> list[Requests]:
    return [Refreshes(token, path=path, authorization=authorization) for token in refresh_tokens]


def _repeated(ports: tuple[int, ...], request: bytes) -> Contender:
    return lambda count, seconds: drive(ports, [Repeated(request)] * count, seconds=seconds)


def _psql(database_url: str, statement: str, *parameters: object) -> Any:
    """Run a statement, and return the first value of its result, if there is one."""
    with connected(database_url) as connection:
        return next(connection.execute(statement, parameters), [None])[0]
