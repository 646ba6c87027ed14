"""A flaky network, simulated: answers get lost by chance, and clients ask again. No socket, no sleep, one process."""

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
    sessions: int
    refreshes: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Losses:
    """What became of the sessions. ``answers`` counts what was sent, whether or not it arrived."""

    sessions: int
    lost: int
    requests: int
    answers: dict[int, int]


def simulate(network: Network, *, begin_session: Callable[[], OAuthClient]) -> Losses:
    """Refresh each session as often as planned, or until it is lost. Requests always arrive; answers may not.

    A lost request would change nothing: it leaves the token unspent, and the client asks again.
    """
    chance, answers, lost = random.Random(network.seed), Counter[int](), 0  # noqa: S311  a simulation
    for _session in range(network.sessions):
        client = begin_session()
        for _refresh in range(network.refreshes):
            if not _refresh_at_last(client, loss=network.loss, chance=chance, answers=answers):
                lost += 1
                break
    return Losses(sessions=network.sessions, lost=lost, requests=answers.total(), answers=dict(answers))


def _refresh_at_last(client: OAuthClient, *, loss: float, chance: random.Random, answers: Counter[int]) -> bool:
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
    """Return how many sessions should be lost where a lost answer may be asked for again ``retries`` times.

    A refresh fails if its answer and those of all its retries are lost, so with probability loss^(1 + retries); a
    session, if one of its refreshes does.
    """
    fatal = network.loss ** (1 + retries)
    return network.sessions * (1 - (1 - fatal) ** network.refreshes)


def deviation(network: Network, *, retries: int) -> float:
    """Return the standard deviation of the number of lost sessions, which is binomial."""
    share = expected_losses(network, retries=retries) / network.sessions
    return (network.sessions * share * (1 - share)) ** 0.5
