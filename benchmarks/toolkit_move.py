"""Move from django-oauth-toolkit under load, and measure the speed and the memory of the import. See README.md."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # it is run as a file

from benchmarks.machine import described, postgresql_url  # noqa: E402
from benchmarks.rounds import table  # noqa: E402
from benchmarks.scratch import scratch_database  # noqa: E402
from benchmarks.server import Site, served, site  # noqa: E402

SETTINGS, STEPS = "benchmarks.sites.moving", "benchmarks.sites.moving_steps"
APPLICATIONS = ("phone", "tablet", "desktop", "web", "partner")
SECRET = "a-client-secret-of-more-than-22-characters"  # noqa: S105  as in the steps
CONNECTIONS = 8
_MOST_GROWTH = 1.5


@dataclass
class Client:
    """A client that changes nothing: it refreshes with what it holds, at the address that it knows."""

    number: int
    refresh_token: str
    servers: set[str] = field(default_factory=set)

    def form(self) -> str:
        name = APPLICATIONS[self.number % len(APPLICATIONS)]
        secret = {} if name in {"phone", "tablet", "desktop"} else {"client_secret": SECRET}
        return urlencode(
            {"grant_type": "refresh_token", "refresh_token": self.refresh_token, "client_id": name, **secret}
        )


class Address:
    """Where all clients send their requests; the server behind it changes at the cut-over."""

    def __init__(self, server: str, port: int) -> None:
        self.server, self.port = server, port


class Connection(Thread):
    """Refreshes its share of the clients in turn until it is told to stop. No request is repeated."""

    def __init__(self, address: Address, clients: list[Client], over: Event) -> None:
        super().__init__()
        self.address, self.clients, self.over = address, clients, over
        self.failures: list[str] = []
        self.milliseconds: dict[str, list[float]] = {"old": [], "new": []}
        self.idle_at = "nowhere"

    def run(self) -> None:
        connection, server = None, ""
        turn = 0
        while not self.over.is_set():
            if server != self.address.server or connection is None:
                server = self.address.server
                connection = HTTPConnection("127.0.0.1", self.address.port, timeout=60)
                self.idle_at = server  # nothing of it is under way at the other any more
            client = self.clients[turn % len(self.clients)]
            turn += 1
            begun = time.perf_counter()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/o/token/", body=client.form(), headers=headers)
            response = connection.getresponse()
            body = response.read()
            if response.status == HTTPStatus.OK:
                self.milliseconds[server].append(1000 * (time.perf_counter() - begun))
                client.refresh_token = str(json.loads(body)["refresh_token"])
                client.servers.add(server)
            else:
                self.failures.append(f"client {client.number} at the {server} server: {response.status} {body!r}")


def main() -> int:
    options = read_options()
    database = postgresql_url(os.environ)
    result: dict[str, Any] = {"machine": described(database), **vars(options)}
    with scratch_database(database, name="toolkit_move") as url:
        result["cut_over"] = cut_over(url, options)
    sys.stderr.write(f"{json.dumps(result['cut_over'])}\n")
    result["imports"] = [measured_import(database, count, options.users) for count in options.imports]
    missed = missed_targets(result)
    print(f"{json.dumps(result, indent=2)}\n\n{as_table(result)}\n")
    print("\n".join(missed or ["All targets were met."]))
    return len(missed)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000, metavar="N", help="of the cut-over")
    parser.add_argument("--users", type=int, default=200, metavar="N")
    parser.add_argument("--before", type=int, default=20, metavar="S", help="seconds of load before the cut-over")
    parser.add_argument("--imports", type=int, nargs="*", default=[10_000, 100_000], metavar="N", help="sessions")
    return parser.parse_args()


def prepared(url: str, sessions: int, users: int) -> Site:
    made = site(SETTINGS, url)
    sys.stderr.write(f"Creating {sessions:,} sessions.\n")
    made.call(STEPS, f"create_sessions({sessions}, {users})")
    return made


def cut_over(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Refresh all sessions by eight connections, and switch servers meanwhile. Return what the clients saw."""
    new = prepared(url, options.sessions, options.users)
    old = Site(environment={**new.environment, "MOVING_SERVER": "old"}, python=new.python)
    new.manage("oauth_import_toolkit", "--applications")
    clients = [Client(number, f"refresh-{number}") for number in range(options.sessions)]
    over = Event()
    with served(old, workers=1) as old_server, served(new, workers=1) as new_server:
        address = Address("old", old_server.ports[0])
        connections = [Connection(address, clients[n::CONNECTIONS], over) for n in range(CONNECTIONS)]
        for connection in connections:
            connection.start()
        time.sleep(options.before)
        sys.stderr.write("Cutting over.\n")
        address.port, address.server = new_server.ports[0], "new"
        while not all(connection.idle_at == "new" for connection in connections):
            time.sleep(0.01)
        imported = run_import(new)
        while not all("new" in client.servers for client in clients) and not any(c.failures for c in connections):
            time.sleep(0.1)
        over.set()
        for connection in connections:
            connection.join()
    failures = [text for connection in connections for text in connection.failures]
    milliseconds = {
        server: sorted(value for connection in connections for value in connection.milliseconds[server])
        for server in ("old", "new")
    }
    return {
        "failures": failures[:10],
        "failed": len(failures),
        "clients": Counter(" and ".join(sorted(client.servers, reverse=True)) for client in clients),
        "import": imported,
        "refreshes": {
            server: {
                "count": len(values),
                "median_ms": round(median(values), 1),
                "p99_ms": round(values[int(len(values) * 0.99)], 1),
                "max_ms": round(values[-1], 1),
            }
            for server, values in milliseconds.items()
        },
    }


