"""What a row of an export holds. Words are those that are stored, and times are in UTC: the same for all staff."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from oauth_refresh.admin.display import grant_state, token_state
from oauth_refresh.models import Grant, GrantEvent

Columns = dict[str, Callable[[Any], Any]]
"""Of each column: its name, and the function that returns its value for a row."""


def _plain(name: str) -> Callable[[Any], Any]:
    def value(row: Any) -> Any:
        stored = getattr(row, name)
        return stored.isoformat() if isinstance(stored, datetime) else stored

    return value


def _text(name: str) -> Callable[[Any], str | None]:
    def value(row: Any) -> str | None:
        stored = getattr(row, name)
        return None if stored is None else str(stored)

    return value


def _token_state(token: Any) -> str:
    token.grant.user_is_hidden = getattr(token, "user_is_hidden", None)
    return token_state(token)


def _meaning(event: GrantEvent) -> str | None:
    if event.kind != GrantEvent.Kind.REUSED:
        return None
    return "refreshed twice at once" if event.looks_concurrent else "treat as theft"


_OF_GRANT: Columns = {
    "grant": lambda row: str(row.grant.public_id),
    "client_id": lambda row: row.grant.application.client_id,
    "user": lambda row: _user(row.grant),
}
_FROM = {name: _plain(name) for name in ("address", "user_agent")}


def _user(grant: Grant) -> str | None:
    return None if grant.user is None else grant.user.get_username()


grant_columns: Columns = {
    "grant": _text("public_id"),
    "state": grant_state,
    "client_id": lambda grant: grant.application.client_id,
    "application": lambda grant: grant.application.name,
    "user": _user,
    **{name: _plain(name) for name in ("grant_type", "scope")},
    "started": _plain("created_at"),
    "refreshed": _plain("refreshed_at"),
    "refreshes": _plain("refresh_count"),
    "expires_unless_refreshed": _plain("idle_expires_at"),
    "expires": _plain("expires_at"),
    **_FROM,
    "revoked": _plain("revoked_at"),
    "reason": _plain("revoked_reason"),
    "revoked_by": lambda grant: None if grant.revoked_by is None else grant.revoked_by.get_username(),
    "revocation": _text("revocation_id"),
}
refresh_token_columns: Columns = {
    **_OF_GRANT,
    "generation": _plain("generation"),
    "state": _token_state,
    "issued": _plain("created_at"),
    "expires": _plain("expires_at"),
    **_FROM,
}
access_token_columns: Columns = {
    **_OF_GRANT,
    "generation": _plain("generation"),
    "state": _token_state,
    "scope": _plain("scope"),
    "audience": _text("audience"),
    "issued": _plain("created_at"),
    "expires": _plain("expires_at"),
    "revoked": _plain("revoked_at"),
}
event_columns: Columns = {
    "at": _plain("at"),
    "kind": _plain("kind"),
    "meaning": _meaning,
    **_OF_GRANT,
    **{name: _plain(name) for name in ("generation", "seconds_since_spent", "same_caller")},
    **_FROM,
}
timeline_columns: Columns = {
    "at": _plain("at"),
    **{name: _plain(name) for name in ("kind", "title", "detail", "meaning")},
    "address": lambda entry: entry.origin[0],
    "user_agent": lambda entry: entry.origin[1],
    "elsewhere": _plain("is_elsewhere"),
}
