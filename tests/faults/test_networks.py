"""The short form of ``benchmarks/flaky_networks.py``: what is lost on the way, and what the window gives back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.faults.networks import Network, deviation, expected_losses, simulate
from tests.oauth import OAuthClient

NETWORK = Network(loss=0.2, grants=20, refreshes=5, seed=1)
WINDOW = timedelta(seconds=30)


@pytest.fixture
def start_grant(public_application, user):
    return lambda: OAuthClient(public_application).start(user=user)


@pytest.mark.django_db
def test_without_a_window_the_first_lost_answer_loses_the_grant(start_grant):
    losses = simulate(NETWORK, start_grant=start_grant)

    expected = expected_losses(NETWORK, retries=0)
    assert losses.lost == pytest.approx(expected, abs=4 * deviation(NETWORK, retries=0))
    assert losses.answers[400] >= losses.lost > 0


@pytest.mark.django_db
def test_window_loses_no_grant_to_a_network_that_loses_every_fifth_answer(start_grant, public_application):
    public_application.retry_window = WINDOW
    public_application.save()

    losses = simulate(NETWORK, start_grant=start_grant)

    assert (losses.lost, set(losses.answers)) == (0, {200})
    assert losses.requests > NETWORK.grants * NETWORK.refreshes


@pytest.mark.django_db
def test_without_a_window_siblings_lose_every_grant_at_once(start_grant):
    losses = simulate(replace(NETWORK, siblings=4), start_grant=start_grant)

    assert losses.lost == NETWORK.grants == expected_losses(replace(NETWORK, siblings=4), retries=0)


@pytest.mark.django_db
def test_window_loses_no_grant_of_four_siblings_in_a_flaky_network(start_grant, public_application):
    public_application.retry_window = WINDOW
    public_application.save()

    losses = simulate(replace(NETWORK, siblings=4), start_grant=start_grant)

    assert (losses.lost, set(losses.answers)) == (0, {200})
    assert losses.requests > NETWORK.grants * NETWORK.refreshes * 4


@pytest.mark.parametrize(
    ("loss", "retries", "expected"), [(0.5, 0, 1 - 0.5**2), (0.5, 1, 1 - 0.75**2), (0.1, 3, 1 - 0.9999**2)]
)
def test_expectation_is_that_of_independent_losses(loss, retries, expected):
    network = Network(loss=loss, grants=1, refreshes=2, seed=1)

    assert expected_losses(network, retries=retries) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("siblings", "retries", "expected"), [(2, 0, 1), (2, 1, 1 - 0.25**2), (2, 2, 1 - 0.5**2), (3, 2, 1 - 0.125**2)]
)
def test_expectation_for_siblings_counts_the_requests_that_all_of_them_need(siblings, retries, expected):
    network = Network(loss=0.5, grants=1, refreshes=2, seed=1, siblings=siblings)

    assert expected_losses(network, retries=retries) == pytest.approx(expected)
