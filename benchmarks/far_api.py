"""How fast does an API on another machine check tokens, and how soon does it refuse a revoked one? See README.md.

Everything runs on one machine: what the server costs is part of each figure.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from itertools import count, cycle
from multiprocessing import Process
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # it is run as a file

from benchmarks.contenders import SCOPE  # noqa: E402
from benchmarks.far_failures import KINDS, honoured_too_late  # noqa: E402
from benchmarks.load import EachOnce, Repeated, basic, drive, get, post  # noqa: E402
from benchmarks.machine import described, postgresql_url  # noqa: E402
from benchmarks.rounds import Rounds, interleaved, table  # noqa: E402
from benchmarks.scratch import scratch_database  # noqa: E402
from benchmarks.server import Server, Site, free_port, served, served_at, site  # noqa: E402

CONNECTIONS = 8
STEADY_TOKENS = 100
WATCHED_AT_ONCE = 5
MAX_LAG = 2.0
TITLES = {
    "bare": "a DRF view that does nothing",
    "far": "the same, with tokens of a server elsewhere and its feed",
    "introspection": "the same, with introspection at each request",
    "local": "the same on the server itself, with its own tokens",
}
TARGETS = {"bare": 0.8, "introspection": 4.0, "local": 2.0}
"""How many times as fast ``far`` must be."""


class Setup:
    """A server with an API application and tokens, and what an API elsewhere needs to know."""

    def __init__(self, database_url: str, *, issuer_port: int) -> None:
        self.issuer = f"http://127.0.0.1:{issuer_port}"
        self.site = site("benchmarks.sites.ours", database_url, OAUTH_ISSUER=self.issuer)
        self.database_url = database_url

    def create(self) -> None:
        """Create a user, a client and the API's application."""
        self.site.manage("createsuperuser", "--no-input", "--username", "eve", "--email", "eve@example.org")
        create = ("oauth_create_application", "--json", "--grant-type")
        self.client = json.loads(self.site.manage(*create, "refresh_token", "benchmark"))
        self.api = json.loads(self.site.manage(*create, "client_credentials", "--resource-server", "far"))

    def like(self, other: "Setup") -> None:
        """Use the applications of another setup on the same database."""
        self.client, self.api = other.client, other.api

    def tokens(self, number: int) -> list[str]:
        issue = ("oauth_issue_tokens", "--application", self.client["client_id"], "--user", "eve", "--scope", SCOPE)
        lines = self.site.manage(*issue, "--count", str(number)).splitlines()
        return [json.loads(line)["access_token"] for line in lines]

    def far_site(self, *, max_age: float = 30) -> Site:
        return site(
            "benchmarks.sites.far",
            self.database_url,
            FAR_ISSUER=self.issuer,
            FAR_CLIENT_ID=self.api["client_id"],
            FAR_CLIENT_SECRET=self.api["client_secret"],
            FAR_MAX_AGE=str(max_age),
        )


