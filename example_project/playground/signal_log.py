"""A log of the signals that the package sends, kept in memory to be shown on the page."""

from collections import deque
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.dispatch import Signal

from oauth_refresh import signals

_SHOWN_ARGUMENTS = {"grant_type", "generation", "reason", "same_caller"}
_log: "deque[SentSignal]" = deque(maxlen=500)


@dataclass(frozen=True, kw_only=True)
class SentSignal:
    """A signal about one grant, with those of its arguments that are short."""

    grant: UUID
    name: str
    arguments: str


def signals_about(grant: Any) -> list[SentSignal]:
    """Return the signals about a grant, oldest first."""
    return [sent for sent in tuple(_log) if sent.grant == grant.public_id]


def connect_receivers() -> None:
    """Log every signal that is about one grant and is sent after commit.

    ``refresh_token_exchanged`` is left out: it is sent inside the transaction of a refresh, and a second receiver
    would change how a refresh is written.
    """
    for name, signal in vars(signals).items():
        if isinstance(signal, Signal) and signal is not signals.refresh_token_exchanged:
            _log_signal(name, signal)


def _log_signal(name: str, signal: Signal) -> None:
    def append(grant: Any = None, **arguments: object) -> None:
        if grant is not None:
            shown = " ".join(f"{key}={value}" for key, value in arguments.items() if key in _SHOWN_ARGUMENTS)
            _log.append(SentSignal(grant=grant.public_id, name=name, arguments=shown))

    signal.connect(append, weak=False, dispatch_uid=f"playground.{name}")
