"""What the authorization server answers, checked and typed: metadata (RFC 8414), introspection (RFC 7662), the feed.

An answer of another form raises Unavailable, so that it lets no token pass.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from oauth_refresh.resource_server.remote.errors import Unavailable

_TOKEN_BODY = re.compile(r"[A-Za-z0-9_-]{43}")
_LATEST = 253_402_300_799  # the last second of the year 9999, and of datetime
KINDS = ("grant_id", "sub", "client_id")
"""What a notice may name, beside ``all``."""

Name = tuple[str, str]
"""One of ``KINDS`` and its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteToken:
    """An active access token, as the authorization server describes it.

    ``sub`` is the key of the user as text, or the client ID if the application acts for itself; then ``username`` is
    None. ``scopes`` are those that this API may see. What the server leaves out is None.
    """

    sub: str | None
    username: str | None
    client_id: str | None
    scopes: tuple[str, ...]
    grant_id: str | None
    expires_at: datetime | None

    @property
    def names(self) -> tuple[Name, ...] | None:
        """The names by which a notice may report this token; None if one is missing, as that notice could be missed."""
        if self.grant_id is None or self.sub is None or self.client_id is None:
            return None
        return ("grant_id", self.grant_id), ("sub", self.sub), ("client_id", self.client_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """An answer about one token: None if it is not active, and for how many seconds it is valid, None if unlimited."""

    token: RemoteToken | None
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What an API needs to know of the authorization server."""

    introspection_endpoint: str
    revocations_endpoint: str
    access_token_prefix: str | None
    foreign_tokens_accepted: bool

    def may_be_token(self, raw: str) -> bool:
        """Whether ``raw`` can be an access token of the server, so that asking is worth a request."""
        if self.access_token_prefix is not None and raw.startswith(self.access_token_prefix):
            return _TOKEN_BODY.fullmatch(raw, len(self.access_token_prefix)) is not None
        return self.access_token_prefix is None or self.foreign_tokens_accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the feed. ``ends_everything``: it says so, or names what this version does not know."""

    cursor: str
    names: tuple[Name, ...]
    more: bool
    ends_everything: bool
    has_unknown_kind: bool


def read_object(body: bytes) -> dict[str, Any]:
    """Return the members of a JSON object. Raises Unavailable for any other text."""
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):  # half of it, HTML, not UTF-8, or nested a million times
        raise Unavailable("The answer is not JSON.") from None
    if not isinstance(members, dict):
        raise Unavailable("The answer is not a JSON object.")
    return members


def read_metadata(body: bytes, *, issuer: str) -> Metadata:
    """Return the endpoints. Raises Unavailable if one is missing, or if the document is another issuer's (§3.3)."""
    members = read_object(body)
    if members.get("issuer") != issuer:
        raise Unavailable("The server metadata names another issuer.")
    schemes = ("https",) if issuer.startswith("https:") else ("http", "https")
    endpoints = {name: members.get(name) for name in ("introspection_endpoint", "revocations_endpoint")}
    for name, address in endpoints.items():
        if not isinstance(address, str) or not _is_address(address, schemes=schemes):
            raise Unavailable(f"The metadata have no {name} that can be used.")
    accepts_foreign = members.get("foreign_tokens_accepted", True)
    return Metadata(
        introspection_endpoint=str(endpoints["introspection_endpoint"]),
        revocations_endpoint=str(endpoints["revocations_endpoint"]),
        access_token_prefix=_text(members, "access_token_prefix") or None,
        foreign_tokens_accepted=accepts_foreign is not False,
    )


def _is_address(address: str, *, schemes: tuple[str, ...]) -> bool:
    """Whether it is an address to which the API may send its secret."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)


def read_introspection(body: bytes, *, resource: str | None, date: str | None, now: datetime) -> Introspection:
    """Return what the answer says. ``date`` is its Date header: both times are then the server's, however our clock is.

    A token for another audience than ``resource``, and what is not a Bearer token, counts as inactive.
    """
    members = read_object(body)
    active = members.get("active")
    if not isinstance(active, bool):
        raise Unavailable("The answer does not say whether the token is active.")
    if not active:
        return Introspection(token=None)
    expires_at = _time(members, "exp")
    token = RemoteToken(
        sub=_text(members, "sub"),
        username=_text(members, "username"),
        client_id=_text(members, "client_id"),
        scopes=tuple((_text(members, "scope") or "").split()),
        grant_id=_text(members, "grant_id"),
        expires_at=expires_at,
    )
    # A refresh token is shown to its own client, without a type. No API may take it for an access token (§4).
    is_bearer = (_text(members, "token_type") or "").lower() == "bearer"
    if not is_bearer or (resource is not None and resource not in _audience(members)):
        return Introspection(token=None)
    if expires_at is None:
        return Introspection(token=token)
    # Both times are cut to whole seconds, so up to one second less may be left.
    return Introspection(token=token, seconds_left=(expires_at - _server_time(date, now)).total_seconds() - 1)


def read_page(body: bytes) -> Page:
    """Return a page of the feed. Raises Unavailable if it has not the form of one."""
    members = read_object(body)
    cursor = _text(members, "cursor")
    if not cursor:
        raise Unavailable("The page has no cursor.")
    if members.get("reset") is True:
        return Page(cursor=cursor, names=(), more=False, ends_everything=True, has_unknown_kind=False)
    entries, more = members.get("revocations"), members.get("more")
    if not isinstance(entries, list) or not isinstance(more, bool):
        raise Unavailable("The page has no revocations.")
    known = [_name(entry) for entry in entries if entry != {"all": True}]
    return Page(
        cursor=cursor,
        names=tuple(name for name in known if name is not None),
        more=more,
        ends_everything=len(known) < len(entries),
        has_unknown_kind=None in known,
    )


def _name(entry: object) -> Name | None:
    """Return what an entry names; None if it is of no kind that is known here, or of more than one."""
    if isinstance(entry, dict) and len(entry) == 1:
        kind, value = next(iter(entry.items()))
        if kind in KINDS and isinstance(value, str):
            return kind, value
    return None


def _text(members: dict[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise Unavailable(f"The member {name} is not a string.")
    return value


def _time(members: dict[str, Any], name: str) -> datetime | None:
    value = members.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LATEST:
        raise Unavailable(f"The member {name} is not a time.")
    return datetime.fromtimestamp(value, tz=UTC)


def _audience(members: dict[str, Any]) -> list[Any]:
    audience = members.get("aud")
    return audience if isinstance(audience, list) else [audience]


def _server_time(date: str | None, now: datetime) -> datetime:
    """Return the time of the Date header (RFC 9110 §6.6.1), or our own if there is none."""
    try:
        stated = parsedate_to_datetime(date or "")
    except (IndexError, OverflowError, TypeError, ValueError):  # text that is no date at all
        return now
    return stated if stated.tzinfo is not None else stated.replace(tzinfo=UTC)
