"""Faults that come while many sessions are refreshed, and the count of the sessions that they cost."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from tests.faults.clients import GoodClient, Session, run_under_load
from tests.faults.processes import Process
from tests.faults.proxies import AnswerLoser, CommitBreaker
from tests.faults.servers import Redis
from tests.faults.stage import PROTECTED, Stage

DOWN_SECONDS = 1
PERSISTENT = "?conn_max_age=600&conn_health_checks=true"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of it: each of ``threads`` refreshes its share of the sessions, and ``times`` something breaks."""

    retry_window: int
    sessions: int
    rounds: int
    threads: int
    times: int
    gap_seconds: float = 1.0
    lose_every: int = 20
    """Where a proxy loses things: each how many-th."""


@dataclass(kw_only=True)
class Outcome:
    """What a fault did. ``faults`` counts it, ``lost`` holds why for each lost session, ``wrong`` must be empty."""

    faults: int
    seconds: float
    sessions: int
    refreshes: int
    answers: dict[str, int]
    slowest_seconds: float
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def worker_killed(here: Stage, plan: Plan) -> Outcome:
    """``kill -9`` of a worker process of gunicorn."""
    site = here.serve()

    def disturb() -> int:
        for number in range(plan.times):
            time.sleep(plan.gap_seconds)
            site.kill_child(number)
        return plan.times

    return measure(here, plan, site=site, disturb=disturb)


def database_killed(here: Stage, plan: Plan) -> Outcome:
    """``kill -9`` of the whole database server; each request opens a connection of its own."""
    return _kill_database(here, plan, options="")


def database_killed_under_persistent_connections(here: Stage, plan: Plan) -> Outcome:
    """``kill -9`` of the whole database server; connections persist, are looked at before each request, and
    keep prepared statements where there are any.
    """
    return _kill_database(here, plan, options=PERSISTENT, DATABASE_PREPARED="True")


def database_killed_under_a_pool(here: Stage, plan: Plan) -> Outcome:
    """``kill -9`` of the whole database server; psycopg pools the connections."""
    return _kill_database(here, plan, options="", DATABASE_POOL="True")


def _kill_database(here: Stage, plan: Plan, *, options: str, **environment: str) -> Outcome:
    site, server = here.serve(url=here.database.url(options=options), **environment), here.database
    assert isinstance(server, Process)

    def disturb() -> int:
        for _number in range(plan.times):
            time.sleep(plan.gap_seconds)
            server.kill()
            time.sleep(DOWN_SECONDS)
            server.start()
        return plan.times

    return measure(here, plan, site=site, disturb=disturb)


def answers_lost(here: Stage, plan: Plan) -> Outcome:
    """The answer of every so many-th request is lost on its way, after everything was committed."""
    site = here.serve()
    with AnswerLoser(site.port, lose_every=plan.lose_every).running() as proxy:
        return measure(here, plan, site=site, port=proxy.port, mend=proxy.mend)


def commits_undone(here: Stage, plan: Plan) -> Outcome:
    """The connection to the database breaks at every so many-th COMMIT, before it arrives."""
    return _break_commits(here, plan, carried_out=False)


def commits_unconfirmed(here: Stage, plan: Plan) -> Outcome:
    """The connection to the database breaks at every so many-th COMMIT, after it was carried out."""
    return _break_commits(here, plan, carried_out=True)


def _break_commits(here: Stage, plan: Plan, *, carried_out: bool) -> Outcome:
    server = here.database
    assert isinstance(server, Process)
    with CommitBreaker(server.port, lose_every=plan.lose_every, carried_out=carried_out).running() as proxy:
        site = here.serve(url=server.url(port=proxy.port, options=PERSISTENT))
        return measure(here, plan, site=site, mend=proxy.mend)


def cache_killed(here: Stage, plan: Plan) -> Outcome:
    """``kill -9`` of Redis, which counts the failures of clients."""
    return _break_cache(here, plan, end=Redis.kill, begin=Redis.start)


