"""A flaky network, simulated in one process: answers are lost by chance, and clients repeat their requests."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import comb

from tests.oauth import OAuthClient

MOST_ATTEMPTS = 50


@dataclass(frozen=True, kw_only=True)
class Network:
    """``loss`` is the probability that an answer does not arrive, each by itself; ``seed`` makes it repeatable.

    ``siblings`` processes share a grant. Each keeps a copy of its refresh token, and all refresh at the same time.
    """

    loss: float
    grants: int
    refreshes: int
    seed: int
    siblings: int = 1


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
        copies = [client.refresh_token] * network.siblings
        for _refresh in range(network.refreshes):
            if not _refresh_copies(client, copies, loss=network.loss, chance=chance, answers=answers):
                lost += 1
                break
    return Losses(grants=network.grants, lost=lost, requests=answers.total(), answers=dict(answers))


def _refresh_copies(
    client: OAuthClient, copies: list[str], *, loss: float, chance: random.Random, answers: Counter[int]
) -> bool:
    """Let each sibling repeat its request until an answer arrives, in a random order; return whether all got a pair."""
    waiting = list(range(len(copies)))
    for _attempt in range(MOST_ATTEMPTS * len(copies)):
        sibling = chance.choice(waiting)
        response = client.refresh(copies[sibling])
        answers[response.status_code] += 1
        if chance.random() < loss:
            continue
        if response.status_code != 200:
            return False
        copies[sibling] = response.json()["refresh_token"]
        waiting.remove(sibling)
        if not waiting:
            return True
    raise AssertionError("The network is down, not flaky.")


def expected_losses(network: Network, *, retries: int) -> float:
    """Return how many grants should be lost where the response may be repeated ``retries`` times.

    A refresh needs an answer that arrives for each sibling. It fails if that takes more requests than the first one and
    its repetitions; a grant is lost if one of its refreshes fails.
    """
    siblings, spare = network.siblings, max(0, retries + 2 - network.siblings)
    succeeds = sum(  # negative binomial: ``lost`` answers do not arrive before the last sibling has one
        comb(lost + siblings - 1, lost) * network.loss**lost * (1 - network.loss) ** siblings for lost in range(spare)
    )
    return network.grants * max(0.0, 1 - succeeds**network.refreshes)


def deviation(network: Network, *, retries: int) -> float:
    """Return the standard deviation of the number of lost grants, which is binomial."""
    share = expected_losses(network, retries=retries) / network.grants
    return (network.grants * share * (1 - share)) ** 0.5
