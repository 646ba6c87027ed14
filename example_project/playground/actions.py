"""What the buttons do: each function lets the client do one thing, right or wrong, and returns whether it worked."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http import HTTPStatus

from example_project.playground.client import DemoClient, Pair, Refused
from example_project.playground.holding import THIEF, Holding
from example_project.wire import Exchange

NOTES = "/api/notes/"
NOTE = {"text": "Buy bread"}
LOST = "This answer was lost on its way: the client never saw it."


@dataclass(frozen=True, kw_only=True)
class Done:
    """Whether it worked, and what went over the wire."""

    worked: bool
    exchanges: list[Exchange]


def read(holding: Holding) -> Done:
    return _call(holding, holding.client(), holding.pair)


def write(holding: Holding) -> Done:
    return _call(holding, holding.client(), holding.pair, json=NOTE)


def refresh(holding: Holding, *, scope: str | None = None) -> Done:
    client = holding.client()
    pair = _refreshed(client, _refresh_token(holding.pair), scope=scope)
    if pair is not None:
        holding.take(pair)
    return Done(worked=pair is not None, exchanges=client.exchanges)


def narrow(holding: Holding) -> Done:
    return refresh(holding, scope="notes:read")


def refresh_twice(holding: Holding) -> Done:
    """Send the same refresh token from two threads, as a client does that does not wait for itself."""
    clients = [holding.client(), holding.client()]
    refresh_token = _refresh_token(holding.pair)
    with ThreadPoolExecutor() as threads:
        pairs = list(threads.map(lambda client: _refreshed(client, refresh_token), clients))
    for pair in filter(None, pairs):
        holding.take(pair)
    return Done(worked=all(pairs), exchanges=[exchange for client in clients for exchange in client.exchanges])


def lose_answer(holding: Holding) -> Done:
    """Refresh, forget the answer as if the network had lost it, and send the same once more."""
    client = holding.client()
    refresh_token = _refresh_token(holding.pair)
    if _refreshed(client, refresh_token) is None:
        return Done(worked=False, exchanges=client.exchanges)
    client.exchanges = [replace(exchange, note=LOST) for exchange in client.exchanges]
    pair = _refreshed(client, refresh_token)
    if pair is not None:
        holding.take(pair)
    return Done(worked=pair is not None, exchanges=client.exchanges)


def replay(holding: Holding) -> Done:
    client = holding.client()
    pair = _refreshed(client, holding.spent)
    if pair is not None:
        holding.pair = pair  # inside a retry window it is the very pair that the client has already
    return Done(worked=pair is not None, exchanges=client.exchanges)


def steal(holding: Holding) -> Done:
    """Let a thief, who also got at the client's secret, use the refresh token before its owner does."""
    return _thief_refreshes(holding, _refresh_token(holding.pair))


def thief_reads(holding: Holding) -> Done:
    return _call(holding, holding.client(THIEF), holding.stolen)


def thief_refreshes(holding: Holding) -> Done:
    return _thief_refreshes(holding, _refresh_token(holding.stolen))


def revoke(holding: Holding) -> Done:
    client = holding.client()
    try:
        client.revoke(_refresh_token(holding.pair))
    except Refused:
        return Done(worked=False, exchanges=client.exchanges)
    return Done(worked=True, exchanges=client.exchanges)


def _thief_refreshes(holding: Holding, refresh_token: str) -> Done:
    thief = holding.client(THIEF)
    pair = _refreshed(thief, refresh_token)
    if pair is not None:
        holding.stolen = pair
    return Done(worked=pair is not None, exchanges=thief.exchanges)


def _refreshed(client: DemoClient, refresh_token: str, *, scope: str | None = None) -> Pair | None:
    try:
        return client.refresh(refresh_token, scope=scope)
    except Refused:
        return None


def _call(holding: Holding, client: DemoClient, pair: Pair | None, *, json: dict[str, str] | None = None) -> Done:
    access_token = pair["access_token"] if pair else ""
    status = client.call(holding.server["issuer"] + NOTES, access_token=access_token, json=json)
    return Done(worked=status < HTTPStatus.BAD_REQUEST, exchanges=client.exchanges)


def _refresh_token(pair: Pair | None) -> str:
    return str(pair["refresh_token"]) if pair else ""


Action = Callable[[Holding], Done]
