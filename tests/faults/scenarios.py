"""Failures that happen while many grants are refreshed, and the count of the grants lost to them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from tests.faults.clients import GoodClient, HeldGrant, Tally, run_under_load
from tests.faults.deployment import PROTECTED, Deployment
from tests.faults.processes import Process
from tests.faults.proxies import AnswerLoser, CommitBreaker
from tests.faults.servers import Redis
from tests.waiting import wait_until

DOWN_SECONDS = 1
PERSISTENT = "?conn_max_age=600&conn_health_checks=true"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much load, of which each of ``threads`` has its share; ``times``: how often something fails."""

    retry_window: int
    grants: int
    rounds: int
    threads: int
    times: int
    gap_seconds: float = 1.0
    lose_every: int = 20
    """Of how many answers or commits a proxy loses one."""
    wait_for_errors: bool = False
    """Whether a database that was killed stays down until a client was answered 503."""


@dataclass(kw_only=True)
class Outcome:
    """What happened. ``faults`` counts the failures, ``lost`` says why for each lost grant, ``wrong`` must be empty."""

    faults: int
    seconds: float
    grants: int
    refreshes: int
    answers: dict[str, int]
    slowest_seconds: float
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def worker_killed(deployment: Deployment, plan: Plan) -> Outcome:
    """``kill -9`` of a worker process of gunicorn."""
    site = deployment.serve()

    def disturb(tally: Tally) -> int:
        for number in range(plan.times):
            time.sleep(plan.gap_seconds)
            site.kill_child(number)
        return plan.times

    return measure(deployment, plan, site=site, disturb=disturb)


def database_killed(deployment: Deployment, plan: Plan) -> Outcome:
    """``kill -9`` of the whole database server; each request opens a connection of its own."""
    return _kill_database(deployment, plan, options="")


def database_killed_under_persistent_connections(deployment: Deployment, plan: Plan) -> Outcome:
    """``kill -9`` of the whole database server; connections persist, are checked before each request, and statements
    are prepared.
    """
    return _kill_database(deployment, plan, options=PERSISTENT, DATABASE_PREPARED="True")


def database_killed_under_a_pool(deployment: Deployment, plan: Plan) -> Outcome:
    """``kill -9`` of the whole database server; psycopg pools the connections."""
    return _kill_database(deployment, plan, options="", DATABASE_POOL="True")


def _kill_database(deployment: Deployment, plan: Plan, *, options: str, **environment: str) -> Outcome:
    site, server = deployment.serve(url=deployment.database.url(options=options), **environment), deployment.database
    assert isinstance(server, Process)

    def disturb(tally: Tally) -> int:
        for _number in range(plan.times):
            time.sleep(plan.gap_seconds)
            failed = tally.answers["503"]
            server.kill()
            time.sleep(DOWN_SECONDS)
            if plan.wait_for_errors:
                wait_until(lambda: tally.answers["503"] > failed)  # noqa: B023  it is called at once
            server.start()
        return plan.times

    return measure(deployment, plan, site=site, disturb=disturb)


def answers_lost(deployment: Deployment, plan: Plan) -> Outcome:
    """One answer in ``lose_every`` is lost on its way, after everything was committed."""
    site = deployment.serve()
    with AnswerLoser(site.port, lose_every=plan.lose_every).running() as proxy:
        return measure(deployment, plan, site=site, port=proxy.port, mend=proxy.mend)


def commits_undone(deployment: Deployment, plan: Plan) -> Outcome:
    """The connection to the database breaks at one COMMIT in ``lose_every``, before it arrives."""
    return _break_commits(deployment, plan, carried_out=False)


def commits_unconfirmed(deployment: Deployment, plan: Plan) -> Outcome:
    """The connection to the database breaks at one COMMIT in ``lose_every``, after it was carried out."""
    return _break_commits(deployment, plan, carried_out=True)


