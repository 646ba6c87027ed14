"""What a project hears of its sessions: the package's signals, remembered by this process to be shown on the page."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.dispatch import Signal
from django.utils import timezone

from oauth_refresh import signals

_TOLD = {"grant_type", "generation", "reason", "same_caller"}
_memory: "deque[Heard]" = deque(maxlen=500)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A signal about one grant; ``told`` is what it carried, in a word."""

    grant: UUID
    name: str
    told: str
    at: datetime = field(default_factory=timezone.now)


def heard_of(grant: Any) -> list[Heard]:
    """Return the signals about a grant, oldest first."""
    return [heard for heard in tuple(_memory) if heard.grant == grant.public_id]


def listen() -> None:
    """Connect to every signal that is about one grant and is sent after commit."""
    for name, signal in vars(signals).items():
        if isinstance(signal, Signal) and signal is not signals.refresh_token_exchanged:
            _listen_to(name, signal)


def _listen_to(name: str, signal: Signal) -> None:
    def remember(grant: Any = None, **carried: object) -> None:
        if grant is not None:
            told = " ".join(f"{key}={value}" for key, value in carried.items() if key in _TOLD)
            _memory.append(Heard(grant=grant.public_id, name=name, told=told))

    signal.connect(remember, weak=False, dispatch_uid=f"playground.{name}")
