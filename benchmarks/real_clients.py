"""How many sessions do published clients lose, with and without a retry window, if several callers share a token?

The JavaScript SDK of MCP, google-auth, oidc-client-ts in Chromium and rclone, unmodified, against the example project
served by gunicorn. The access token is made to expire, in the database and where the client looks at the time; then all
callers use the API at once, or one of them ``--late`` seconds after the others. A session is lost if a caller is told
``invalid_grant``, or if the grant was revoked; the client then gets a new session. The command fails if a session is
lost with the window of ``--must-hold``, unless a caller came late.

    DATABASE_URL=postgres://postgres@127.0.0.1:5432/postgres python benchmarks/real_clients.py
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import IO, Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it is run as a file

from benchmarks.environments import CACHE, python_with
from benchmarks.machine import described, postgresql_url
from benchmarks.scratch import connected, scratch_database
from benchmarks.server import ROOT, Site, free_port, served_at, site

NPM = ("@modelcontextprotocol/sdk@1.32.2", "oidc-client-ts@3.5.0", "playwright-core@1.65.1")
PYPI = ("google-auth==2.63.0", "requests==2.34.2")
THREADS = 12
DRIVERS = Path(__file__).resolve().parent / "clients"
_COUNTS = """
    SELECT kind, count(*) FROM oauth_refresh_grantevent JOIN oauth_refresh_grant g ON g.id = grant_id
    WHERE g.public_id = ANY(%s::uuid[]) GROUP BY kind
"""
_EXPIRE = """
    UPDATE oauth_refresh_accesstoken SET expires_at = now() FROM oauth_refresh_grant g
    WHERE g.id = grant_id AND g.public_id = %s AND oauth_refresh_accesstoken.expires_at > now()
"""
_LAST_EVENT = """
    SELECT kind || ': generation ' || e.generation || ' of ' || g.generation || ', '
    || round(seconds_since_spent::numeric, 1) || ' s after it was spent'
    FROM oauth_refresh_grantevent e JOIN oauth_refresh_grant g ON g.id = grant_id
    WHERE g.public_id = %s ORDER BY e.id DESC LIMIT 1
"""
_REVOKED = "SELECT revoked_at IS NOT NULL FROM oauth_refresh_grant WHERE public_id = %s"
HEAD = (
    "| client | callers | window | expiries | sessions lost | alarms | retries | refused | 429 | failed calls |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client library and what its callers share; ``mode`` is for its driver. ``command`` starts the driver."""

    title: str
    mode: str
    command: Callable[[], list[str]]
    folder: Callable[[], Path] = lambda: ROOT
    public: bool = False


@dataclass(kw_only=True)
class Tally:
    """What happened to the sessions of one client."""

    sessions: list[str] = field(default_factory=list)
    lost: int = 0
    failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True, eq=False)
class Server:
    """The running site: where it is, its database and its log."""

    site: Site
    origin: str
    database_url: str
    access_log: Path

    @cache  # noqa: B019  one server for each run
    def application(self, window: int, *, public: bool) -> tuple[dict[str, str], Iterator[dict[str, Any]]]:
        """Return the credentials of an application with this retry window, and the tokens of its new grants."""
        credentials = self._register(window, public=public)
        return credentials, self._sessions(credentials["client_id"], count=20 if window else 100)

    def _register(self, window: int, *, public: bool) -> dict[str, str]:
        options = ("--grant-type", "refresh_token", "--retry-window", str(window), "--json")
        made: dict[str, str] = json.loads(
            self.site.manage("oauth_create_application", f"window {window}", *options, *["--public"] * public)
        )
        return {"client_id": made["client_id"], "client_secret": made.get("client_secret", "")}

    def _sessions(self, client_id: str, *, count: int) -> Iterator[dict[str, Any]]:
        issue = ("oauth_issue_tokens", "--application", client_id, "--user", "eve", "--scope", "notes:read")
        while True:
            yield from map(json.loads, self.site.manage(*issue, "--count", str(count)).splitlines())

    def too_many_requests(self) -> int:
        """Return how often a token request was answered with 429."""
        lines = self.access_log.read_text().splitlines()
        return sum("/oauth/token" in line and '" 429 ' in line for line in lines)


