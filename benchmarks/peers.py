"""What does a refresh cost, compared with other OAuth 2.0 servers for Django, and what does ours do in a race?

See README.md.
"""

import argparse
import json
import os
import sys
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it is run as a file

from benchmarks.behaviours import BEHAVIOURS, Tally, broken_rules
from benchmarks.machine import described, postgresql_url
from benchmarks.peer_sites import OURS_STRICT, OURS_WINDOW, SERVERS, Ours, Peer, Served
from benchmarks.rounds import Rounds, interleaved, table
from benchmarks.server import THREADS, WORKERS

CONNECTIONS = (1, 8)
COST = (
    "server",
    "client secret stored",
    "connections",
    "per second",
    "this package is",
    "p50 ms",
    "p99 ms",
    "requests",
)
BEHAVIOUR = (
    "server",
    "what happens",
    "rounds",
    "refreshes",
    "answered with 200",
    "pairs",
    "usable afterwards",
    "other",
)


def main() -> int:
    options = _options()
    chosen = {name: server for name, server in SERVERS.items() if name == "ours" or name in options.servers}
    installed = {package: v for server in chosen.values() for package, v in server.versions().items()}
    machine = described(options.database)
    measured = _costs(options, chosen)
    tallies, broken = _behaviours(options)
    results = {
        "machine": machine,
        "gunicorn": f"{WORKERS}, each with one worker of {THREADS} threads",
        "packages": installed,
        "prepared_statements": not options.unprepared,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "connections": {
            str(connections): {name: rounds.figures(name, beside="ours") for name in rounds.runs}
            for connections, rounds in measured.items()
        },
        "behaviours": [
            {"server": server.title, "behaviour": name} | tally.figures() for server, name, tally in tallies
        ],
    }
    sys.stdout.write(f"{json.dumps(results, indent=2)}\n\n")
    sys.stdout.write(f"{cost_table(measured)}\n\n{behaviour_table(tallies)}\n\n")
    sys.stdout.write("\n".join([*(broken or ["No rule was broken."]), ""]))
    return len(broken)


def cost_table(measured: dict[int, Rounds]) -> str:
    rows = [
        (
            SERVERS[name].title,
            SERVERS[name].client_secret,
            connections,
            f"{rounds.per_second(name):,.0f}",
            "" if name == "ours" else f"{rounds.ratio('ours', name):.2f} times that",
            f"{rounds.milliseconds(name, 50):,.1f}",
            f"{rounds.milliseconds(name, 99):,.1f}",
            f"{sum(len(run.latencies) for run in runs):,}",
        )
        for connections, rounds in measured.items()
        for name, runs in rounds.runs.items()
    ]
    return table(COST, rows)


def behaviour_table(tallies: list[tuple[Ours | Peer, str, Tally]]) -> str:
    rows = [
        (server.title, name, *(f"{number:,}" for number in tally.figures().values())) for server, name, tally in tallies
    ]
    return table(BEHAVIOUR, rows)


def _costs(options: argparse.Namespace, chosen: dict[str, Ours | Peer]) -> dict[int, Rounds]:
    """Serve all of them at once, and let them refresh in turn."""
    prepared = str(not options.unprepared)
    with ExitStack() as stack:
        running = {
            name: server.start(stack, options.database, grants=max(options.connections) + 1, DATABASE_PREPARED=prepared)
            for name, server in chosen.items()
        }
        for name, server in running.items():
            _check_that_it_rotates(name, server)
        return {
            connections: interleaved(
                {name: partial(server.drive, connections, options.seconds) for name, server in running.items()},
                rounds=options.rounds,
            )
            for connections in options.connections
        }


def _check_that_it_rotates(name: str, server: Served) -> None:
    """Refresh once with the last token, which ``drive`` does not use."""
    [answer] = server.send(server.refresh(server.refresh_tokens[-1]))
    is_rotated = answer.status == HTTPStatus.OK and json.loads(answer.body).get("refresh_token") not in {
        None,
        server.refresh_tokens[-1],
    }
    if not is_rotated:
        raise SystemExit(f"{name} answers a refresh with {answer.status}, without a new refresh token.")


def _behaviours(options: argparse.Namespace) -> tuple[list[tuple[Ours | Peer, str, Tally]], list[str]]:
    """Return what came of each behaviour, and the rules that ours broke."""
    tallies: list[tuple[Ours | Peer, str, Tally]] = []
    broken: list[str] = []
    for server in (OURS_STRICT, OURS_WINDOW, *(SERVERS[name] for name in options.behaviours_of)):
        with ExitStack() as stack:
            running = server.start(stack, options.database, grants=options.behaviour_rounds * len(BEHAVIOURS))
            for number, (name, behave) in enumerate(BEHAVIOURS.items()):
                tally = behave(running, running.refresh_tokens[number :: len(BEHAVIOURS)])
                tallies.append((server, name, tally))
                if isinstance(server, Ours):
                    broken += [f"{server.title}, {name}: {rule}" for rule in broken_rules(server.window, behave, tally)]
    return tallies, broken


def _options() -> argparse.Namespace:
    peers = [name for name in SERVERS if name != "ours"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", choices=peers, default=peers, help="which to compare with ours")
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="for each run")
    parser.add_argument("--unprepared", action="store_true", help="no prepared statements, which is Django's default")
    parser.add_argument("--behaviour-rounds", type=int, default=100)
    parser.add_argument(
        "--behaviours-of", nargs="+", choices=peers, default=[], help="servers whose behaviour is looked at beside ours"
    )
    options = parser.parse_args()
    options.database = postgresql_url(os.environ)
    return options


if __name__ == "__main__":
    sys.exit(main())
