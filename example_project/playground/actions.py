"""The actions of the buttons: each sends requests, stores new tokens, and returns whether it succeeded."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from example_project.http_log import Exchange
from example_project.playground.client import DemoClient, Refused, TokenPair
from example_project.playground.client_state import THIEF_AGENT, ClientState

NOTES = "/api/notes/"
NOTE = {"text": "Buy bread"}
MCP = "/mcp"
TOOL_CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_notes"}}
LOST = "This response was lost: the client did not receive it."


@dataclass(frozen=True, kw_only=True)
class Result:
    """``outcome`` selects the caption if the action knows it. ``delays``: milliseconds until each API refused."""

    succeeded: bool
    exchanges: list[Exchange]
    outcome: str = ""
    delays: dict[str, int | None] = field(default_factory=dict)


Action = Callable[[ClientState], Result]


def read_notes(state: ClientState) -> Result:
    return _call_api(state, state.client(), state.pair)


def write_note(state: ClientState) -> Result:
    return _call_api(state, state.client(), state.pair, json=NOTE)


def call_tool(state: ClientState) -> Result:
    """Call a tool of the MCP server, as an agent does."""
    return _call_api(state, state.client(), state.pair, path=MCP, json=TOOL_CALL)


def refresh(state: ClientState, *, scope: str | None = None) -> Result:
    client = state.client()
    pair = _refresh(client, _refresh_token(state.pair), scope=scope)
    if pair is not None:
        state.store(pair)
    return Result(succeeded=pair is not None, exchanges=client.exchanges)


def refresh_read_only(state: ClientState) -> Result:
    return refresh(state, scope="notes:read")


def refresh_twice(state: ClientState) -> Result:
    """Send the same refresh token from two threads, as a client without a lock does."""
    clients = [state.client(), state.client()]
    refresh_token = _refresh_token(state.pair)
    with ThreadPoolExecutor() as threads:
        pairs = list(threads.map(lambda client: _refresh(client, refresh_token), clients))
    for pair in filter(None, pairs):
        state.store(pair)
    return Result(succeeded=all(pairs), exchanges=[exchange for client in clients for exchange in client.exchanges])


def lose_response(state: ClientState) -> Result:
    """Refresh, discard the response as if the network had lost it, and send the same request again."""
    client = state.client()
    refresh_token = _refresh_token(state.pair)
    if _refresh(client, refresh_token) is None:
        return Result(succeeded=False, exchanges=client.exchanges)
    client.exchanges = [replace(exchange, note=LOST) for exchange in client.exchanges]
    pair = _refresh(client, refresh_token)
    if pair is not None:
        state.store(pair)
    return Result(succeeded=pair is not None, exchanges=client.exchanges)


def replay_spent_token(state: ClientState) -> Result:
    client = state.client()
    pair = _refresh(client, state.spent_refresh_token)
    if pair is not None:
        state.pair = pair  # within a retry window it is the pair that the client has already
    return Result(succeeded=pair is not None, exchanges=client.exchanges)


def steal(state: ClientState) -> Result:
    """Let a thief, who also knows the client's secret, use the refresh token before the client does."""
    return _refresh_as_thief(state, _refresh_token(state.pair))


def thief_reads_notes(state: ClientState) -> Result:
    return _call_api(state, state.client(THIEF_AGENT), state.thief_pair)


def thief_refreshes(state: ClientState) -> Result:
    return _refresh_as_thief(state, _refresh_token(state.thief_pair))


def disconnect(state: ClientState) -> Result:
    client = state.client()
    try:
        client.revoke(_refresh_token(state.pair))
    except Refused:
        return Result(succeeded=False, exchanges=client.exchanges)
    return Result(succeeded=True, exchanges=client.exchanges)


def _refresh_as_thief(state: ClientState, refresh_token: str) -> Result:
    thief = state.client(THIEF_AGENT)
    pair = _refresh(thief, refresh_token)
    if pair is not None:
        state.thief_pair = pair
    return Result(succeeded=pair is not None, exchanges=thief.exchanges)


def _refresh(client: DemoClient, refresh_token: str, *, scope: str | None = None) -> TokenPair | None:
    try:
        return client.refresh(refresh_token, scope=scope)
    except Refused:
        return None


def _call_api(
    state: ClientState, client: DemoClient, pair: TokenPair | None, *, path: str = NOTES, json: Any = None
) -> Result:
    access_token = pair["access_token"] if pair else ""
    status = client.call(state.server["issuer"] + path, access_token=access_token, json=json)
    return Result(succeeded=status < HTTPStatus.BAD_REQUEST, exchanges=client.exchanges)


def _refresh_token(pair: TokenPair | None) -> str:
    return str(pair["refresh_token"]) if pair else ""
