"""The buttons of the playground, in the order of the page."""

from collections.abc import Callable
from dataclasses import dataclass

from example_project.playground import actions, far_api
from example_project.playground.actions import Action
from example_project.playground.client_state import ClientState


def has_pair(state: ClientState) -> bool:
    return state.pair is not None


def has_spent_token(state: ClientState) -> bool:
    return bool(state.spent_refresh_token)


def thief_has_pair(state: ClientState) -> bool:
    return state.thief_pair is not None


@dataclass(frozen=True, kw_only=True)
class Button:
    """``hint`` says what the button does; ``missing`` says what to do first, while ``is_enabled`` is false."""

    name: str
    label: str
    hint: str
    action: Action
    is_enabled: Callable[[ClientState], bool] = has_pair
    missing: str = "Connect first."


@dataclass(frozen=True, kw_only=True)
class Group:
    title: str
    buttons: tuple[Button, ...]


READ = Button(
    name="read", label="Read the notes", hint="Call the API with the access token.", action=actions.read_notes
)
WRITE = Button(name="write", label="Write a note", hint="This needs the scope notes:write.", action=actions.write_note)
TOOL = Button(
    name="tool",
    label="Call the MCP server",
    hint="An agent lists the notes, with the same token.",
    action=actions.call_tool,
)
REFRESH = Button(
    name="refresh", label="Refresh", hint="Exchange the refresh token for a new pair.", action=actions.refresh
)
NARROW = Button(
    name="narrow",
    label="Refresh, read-only",
    hint="Request only the scope notes:read.",
    action=actions.refresh_read_only,
)
TWICE = Button(
    name="twice",
    label="Refresh twice at once",
    hint="Two threads send the same refresh token.",
    action=actions.refresh_twice,
)
LOSE = Button(
    name="lose",
    label="Lose the response, retry",
    hint="The network drops the response; send the same request again.",
    action=actions.lose_response,
)
REPLAY = Button(
    name="replay",
    label="Replay the spent token",
    hint="Send the refresh token that was spent last.",
    action=actions.replay_spent_token,
    is_enabled=has_spent_token,
    missing="Refresh first: no token is spent yet.",
)
STEAL = Button(
    name="steal",
    label="Steal the refresh token",
    hint="A thief copies it, and refreshes before the client does.",
    action=actions.steal,
)
REVOKE = Button(
    name="revoke", label="Disconnect", hint="Revoke the grant, and with it all tokens.", action=actions.disconnect
)
FAR = Button(
    name="far",
    label="Call the far API",
    hint="On another port: it asks this server about the token.",
    action=far_api.call_far_api,
)
WATCH = Button(
    name="watch",
    label="Revoke, and watch both APIs",
    hint="Call both with the token until they refuse it.",
    action=far_api.revoke_and_watch,
)
THIEF_READ = Button(
    name="thief-read",
    label="Thief reads the notes",
    hint="With the thief's access token.",
    action=actions.thief_reads_notes,
    is_enabled=thief_has_pair,
    missing="No token is stolen yet.",
)
THIEF_REFRESH = Button(
    name="thief-refresh",
    label="Thief refreshes",
    hint="With the thief's refresh token.",
    action=actions.thief_refreshes,
    is_enabled=thief_has_pair,
    missing="No token is stolen yet.",
)

CLIENT_GROUPS = (
    Group(title="Use the access token", buttons=(READ, WRITE, TOOL, FAR)),
    Group(title="Use the refresh token", buttons=(REFRESH, NARROW)),
    Group(title="Simulate a problem", buttons=(TWICE, LOSE, REPLAY, STEAL)),
    Group(title="End the grant", buttons=(REVOKE, WATCH)),
)
THIEF_BUTTONS = (THIEF_READ, THIEF_REFRESH)
BUTTONS = {
    button.name: button for button in (*(button for group in CLIENT_GROUPS for button in group.buttons), *THIEF_BUTTONS)
}


def label_of(action: str) -> str:
    return BUTTONS[action].label if action in BUTTONS else "Connect"