def cache_hung(here: Stage, plan: Plan) -> Outcome:
    """Redis takes connections and does not answer; the site waits for it no longer than half a second."""
    timeouts = "?socket_timeout=0.5&socket_connect_timeout=0.5"
    return _break_cache(here, plan, end=Redis.pause, begin=Redis.resume, options=timeouts)


def _break_cache(
    here: Stage, plan: Plan, *, end: Callable[[Redis], None], begin: Callable[[Redis], None], options: str = ""
) -> Outcome:
    cache = Redis(here.folder)
    cache.start()

    def disturb() -> int:
        for _number in range(plan.times):
            time.sleep(plan.gap_seconds)
            end(cache)
            time.sleep(DOWN_SECONDS)
            begin(cache)
        return plan.times

    try:
        site = here.serve(CACHE_URL=cache.url + options)
        return measure(here, plan, site=site, disturb=disturb)
    finally:
        cache.kill()


def measure(
    here: Stage,
    plan: Plan,
    *,
    site: Process,
    port: int | None = None,
    disturb: Callable[[], int] = lambda: 0,
    mend: Callable[[], int] = lambda: 0,
    proxied: bool = False,
) -> Outcome:
    """Let it break under load, look at every session afterwards, and take stock.

    The clients ask at ``port``, or at the ``site`` itself. ``disturb`` breaks things during the load; ``mend`` ends
    what goes on breaking. Both return how often. ``proxied`` as in GoodClient.
    """
    sessions, broken = here.begin_sessions(plan.sessions, retry_window=plan.retry_window), []
    client = GoodClient(port or site.port, proxied=proxied)
    seconds = run_under_load(
        client,
        sessions,
        rounds=plan.rounds,
        threads=plan.threads,
        disturb=lambda: broken.append(disturb()),
    )
    outcome = Outcome(
        faults=sum(broken) + mend(),
        seconds=seconds,
        sessions=len(sessions),
        refreshes=sum(session.refreshes for session in sessions),
        answers=dict(sorted(client.tally.answers.items())),
        slowest_seconds=client.tally.slowest_seconds,
    )
    outcome.wrong += client.tally.wrong + inspect(here, site, sessions)
    outcome.lost += [session.lost for session in sessions if session.lost is not None]
    return outcome


def inspect(here: Stage, site: Process, sessions: list[Session]) -> list[str]:
    """Use both tokens of every session that is not lost, and return what is not as it must be.

    Each refresh that a client got its answer to must have moved the grant by one generation, and nothing else has.
    """
    kept = [session for session in sessions if session.lost is None]
    client = GoodClient(site.port)
    answers = {session.grant: client.get(PROTECTED, bearer=session.access_token) for session in kept}
    for session in kept:
        client.refresh(session)
    generations = generations_of(here)
    return [
        *(f"The API refused the newest access token of {grant}: {one}" for grant, one in answers.items() if one != 200),
        *(
            f"Grant {session.grant} is of generation {generations[session.grant]} after {session.refreshes} refreshes."
            for session in kept
            if session.lost is None and generations[session.grant] != session.refreshes + 1
        ),
        *client.tally.wrong,
    ]


def generations_of(here: Stage) -> dict[str, int]:
    """Return the generation of every grant, as the database has it."""
    rows = here.database.query("SELECT public_id, generation FROM oauth_refresh_grant").split("\n")
    pairs = (row.replace("\t", "|").split("|") for row in rows if row)
    return {str(UUID(public_id)): int(generation) for public_id, generation in pairs}


SCENARIOS: dict[str, tuple[str, ...]] = {
    "worker_killed": ("postgresql", "mysql", "sqlite"),
    "database_killed": ("postgresql", "mysql"),
    "database_killed_under_persistent_connections": ("postgresql", "mysql"),
    "database_killed_under_a_pool": ("postgresql",),
    "answers_lost": ("postgresql", "mysql", "sqlite"),
    "commits_undone": ("postgresql", "mysql"),
    "commits_unconfirmed": ("postgresql", "mysql"),
    "cache_killed": ("postgresql",),
    "cache_hung": ("postgresql",),
}
"""Each with the kinds of database that it makes sense for."""