def main() -> int:
    options = read_options()
    url = postgresql_url(os.environ)
    with ExitStack() as stack:
        server = stack.enter_context(serving(url))
        print(json.dumps(described(url) | {"clients": [*NPM, *PYPI, rclone_version()]}), f"\n\n{HEAD}", flush=True)
        missed = [
            f"{client.title}, {callers} callers, window {window} s"
            for name, callers, window in product(options.client, options.callers, options.window)
            for client in [CLIENTS[name]]
            if measure(server, client, callers, window, options=options)
            and window == options.must_hold
            and not options.late
        ]
    print(*(f"Missed: a session was lost by {one}." for one in missed), sep="\n")
    return bool(missed)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client", nargs="+", choices=CLIENTS, default=[*CLIENTS])
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 4, 8, 12])
    parser.add_argument("--window", type=int, nargs="+", default=[0, 10, 30, 120], help="seconds")
    parser.add_argument("--expiries", type=int, default=20)
    parser.add_argument("--late", type=float, default=0, help="seconds that one of the callers comes after the others")
    parser.add_argument("--must-hold", type=int, default=30, help="the window with which no session may be lost")
    return parser.parse_args()


def measure(server: Server, client: Client, callers: int, window: int, *, options: argparse.Namespace) -> int:
    """Let the callers use the API after each expiry; print a row of a Markdown table; return the lost sessions."""
    credentials, sessions = server.application(window, public=client.public)
    tally, too_many = Tally(), server.too_many_requests()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, connected(server.database_url) as database:
        config = credentials | {"origin": server.origin, "callers": callers, "mode": client.mode, "folder": folder}
        config |= {"chromium": chromium()} if client.public else {}
        with driver(client, config) as order:
            for _expiry in range(options.expiries):
                expire_and_call(order, sessions, database, tally=tally, late=options.late)
        events = Counter(dict(database.execute(_COUNTS, [tally.sessions]).fetchall()))
    late = f", one {options.late:g} s late" if options.late else ""
    counts = (tally.lost, events["reused"], events["retried"], events["refused"])
    row = (client.title + late, callers, f"{window} s", options.expiries, *counts)
    print("|", " | ".join(map(str, (*row, server.too_many_requests() - too_many, tally.failed))), "|", flush=True)
    for error, number in tally.errors.most_common(3):
        print(f"{number} times: {error}", file=sys.stderr, flush=True)
    return tally.lost


def expire_and_call(
    order: Callable[[dict[str, Any]], dict[str, Any]],
    sessions: Iterator[dict[str, Any]],
    database: Any,
    *,
    tally: Tally,
    late: float,
) -> None:
    """Expire the access tokens of the session, or of a new one if it was lost, and let all callers use the API."""
    if not tally.sessions or database.execute(_REVOKED, [tally.sessions[-1]]).fetchone()[0]:
        tokens = next(sessions)
        tally.sessions.append(tokens["grant"])
        order({"tokens": tokens})
    grant = tally.sessions[-1]
    database.execute(_EXPIRE, [grant])
    answer = order({"late": late})
    tally.failed += answer["failed"]
    if answer["error"]:
        event = database.execute(_LAST_EVENT, [grant]).fetchone() or [""]
        tally.errors[f"{answer['error'].splitlines()[-1][-200:]} {event[0]}"] += 1
    revoked = database.execute(_REVOKED, [grant]).fetchone()[0]
    tally.lost += bool(answer["lost"] or revoked)
    if answer["lost"] and not revoked:
        tokens = next(sessions)
        tally.sessions.append(tokens["grant"])
        order({"tokens": tokens})