class Keeper:
    """A connection of its own to one port, which is made again after an error."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection = HTTPConnection("127.0.0.1", port, timeout=10)

    def send(self, method: str, path: str, *, authorization: str, form: dict[str, str] | None = None) -> int:
        """Send a request and return the status; 0 if no answer came."""
        headers = {"Authorization": authorization, "Content-Type": "application/x-www-form-urlencoded"}
        try:
            self.connection.request(method, path, body=urlencode(form or {}), headers=headers)
            response = self.connection.getresponse()
            response.read()
        except (HTTPException, OSError):
            self.connection.close()
            return 0
        return response.status


def main() -> int:
    options = _options()
    results: dict[str, Any] = {"machine": described(options.database)}
    with ExitStack() as stack:
        url = stack.enter_context(scratch_database(options.database, name="far"))
        port = free_port()
        setup = Setup(url, issuer_port=port)
        setup.create()
        server = stack.enter_context(served_at(port, setup.site))
        rounds, results["introspections"] = throughput(stack, setup, server, options)
        results["polling"] = polling(setup, server, polls=options.polls)
        results["revocations"] = revocations(stack, setup, server, number=options.revocations)
        results["honoured_after_max_lag"] = {kind: failures(setup, kind, options=options) for kind in options.failures}
    results["per_second"] = {name: rounds.figures(name, beside="bare") for name in rounds.runs}
    sys.stdout.write(f"{json.dumps(results, indent=2)}\n\n{_table(rounds)}\n\n")
    missed = missed_targets(rounds, results)
    sys.stdout.write("\n".join([*(missed or ["All targets were met."]), ""]))
    return len(missed)


def throughput(
    stack: ExitStack, setup: Setup, server: Server, options: argparse.Namespace
) -> tuple[Rounds, dict[str, float]]:
    """Compare the views, each with a hundred tokens in turn, and count introspections per 1,000 requests."""
    tokens = setup.tokens(STEADY_TOKENS)
    far = stack.enter_context(served(setup.far_site()))
    each = stack.enter_context(served(setup.far_site(max_age=0)))
    _run(server.ports, "/protected/", tokens, 1)  # a server that has just started takes seconds for its first answers
    paths = {"bare": (far, "/bare/"), "far": (far, "/far/"), "introspection": (each, "/far/")}
    contenders = {
        name: partial(_run, where.ports, path, tokens, options.seconds)
        for name, (where, path) in {**paths, "local": (server, "/protected/")}.items()
    }
    rounds = interleaved(contenders, rounds=options.rounds)
    asking = {"far": far, "introspection": each}
    return rounds, {name: _introspections(where.ports, rounds, name) for name, where in asking.items()}


def _run(ports: tuple[int, ...], path: str, tokens: list[str], seconds: float) -> Any:
    requests = [get(path, authorization=f"Bearer {token}") for token in tokens]
    endless = (requests[number % len(requests)] for number in count())
    return drive(ports, [EachOnce(endless)] * CONNECTIONS, seconds=seconds)


def _introspections(ports: tuple[int, ...], rounds: Rounds, name: str) -> float:
    """Return introspections per 1,000 requests; those of the run that warms up are counted too."""
    introspections = sum(_health(port)["introspections"] for port in ports)
    requests = sum(len(run.latencies) for run in rounds.runs[name]) * (1 + 1 / len(rounds.runs[name]))
    return round(1000 * introspections / requests, 2)


def _health(port: int) -> dict[str, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/health/")
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def polling(setup: Setup, server: Server, *, polls: int) -> dict[str, float]:
    """Measure the processor time of the server's workers for polls that find nothing."""
    authorization = basic(setup.api["client_id"], setup.api["client_secret"])
    keeper = HTTPConnection("127.0.0.1", server.ports[0])
    headers = {"Authorization": authorization}
    keeper.request("POST", "/oauth/revocations", headers=headers)
    form = urlencode({"after": json.loads(keeper.getresponse().read())["cursor"]})
    keeper.close()
    request = post("/oauth/revocations", form, authorization=authorization)
    before = sum(map(_processor_seconds, server.workers()))
    run = drive(server.ports, [EachOnce(iter([request] * polls))] * 2)
    each = (sum(map(_processor_seconds, server.workers())) - before) / len(run.latencies)
    hourly = each * 2 * 3600
    return {
        "milliseconds_each": round(each * 1000, 3),
        "processor_seconds_per_process_and_hour": round(hourly, 1),
        "share_of_a_processor_for_50": round(50 * hourly / 3600, 4),
    }