def measured_import(database: str, sessions: int, users: int) -> dict[str, Any]:
    """Import this number of sessions without load."""
    with scratch_database(database, name=f"toolkit_{sessions}") as url:
        made = prepared(url, sessions, users)
        made.manage("oauth_import_toolkit", "--applications")
        return run_import(made)


def run_import(of: Site) -> dict[str, Any]:
    """Run the command in a process of its own, and return its counts, seconds and memory."""
    begun = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603  our own command
        [of.python, "-m", "django", "oauth_import_toolkit", "--sessions", "--json"],
        cwd=ROOT,
        env=of.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    output = process.stdout.read() if process.stdout else ""
    _pid, status, usage = os.wait4(process.pid, 0)  # unlike Popen.wait(), it returns the memory used
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"The command failed: {process.returncode}")
    seconds = time.perf_counter() - begun
    counts = json.loads(output)["sessions"]
    return {
        **counts,
        "seconds": round(seconds, 1),
        "per_second": round(counts["moved"] / seconds),
        "peak_memory_mib": round(usage.ru_maxrss / 1024),
    }


def missed_targets(result: dict[str, Any]) -> list[str]:
    """No refresh may fail, no session may stay, and the memory must not grow with the number of sessions."""
    missed = [f"A refresh failed: {failure}" for failure in result["cut_over"]["failures"]]
    for imported in (result["cut_over"]["import"], *result["imports"]):
        missed += [f"{count} sessions stayed: {reason}." for reason, count in imported["stayed"].items()]
    memory = [imported["peak_memory_mib"] for imported in result["imports"]]
    if memory and max(memory) > _MOST_GROWTH * min(memory):
        missed.append(f"The memory grew from {min(memory)} to {max(memory)} MiB.")
    return missed


def as_table(result: dict[str, Any]) -> str:
    cut, refreshes = result["cut_over"], result["cut_over"]["refreshes"]
    rows: list[tuple[object, ...]] = [
        ("sessions, users, applications", f"{result['sessions']:,}, {result['users']}, {len(APPLICATIONS)}"),
        ("refreshes that failed", cut["failed"]),
        (
            "clients that refreshed at the new server",
            f"{sum(cut['clients'].values()) - cut['clients'].get('old', 0):,}",
        ),
        *(
            (f"refreshes at the {server} server: median, p99, longest", _latency(refreshes[server]))
            for server in ("old", "new")
        ),
        ("sessions that the command moved under load", f"{cut['import']['moved']:,} in {cut['import']['seconds']} s"),
        *(
            (f"import of {imported['moved']:,} sessions", f"{imported['seconds']} s, {imported['peak_memory_mib']} MiB")
            for imported in result["imports"]
        ),
    ]
    return table(("what", "measured"), rows)


def _latency(figures: dict[str, Any]) -> str:
    return f"{figures['median_ms']} ms, {figures['p99_ms']} ms, {figures['max_ms']} ms ({figures['count']:,})"


if __name__ == "__main__":
    sys.exit(main())
