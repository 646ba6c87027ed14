"""Receivers that count. All are sent after commit, so a refresh costs as many statements as without them."""

from typing import Any

from oauth_refresh.contrib.metrics import instruments
from oauth_refresh.models import Grant, GrantEvent, GrantType, RevocationReason
from oauth_refresh.signals import grant_revoked, grants_revoked, refresh_retried, refresh_token_reused, tokens_issued

OTHER_REASON = "other"
"""For reasons that staff or the project wrote: a free text would be a time series of its own."""


def connect() -> None:
    """Connect every receiver. A second call changes nothing."""
    for signal, receiver in _RECEIVERS:
        signal.connect(receiver, dispatch_uid=_uid(receiver))


def disconnect() -> None:
    """Undo ``connect``."""
    for signal, receiver in _RECEIVERS:
        signal.disconnect(receiver, dispatch_uid=_uid(receiver))


def count_issued(sender: type[Grant], grant: Grant, grant_type: str, **kwargs: Any) -> None:
    if grant_type == GrantType.REFRESH_TOKEN:
        instruments.refreshes.add(1, {"outcome": "rotated" if grant.application.rotates else "kept"})
    else:
        instruments.grants_started.add(1, {"grant_type": grant_type})


def count_repeated(sender: type[Grant], **kwargs: Any) -> None:
    instruments.refreshes.add(1, {"outcome": "repeated"})


def count_reused(
    sender: type[Grant], seconds_since_spent: float | None, same_caller: bool | None, **kwargs: Any
) -> None:
    event = GrantEvent(seconds_since_spent=seconds_since_spent, same_caller=same_caller)
    instruments.reuses.add(1, {"likely_cause": "concurrent_refresh" if event.looks_concurrent else "theft"})


def count_revoked(sender: type[Grant], reason: str, count: int = 1, **kwargs: Any) -> None:
    known = reason if reason in RevocationReason.values else OTHER_REASON
    instruments.grants_revoked.add(count, {"reason": str(known)})


_RECEIVERS = (
    (tokens_issued, count_issued),
    (refresh_retried, count_repeated),
    (refresh_token_reused, count_reused),
    (grant_revoked, count_revoked),
    (grants_revoked, count_revoked),
)


def _uid(receiver: Any) -> str:
    return f"oauth_refresh.contrib.metrics.{receiver.__name__}"