def _processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def revocations(stack: ExitStack, setup: Setup, server: Server, *, number: int) -> dict[str, float]:
    """Revoke tokens under load, and measure how long after the answer any process of the API honoured each last."""
    tokens = setup.tokens(number)
    far = stack.enter_context(served(setup.far_site()))
    revoker = Keeper(server.ports[0])
    keepers = [Keeper(port) for port in far.ports]
    lags: list[float] = []
    with under_load(far.ports, setup.tokens(STEADY_TOKENS)):
        for begin in range(0, number, WATCHED_AT_ONCE):
            lags += _watched(keepers, revoker, setup, tokens[begin : begin + WATCHED_AT_ONCE])
    lags.sort()
    percentiles = {f"p{percent}": lags[min(len(lags) - 1, len(lags) * percent // 100)] for percent in (50, 99)}
    return {"revoked": len(lags), **{name: round(lag, 3) for name, lag in {**percentiles, "max": lags[-1]}.items()}}


def _watched(keepers: list[Keeper], revoker: Keeper, setup: Setup, tokens: list[str]) -> list[float]:
    """Return for each token how many seconds after the answer of its revocation the last honoured response came."""
    _send_all(keepers, tokens, twice=True)
    answered = {token: revoke(revoker, setup, token) for token in tokens}
    last = dict.fromkeys(tokens, 0.0)
    left = {(keeper, token) for keeper in keepers for token in tokens}
    while left:
        for keeper, token in sorted(left, key=lambda pair: (tokens.index(pair[1]), pair[0].port)):
            if keeper.send("GET", "/far/", authorization=f"Bearer {token}") == HTTPStatus.OK:
                last[token] = time.monotonic() - answered[token]
            else:
                left.remove((keeper, token))
    return list(last.values())


def _send_all(keepers: list[Keeper], tokens: list[str], *, twice: bool) -> None:
    for keeper in keepers:
        for token in tokens * (1 + twice):
            if (status := keeper.send("GET", "/far/", authorization=f"Bearer {token}")) != HTTPStatus.OK:
                raise SystemExit(f"A token that is active was answered with {status}.")


def revoke(keeper: Keeper, setup: Setup, token: str) -> float:
    """Revoke a token, and return when the answer was there."""
    authorization = basic(setup.client["client_id"], setup.client["client_secret"])
    status = keeper.send("POST", "/oauth/revoke", authorization=authorization, form={"token": token})
    if status != HTTPStatus.OK:
        raise SystemExit(f"A revocation was answered with {status}.")
    return time.monotonic()


@contextmanager
def under_load(ports: tuple[int, ...], tokens: list[str], *, all_are_honoured: bool = True) -> Iterator[None]:
    """Send requests on eight connections, from a process of its own, until the block ends."""
    process = Process(
        target=_load if all_are_honoured else _load_and_ignore_statuses, args=(ports, tokens), daemon=True
    )
    process.start()
    try:
        yield
        if not process.is_alive():
            raise SystemExit("A request of the load was not honoured.")
    finally:
        process.kill()
        process.join()


def _load(ports: tuple[int, ...], tokens: list[str]) -> None:
    drive(ports, [Repeated(get("/far/", authorization=f"Bearer {token}")) for token in tokens[:CONNECTIONS]])


def _load_and_ignore_statuses(ports: tuple[int, ...], tokens: list[str]) -> None:
    threads = [Thread(target=_send_on, args=pair) for pair in zip(cycle(ports), tokens[:CONNECTIONS], strict=False)]
    for thread in threads:
        thread.start()


def _send_on(port: int, token: str) -> None:
    keeper = Keeper(port)
    while True:
        keeper.send("GET", "/far/", authorization=f"Bearer {token}")


def failures(setup: Setup, kind: str, *, options: argparse.Namespace) -> int:
    """Return how many requests were honoured more than MAX_LAG after the revocation, while the server fails."""
    load = partial(under_load, all_are_honoured=False)
    return honoured_too_late(
        setup, kind, number=options.failing, max_lag=MAX_LAG, make=Setup, keep=Keeper, revoke=revoke, under_load=load
    )


def missed_targets(rounds: Rounds, results: dict[str, Any]) -> list[str]:
    missed = [
        f"{TITLES[name]}: far is {ratio:.2f} times as fast, not {times}."
        for name, times in TARGETS.items()
        if (ratio := rounds.ratio("far", name)) < times
    ]
    limits = {"p99": 1.0, "max": 2.0}
    missed += [
        f"Revocations: {name} is {results['revocations'][name]} s, more than {limit}."
        for name, limit in limits.items()
        if results["revocations"][name] > limit
    ]
    late = results["honoured_after_max_lag"]
    return missed + [f"{kind}: {number} requests were honoured too late." for kind, number in late.items() if number]


def _table(rounds: Rounds) -> str:
    header = ("request", "per second", "far is", "p50 ms", "p99 ms")
    rows: list[tuple[object, ...]] = [
        (
            TITLES[name],
            f"{rounds.per_second(name):,.0f}",
            f"{rounds.ratio('far', name):.2f} times that",
            f"{rounds.milliseconds(name, 50):.1f}",
            f"{rounds.milliseconds(name, 99):.1f}",
        )
        for name in TITLES
    ]
    return table(header, rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="for each run")
    parser.add_argument("--revocations", type=int, default=1000)
    parser.add_argument("--failing", type=int, default=20, help="tokens revoked in each kind of failure")
    parser.add_argument("--failures", nargs="*", choices=KINDS, default=KINDS)
    parser.add_argument("--polls", type=int, default=2000)
    options = parser.parse_args()
    options.database = postgresql_url(os.environ)
    return options


if __name__ == "__main__":
    sys.exit(main())