def _break_commits(deployment: Deployment, plan: Plan, *, carried_out: bool) -> Outcome:
    server = deployment.database
    assert isinstance(server, Process)
    with CommitBreaker(server.port, lose_every=plan.lose_every, carried_out=carried_out).running() as proxy:
        site = deployment.serve(url=server.url(port=proxy.port, options=PERSISTENT))
        return measure(deployment, plan, site=site, mend=proxy.mend)


def cache_killed(deployment: Deployment, plan: Plan) -> Outcome:
    """``kill -9`` of Redis, which counts the failures of clients."""
    return _break_cache(deployment, plan, end=Redis.kill, begin=Redis.start)


def cache_hung(deployment: Deployment, plan: Plan) -> Outcome:
    """Redis takes connections and does not answer; the site waits for it no longer than half a second."""
    timeouts = "?socket_timeout=0.5&socket_connect_timeout=0.5"
    return _break_cache(deployment, plan, end=Redis.pause, begin=Redis.resume, options=timeouts)


def _break_cache(
    deployment: Deployment,
    plan: Plan,
    *,
    end: Callable[[Redis], None],
    begin: Callable[[Redis], None],
    options: str = "",
) -> Outcome:
    cache = Redis(deployment.folder)
    cache.start()

    def disturb(tally: Tally) -> int:
        for _number in range(plan.times):
            time.sleep(plan.gap_seconds)
            end(cache)
            time.sleep(DOWN_SECONDS)
            begin(cache)
        return plan.times

    try:
        site = deployment.serve(CACHE_URL=cache.url + options)
        return measure(deployment, plan, site=site, disturb=disturb)
    finally:
        cache.kill()


def measure(
    deployment: Deployment,
    plan: Plan,
    *,
    site: Process,
    port: int | None = None,
    disturb: Callable[[Tally], int] = lambda tally: 0,
    mend: Callable[[], int] = lambda: 0,
    proxied: bool = False,
) -> Outcome:
    """Refresh grants while ``disturb`` makes something fail, check every grant afterwards, and return the counts.

    The clients send to ``port``, or to the ``site`` itself. ``mend`` ends a failure that would continue. Both return
    how often something failed. ``proxied`` as in GoodClient.
    """
    grants, broken = deployment.start_grants(plan.grants, retry_window=plan.retry_window), []
    client = GoodClient(port or site.port, proxied=proxied)
    seconds = run_under_load(
        client,
        grants,
        rounds=plan.rounds,
        threads=plan.threads,
        disturb=lambda tally: broken.append(disturb(tally)),
    )
    outcome = Outcome(
        faults=sum(broken) + mend(),
        seconds=seconds,
        grants=len(grants),
        refreshes=sum(held.refreshes for held in grants),
        answers=dict(sorted(client.tally.answers.items())),
        slowest_seconds=client.tally.slowest_seconds,
    )
    outcome.wrong += client.tally.wrong + inspect(deployment, site, grants)
    outcome.lost += [held.lost for held in grants if held.lost is not None]
    return outcome


def inspect(deployment: Deployment, site: Process, grants: list[HeldGrant]) -> list[str]:
    """Use both tokens of every grant that is not lost, and return what is wrong.

    Each refresh that a client received the answer to must have advanced the grant by one generation, and nothing else.
    """
    kept = [held for held in grants if held.lost is None]
    client = GoodClient(site.port)
    answers = {held.grant: client.get(PROTECTED, bearer=held.access_token) for held in kept}
    for held in kept:
        client.refresh(held)
    generations = generations_of(deployment)
    return [
        *(f"The API refused the newest access token of {grant}: {one}" for grant, one in answers.items() if one != 200),
        *(
            f"Grant {held.grant} is of generation {generations[held.grant]} after {held.refreshes} refreshes."
            for held in kept
            if held.lost is None and generations[held.grant] != held.refreshes + 1
        ),
        *client.tally.wrong,
    ]


def generations_of(deployment: Deployment) -> dict[str, int]:
    """Return the generation of every grant, as the database has it."""
    rows = deployment.database.query("SELECT public_id, generation FROM oauth_refresh_grant").split("\n")
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
"""By name, the kinds of database that each can happen with."""
