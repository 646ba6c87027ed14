"""Real servers killed under load: the short form of ``benchmarks/faults.py``, on the kind of database under test."""

from dataclasses import replace

import pytest
from django.db import connection

from tests.faults import scenarios
from tests.faults.scenarios import Plan
from tests.faults.stage import WINDOW_SECONDS

PLAN = Plan(retry_window=WINDOW_SECONDS, sessions=16, rounds=3, threads=8, times=1, gap_seconds=0.3, lose_every=7)
STRICT_PLAN = replace(PLAN, retry_window=0)

with_server = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no server")


def test_killed_worker_costs_no_session(here):
    outcome = scenarios.worker_killed(here, PLAN)

    assert (outcome.faults, outcome.lost, outcome.wrong) == (1, [], [])


@with_server
def test_killed_database_costs_no_session_and_persistent_connections_recover(here):
    outcome = scenarios.database_killed_under_persistent_connections(here, PLAN)

    assert (outcome.faults, outcome.lost, outcome.wrong) == (1, [], [])
    assert outcome.answers["503"] > 0


@with_server
def test_lost_confirmation_of_a_commit_costs_no_session(here):
    outcome = scenarios.commits_unconfirmed(here, PLAN)

    assert (outcome.lost, outcome.wrong) == ([], [])
    assert outcome.answers["503"] == outcome.faults > 0


def test_lost_answers_cost_no_session(here):
    outcome = scenarios.answers_lost(here, PLAN)

    assert (outcome.lost, outcome.wrong) == ([], [])
    assert outcome.answers["none"] == outcome.faults > 0


@with_server
def test_commit_that_never_arrived_costs_no_session_even_without_a_window(here):
    outcome = scenarios.commits_undone(here, STRICT_PLAN)

    assert (outcome.lost, outcome.wrong) == ([], [])
    assert outcome.answers["503"] == outcome.faults > 0


def test_without_a_window_lost_answers_cost_their_sessions_and_no_other(here):
    outcome = scenarios.answers_lost(here, STRICT_PLAN)

    assert outcome.wrong == []
    assert 0 < len(outcome.lost) <= outcome.faults
    assert all("invalid_grant" in reason for reason in outcome.lost)
