"""The rows of imported sessions: the grant of each, its refresh tokens as generations, and its access tokens."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model

from oauth_refresh.errors import InvalidTarget
from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken
from oauth_refresh.resources import requested_resources
from oauth_refresh.scopes import allows_access
from oauth_refresh.services.db import db_alias

MOST_SPENT = 5
"""How many spent refresh tokens of a session are kept, the newest: a thief has a recent one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedAccessToken:
    """An access token of another server.

    ``digest``: the SHA-256 of its text, in 64 lower-case hexadecimal digits. ``scope``: separated by spaces.
    ``resources``: the identifiers of the APIs that it is for (RFC 8707); none: all those of its session.
    """

    digest: str = field(repr=False)
    scope: str
    expires_at: datetime
    resources: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSession:
    """A session of another server. Each field is an argument of ``import_session``, which explains it."""

    application: Application
    user: Any
    scope: str
    refresh_token_digest: str = field(repr=False)
    spent_digests: Sequence[str] = field(default=(), repr=False)
    access_tokens: Sequence[ImportedAccessToken] = ()
    resources: Sequence[str] = ()
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedSession:
    """A session that may be imported, and its grant, which is not stored yet."""

    session: ImportedSession
    grant: Grant


def store(accepted: Sequence[AcceptedSession]) -> None:
    """Insert grants and tokens. A text belongs to one grant: two sessions may have an ancestor in common."""
    spent = [_newest_spent(one.session) for one in accepted]
    taken = _known(RefreshToken, [digest for digests in spent for digest in digests])
    taken.update(one.session.refresh_token_digest for one in accepted)
    lines = []
    for one, digests in zip(accepted, spent, strict=True):
        line = [*(digest for digest in digests if digest not in taken), one.session.refresh_token_digest]
        taken.update(line)
        lines.append(line)
        one.grant.generation = one.grant.access_floor = one.grant.imported_generation = len(line)
    _insert(Grant, [one.grant for one in accepted])
    _insert(
        RefreshToken,
        [
            _refresh_token(one.grant, generation, digest)
            for one, line in zip(accepted, lines, strict=True)
            for generation, digest in enumerate(line, start=1)
        ],
    )
    _insert(AccessToken, _access_tokens(accepted))


def _newest_spent(session: ImportedSession) -> list[str]:
    distinct = [digest for digest in dict.fromkeys(session.spent_digests) if digest != session.refresh_token_digest]
    return distinct[-MOST_SPENT:]


def _refresh_token(grant: Grant, generation: int, digest: str) -> RefreshToken:
    return RefreshToken(
        grant=grant,
        generation=generation,
        digest=digest,
        created_at=grant.created_at,
        expires_at=grant.idle_expires_at,
    )


def _access_tokens(accepted: Sequence[AcceptedSession]) -> list[AccessToken]:
    """Return the access tokens, of the current generation, so that a refresh replaces them.

    Expired ones are kept as well: a client may revoke the grant by one of them. One that had a scope or resources, and
    has none left, is left out: a view that asks for no scope would accept it, and one without resources is for all.
    """
    pairs = [(one.grant, token) for one in accepted for token in one.session.access_tokens]
    taken, rows = _known(AccessToken, [token.digest for _grant, token in pairs]), []
    for grant, token in pairs:
        scope = [name for name in token.scope.split() if name in grant.scopes]
        resources = [name for name in _known_resources(token.resources) if name in grant.resource_names]
        lost = (allows_access(token.scope.split()) and not allows_access(scope)) or (token.resources and not resources)
        if token.digest in taken or lost:
            continue
        taken.add(token.digest)
        rows.append(
            AccessToken(
                grant=grant,
                generation=grant.generation,
                digest=token.digest,
                scope=" ".join(scope),
                audience=" ".join(resources) or grant.resources,
                created_at=min(grant.created_at, token.expires_at - timedelta(seconds=1)),
                expires_at=token.expires_at,
            )
        )
    return rows


def _known_resources(identifiers: Sequence[str]) -> Iterator[str]:
    for identifier in identifiers:
        with suppress(InvalidTarget):
            yield from requested_resources([identifier])


def _known(model: type[RefreshToken | AccessToken], digests: Sequence[str]) -> set[str]:
    """Return those of the digests that belong to a grant."""
    return set(model._default_manager.using(db_alias()).filter(digest__in=digests).values_list("digest", flat=True))


def _insert(model: type[Model], rows: Sequence[Model]) -> None:
    model._default_manager.using(db_alias()).bulk_create(rows)  # unlike save(), it sends no signals of Django