@contextmanager
def serving(url: str) -> Iterator[Server]:
    """Serve the example by one worker, so that all clients find it under one address."""
    with ExitStack() as stack:
        database_url = stack.enter_context(scratch_database(url, name="clients"))
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "access.log"
        log.touch()
        port = free_port()
        origin = f"http://127.0.0.1:{port}"
        environment = {"OAUTH_ISSUER": origin, "GUNICORN_CMD_ARGS": f"--access-logfile {log}"}
        ours = site("benchmarks.sites.clients", database_url, **environment)
        ours.manage("createsuperuser", "--no-input", "--username", "eve", "--email", "eve@example.org")
        stack.enter_context(served_at(port, ours, workers=1, threads=THREADS))
        yield Server(site=ours, origin=origin, database_url=database_url, access_log=log)


@contextmanager
def driver(client: Client, config: dict[str, Any]) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Start the driver of a client, and yield a function that gives it an order and returns its answer.

    Both are a line of JSON. ``{"tokens": …}`` starts a session; ``{"late": seconds}`` lets all callers use the API, one
    of them so much later, and the answer says how many failed, how many of these were told ``invalid_grant``, and why.
    """
    process = subprocess.Popen(  # noqa: S603  our own command
        [*client.command(), json.dumps(config)],
        cwd=client.folder(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    orders, answers = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)

    def order(what: dict[str, Any]) -> dict[str, Any]:
        orders.write(json.dumps(what) + "\n")
        orders.flush()
        line = answers.readline()
        if not line:
            raise SystemExit(f"The driver of {client.title} ended.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    try:
        yield order
    finally:
        orders.close()
        process.wait()


def npm_folder() -> Path:
    """Return a folder with the packages of npm, and our drivers in it, so that they find them."""
    folder = CACHE / sha256("\n".join(NPM).encode()).hexdigest()[:16]
    if not (folder / "is-complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", folder, *NPM], check=True)  # noqa: S603, S607  our own command
        (folder / "is-complete").touch()
    for script in DRIVERS.glob("*.mjs"):
        shutil.copy(script, folder)
    return folder


def chromium() -> str:
    """Return the path of Chromium."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("Install Chromium, or leave out --client tabs.")
    return found


def rclone_version() -> str:
    """Return the first line of ``rclone version``, or that it is missing."""
    if shutil.which("rclone") is None:
        return "no rclone"
    return subprocess.run(["rclone", "version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]  # noqa: S607  on the path


def _node(script: str) -> Callable[[], list[str]]:
    return lambda: ["node", script]


def _google() -> list[str]:
    return [python_with(*PYPI), str(DRIVERS / "google_client.py")]


def _rclone() -> list[str]:
    return [sys.executable, str(DRIVERS / "rclone_client.py")]


CLIENTS = {
    "mcp-calls": Client(
        title="MCP SDK: calls of one client", mode="calls", command=_node("mcp.mjs"), folder=npm_folder
    ),
    "mcp-file": Client(
        title="MCP SDK: clients that share a file", mode="file", command=_node("mcp.mjs"), folder=npm_folder
    ),
    "mcp-copies": Client(
        title="MCP SDK: clients with copies", mode="copies", command=_node("mcp.mjs"), folder=npm_folder
    ),
    "google-threads": Client(title="google-auth: threads", mode="calls", command=_google),
    "google-file": Client(title="google-auth: processes that share a file", mode="file", command=_google),
    "google-copies": Client(title="google-auth: processes with copies", mode="copies", command=_google),
    "tabs": Client(
        title="oidc-client-ts: tabs, localStorage",
        mode="file",
        command=_node("tabs.mjs"),
        folder=npm_folder,
        public=True,
    ),
    "tabs-copies": Client(
        title="oidc-client-ts: tabs, copied sessionStorage",
        mode="copies",
        command=_node("tabs.mjs"),
        folder=npm_folder,
        public=True,
    ),
    "rclone": Client(title="rclone: processes that share a file", mode="file", command=_rclone),
}
"""Each with what its callers share."""


if __name__ == "__main__":
    sys.exit(main())
