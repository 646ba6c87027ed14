"""Real servers killed under load: the short form of ``benchmarks/faults.py``, on the kind of database under test."""

from dataclasses import replace

import pytest
from django.db import connection

from tests.faults import scenarios
from tests.faults.deployment import LONG_WINDOW_SECONDS
from tests.faults.scenarios import Plan

PLAN = Plan(
    retry_window=LONG_WINDOW_SECONDS,
    grants=16,
    rounds=3,
    threads=8,
    times=1,
    gap_seconds=0.3,
    lose_every=7,
    wait_for_errors=True,
)
STRICT_PLAN = replace(PLAN, retry_window=0)

with_server = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no server")


def test_killed_worker_costs_no_grant(deployment):
    outcome = scenarios.worker_killed(deployment, PLAN)

    assert (outcome.faults, outcome.lost, outcome.wrong) == (1, [], [])


@with_server
def test_killed_database_costs_no_grant_and_persistent_connections_recover(deployment):
    outcome = scenarios.database_killed_under_persistent_connections(deployment, PLAN)

    assert (outcome.faults, outcome.lost, outcome.wrong) == (1, [], [])
    assert outcome.answers["503"] > 0


@with_server
def test_lost_confirmation_of_a_commit_costs_no_grant(deployment):
    outcome = scenarios.commits_unconfirmed(deployment, PLAN)

    assert (outcome.lost, outcome.wrong) == ([], [])
    assert outcome.answers["503"] == outcome.faults > 0


def test_lost_answers_cost_no_grant(deployment):
    outcome = scenarios.answers_lost(deployment, PLAN)

    assert (outcome.lost, outcome.wrong) == ([], [])
    assert outcome.answers["none"] == outcome.faults > 0


@with_server
def test_commit_that_never_arrived_costs_no_grant_even_without_a_window(deployment):
    outcome = scenarios.commits_undone(deployment, STRICT_PLAN)

    assert (outcome.lost, outcome.wrong) == ([], [])
    assert outcome.answers["503"] == outcome.faults > 0


def test_without_a_window_lost_answers_cost_their_grants_and_no_other(deployment):
    outcome = scenarios.answers_lost(deployment, STRICT_PLAN)

    assert outcome.wrong == []
    assert 0 < len(outcome.lost) <= outcome.faults
    assert all("invalid_grant" in reason for reason in outcome.lost)
