"""Receivers of signals for the length of a ``with`` block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.dispatch import Signal


@contextmanager
def connected(signal: Signal, receiver: Callable[..., Any], *, first: bool = False) -> Iterator[None]:
    """Connect a receiver as a project would; ``first`` puts it before all that are connected already."""
    signal.connect(receiver)
    if first:
        signal.receivers.insert(0, signal.receivers.pop())
    try:
        yield
    finally:
        signal.disconnect(receiver)


@contextmanager
def recorded(signal: Signal) -> Iterator[list[dict[str, Any]]]:
    """Yield a list to which each sending of ``signal`` adds its arguments."""
    sent: list[dict[str, Any]] = []

    def record(signal: Signal, sender: type, **kwargs: Any) -> None:
        sent.append(kwargs)

    with connected(signal, record):
        yield sent
