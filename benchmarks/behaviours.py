"""What a server answers in a race, when a revocation comes at the same time as a refresh, and after a lost answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from benchmarks.load import Answer
from benchmarks.peer_sites import Served

SIBLINGS = 8


@dataclass(kw_only=True)
class Tally:
    """What came of the rounds of one behaviour."""

    rounds: int = 0
    refreshes: int = 0
    """Refreshes that are counted: in a lost answer, only the second one."""
    answered: int = 0
    """Those that were answered with 200."""
    pairs: int = 0
    """Different refresh tokens that were issued, summed over the rounds."""
    usable: int = 0
    """Those that were accepted after the round."""
    other_statuses: list[int] = field(default_factory=list)
    """All but 200, 400 and 401."""

    def add(self, *, counted: list[Answer], issued: list[Answer], server: Served) -> None:
        """Count the answers of a round, and present every refresh token that was issued in it."""
        self.rounds += 1
        self.refreshes += len(counted)
        self.answered += sum(answer.status == HTTPStatus.OK for answer in counted)
        known = {HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}
        self.other_statuses += [answer.status for answer in issued if answer.status not in known]
        pairs = {json.loads(answer.body)["refresh_token"] for answer in issued if answer.status == HTTPStatus.OK}
        self.pairs += len(pairs)
        self.usable += sum(is_accepted(server, token) for token in pairs)

    def figures(self) -> dict[str, int]:
        return {
            "rounds": self.rounds,
            "refreshes": self.refreshes,
            "answered": self.answered,
            "pairs": self.pairs,
            "usable": self.usable,
            "other_statuses": len(self.other_statuses),
        }


Behaviour = Callable[[Served, list[str]], Tally]


def race(server: Served, tokens: list[str]) -> Tally:
    """Present each token in eight requests at once."""
    tally = Tally()
    for token in tokens:
        answers = server.send(*[server.refresh(token)] * SIBLINGS)
        tally.add(counted=answers, issued=answers, server=server)
    return tally


def revoke_while_refreshing(server: Served, tokens: list[str]) -> Tally:
    """Refresh and revoke each token at once, in both orders of sending."""
    tally = Tally()
    for number, token in enumerate(tokens):
        requests = [server.refresh(token), server.revoke(token)]
        if number % 2:
            revoked, refreshed = server.send(*reversed(requests))
        else:
            refreshed, revoked = server.send(*requests)
        if revoked.status != HTTPStatus.OK:
            raise SystemExit(f"The revocation was answered with {revoked.status}: {revoked.body!r}")
        tally.add(counted=[refreshed], issued=[refreshed], server=server)
    return tally


def lost_answer(server: Served, tokens: list[str]) -> Tally:
    """Refresh with each token, throw the answer away, and send the request again, as a client does that got none."""
    tally = Tally()
    for token in tokens:
        [lost] = server.send(server.refresh(token))
        if lost.status != HTTPStatus.OK:
            raise SystemExit(f"The refresh was answered with {lost.status}: {lost.body!r}")
        [again] = server.send(server.refresh(token))
        tally.add(counted=[again], issued=[lost, again], server=server)
    return tally


def is_accepted(server: Served, token: str) -> bool:
    [answer] = server.send(server.refresh(token))
    return answer.status == HTTPStatus.OK


BEHAVIOURS: dict[str, Behaviour] = {
    f"{SIBLINGS} requests at once with one refresh token": race,
    "a refresh and a revocation at once": revoke_while_refreshing,
    "the answer is lost, and the request is sent again": lost_answer,
}


def broken_rules(window: int, behaviour: Behaviour, tally: Tally) -> list[str]:
    """Return what our server must not have done. ``window`` is its retry window."""
    answers = {
        race: tally.refreshes if window else tally.rounds,
        lost_answer: tally.refreshes if window else 0,
    }
    rules = {
        "a status other than 200, 400 and 401": bool(tally.other_statuses),
        "more than one pair in a round": tally.pairs > tally.rounds,
        "a pair that was usable after a revocation": behaviour is revoke_while_refreshing and tally.usable > 0,
        "another number of answers than its rules say": tally.answered != answers.get(behaviour, tally.answered),
        "a pair that was lost": behaviour is not revoke_while_refreshing and window > 0 and tally.usable < tally.rounds,
    }
    return [rule for rule, is_broken in rules.items() if is_broken]
