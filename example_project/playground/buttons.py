"""The buttons of the playground, in the order in which they are drawn."""

from collections.abc import Callable
from dataclasses import dataclass

from example_project.playground import actions
from example_project.playground.actions import Action
from example_project.playground.holding import Holding


def holds_pair(holding: Holding) -> bool:
    return holding.pair is not None


def holds_spent_token(holding: Holding) -> bool:
    return bool(holding.spent)


def thief_holds_pair(holding: Holding) -> bool:
    return holding.stolen is not None


@dataclass(frozen=True, kw_only=True)
class Button:
    """``hint`` says what it does; ``missing`` what to do first, where ``is_ready`` says no."""

    name: str
    label: str
    hint: str
    action: Action
    is_ready: Callable[[Holding], bool] = holds_pair
    missing: str = "Connect first."


@dataclass(frozen=True, kw_only=True)
class Group:
    title: str
    buttons: tuple[Button, ...]


READ = Button(name="read", label="Read the notes", hint="Call the API with the access token.", action=actions.read)
WRITE = Button(name="write", label="Write a note", hint="The same, but it needs notes:write.", action=actions.write)
REFRESH = Button(
    name="refresh", label="Refresh", hint="Trade the refresh token for a new pair.", action=actions.refresh
)
NARROW = Button(name="narrow", label="Refresh, read-only", hint="Ask for less: only notes:read.", action=actions.narrow)
TWICE = Button(
    name="twice",
    label="Refresh twice at once",
    hint="Two threads that do not wait for each other.",
    action=actions.refresh_twice,
)
LOSE = Button(
    name="lose",
    label="Lose the answer, retry",
    hint="The network drops the new pair; send the same again.",
    action=actions.lose_answer,
)
REPLAY = Button(
    name="replay",
    label="Replay the old token",
    hint="Send the one that was spent last.",
    action=actions.replay,
    is_ready=holds_spent_token,
    missing="Refresh first, so that there is a spent one.",
)
STEAL = Button(
    name="steal", label="Steal the token", hint="A thief has a copy, and refreshes first.", action=actions.steal
)
REVOKE = Button(name="revoke", label="Revoke", hint="Sign out: end the session now.", action=actions.revoke)
THIEF_READ = Button(
    name="thief-read",
    label="Thief reads the notes",
    hint="With the stolen access token.",
    action=actions.thief_reads,
    is_ready=thief_holds_pair,
    missing="Nothing is stolen yet.",
)
THIEF_REFRESH = Button(
    name="thief-refresh",
    label="Thief refreshes",
    hint="With the stolen refresh token.",
    action=actions.thief_refreshes,
    is_ready=thief_holds_pair,
    missing="Nothing is stolen yet.",
)

OWNERS = (
    Group(title="Use it", buttons=(READ, WRITE)),
    Group(title="Renew it", buttons=(REFRESH, NARROW)),
    Group(title="Let something go wrong", buttons=(TWICE, LOSE, REPLAY, STEAL)),
    Group(title="End it", buttons=(REVOKE,)),
)
THIEFS = (THIEF_READ, THIEF_REFRESH)
BUTTONS = {button.name: button for button in (*(one for group in OWNERS for one in group.buttons), *THIEFS)}


def label_of(name: str) -> str:
    return BUTTONS[name].label if name in BUTTONS else "Connect"
