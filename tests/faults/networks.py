"""A flaky network, simulated in one process: answers are lost by chance, and clients repeat their requests."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.oauth import OAuthClient

MOST_ATTEMPTS = 50


@dataclass(frozen=True, kw_only=True)
class Network:
    """``loss`` is the probability that an answer does not arrive, each by itself; ``seed`` makes it repeatable."""

    loss: float
    grants: int
    refreshes: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Losses:
    """How many grants were lost. ``answers`` counts what was sent, whether or not it arrived."""

    grants: int
    lost: int
    requests: int
    answers: dict[int, int]


def simulate(network: Network, *, start_grant: Callable[[], OAuthClient]) -> Losses:
    """Refresh each grant as often as planned, or until it is lost. Requests always arrive; answers may not.

    A lost request would change nothing: it leaves the token unspent, and the client repeats the request.
    """
    chance, answers, lost = random.Random(network.seed), Counter[int](), 0  # noqa: S311  a simulation
    for _grant in range(network.grants):
        client = start_grant()
        for _refresh in range(network.refreshes):
            if not _refresh_until_answered(client, loss=network.loss, chance=chance, answers=answers):
                lost += 1
                break
    return Losses(grants=network.grants, lost=lost, requests=answers.total(), answers=dict(answers))


def _refresh_until_answered(client: OAuthClient, *, loss: float, chance: random.Random, answers: Counter[int]) -> bool:
    """Send the same request until an answer arrives; return whether it brought a pair."""
    for _attempt in range(MOST_ATTEMPTS):
        response: Any = client.refresh()
        answers[response.status_code] += 1
        if chance.random() < loss:
            continue
        if response.status_code != 200:
            return False
        client.refresh_token = response.json()["refresh_token"]
        return True
    raise AssertionError("The network is down, not flaky.")


def expected_losses(network: Network, *, retries: int) -> float:
    """Return how many grants should be lost where the response may be repeated ``retries`` times.

    A refresh fails if its answer and those of all its retries are lost, so with probability loss^(1 + retries); a
    grant, if one of its refreshes does.
    """
    fatal = network.loss ** (1 + retries)
    return network.grants * (1 - (1 - fatal) ** network.refreshes)


def deviation(network: Network, *, retries: int) -> float:
    """Return the standard deviation of the number of lost grants, which is binomial."""
    share = expected_losses(network, retries=retries) / network.grants
    return (network.grants * share * (1 - share)) ** 0.5
