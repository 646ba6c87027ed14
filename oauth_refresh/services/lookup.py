"""From the text of a token to its rows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.services.compiled import Lookup
from oauth_refresh.services.transactions import write_alias

# Every authenticated request of an API reads this one row; what it does not need stays in the database.
_UNUSED = (
    "digest",
    *(f"grant__{column}" for column in ("address", "mac_key", "retry_salt", "revoked_reason", "user_agent")),
    *(
        f"grant__application__{column}"
        for column in ("jwks", "jwks_uri", "old_secret_digest", "redirect_uris", "secret_digest")
    ),
)


_REFRESH_TOKENS = Lookup(RefreshToken, by="digest", related=("grant", "grant__user"))
_ACCESS_TOKENS = Lookup(
    AccessToken, by="digest", related=("grant", "grant__user", "grant__application"), unused=_UNUSED
)

_BATCH = 500
"""How many texts are looked up by one statement."""


def is_storable(text: str) -> bool:
    """Whether a column could hold ``text``, so that a look-up is no error: no NUL (PostgreSQL), no half characters."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedRefreshToken:
    """A genuine refresh token of ours. ``row`` is None when it was pruned, or never restored from a backup."""

    grant: Grant
    generation: int
    row: RefreshToken | None


def find_refresh_token(raw: str) -> PresentedRefreshToken | None:
    """Return the genuine refresh token that ``raw`` is, by its digest, else by its MAC; None for any other text."""
    text = crypto.parse_refresh_token(raw, prefix=app_settings.refresh_token_prefix)
    if text is None:
        return None
    row = _REFRESH_TOKENS.find(text.digest)
    if row is not None:
        return PresentedRefreshToken(grant=row.grant, generation=row.generation, row=row)
    grants = Grant.objects.using(write_alias()).select_related("user")
    grant = grants.filter(public_id=text.public_id).first()
    if grant is None or not text.has_valid_mac(bytes(grant.mac_key)):
        return None
    return PresentedRefreshToken(grant=grant, generation=text.generation, row=None)


def find_access_token(raw: str) -> AccessToken | None:
    """Return the row of the access token that ``raw`` is; None for any other text, without a statement if malformed."""
    if not crypto.is_opaque_token_text(raw, prefix=app_settings.access_token_prefix):
        return None
    return _ACCESS_TOKENS.find(crypto.digest(raw))


def mentions_token(text: str) -> bool:
    """Whether something in ``text`` has the form of a token of ours."""
    return next(_candidates(text), None) is not None


def find_tokens_in(text: str) -> list[PresentedRefreshToken | AccessToken]:
    """Return the genuine tokens in a text such as a log, the first of each grant.

    Whatever else looks like a token, noise of a thief for instance, costs a few statements for each thousand.
    """
    first_of_each: dict[Any, PresentedRefreshToken | AccessToken] = {}
    candidates = _candidates(text)
    while batch := list(islice(candidates, _BATCH)):
        found = _access_tokens(batch) | _refresh_tokens(batch)
        for raw in batch:
            if (token := found.get(raw)) is not None:
                first_of_each.setdefault(token.grant.pk, token)
    return list(first_of_each.values())


def _access_tokens(raw_texts: list[str]) -> dict[str, PresentedRefreshToken | AccessToken]:
    prefix = app_settings.access_token_prefix
    digests = {crypto.digest(raw): raw for raw in raw_texts if crypto.is_opaque_token_text(raw, prefix=prefix)}
    rows = AccessToken.objects.using(write_alias()).select_related("grant__user", "grant__application")
    return {digests[row.digest]: row for row in rows.filter(digest__in=digests)}


def _refresh_tokens(raw_texts: list[str]) -> dict[str, PresentedRefreshToken | AccessToken]:
    """Return the genuine refresh tokens among the texts: by their digests, then by their MACs."""
    prefix = app_settings.refresh_token_prefix
    parsed = {raw: text for raw in raw_texts if (text := crypto.parse_refresh_token(raw, prefix=prefix)) is not None}
    rows = RefreshToken.objects.using(write_alias()).select_related("grant__user", "grant__application")
    by_digest = {row.digest: row for row in rows.filter(digest__in=[text.digest for text in parsed.values()])}
    grants = Grant.objects.using(write_alias()).select_related("user", "application")
    strangers = [text.public_id for text in parsed.values() if text.digest not in by_digest]
    by_public_id = {grant.public_id: grant for grant in grants.filter(public_id__in=strangers)}
    found: dict[str, PresentedRefreshToken | AccessToken] = {}
    for raw, text in parsed.items():
        row, grant = by_digest.get(text.digest), by_public_id.get(text.public_id)
        if row is not None:
            found[raw] = PresentedRefreshToken(grant=row.grant, generation=row.generation, row=row)
        elif grant is not None and text.has_valid_mac(bytes(grant.mac_key)):
            found[raw] = PresentedRefreshToken(grant=grant, generation=text.generation, row=None)
    return found


def _candidates(text: str) -> Iterator[str]:
    """Yield what has the form of a refresh or access token, each once.

    They may overlap: ``export_ort_…`` holds a prefix twice, and which of them begins a token only a look-up can say.
    """
    kinds = (
        (app_settings.refresh_token_prefix, crypto.REFRESH_TOKEN_BODY),
        (app_settings.access_token_prefix, crypto.OPAQUE_BODY),
    )
    pattern = "|".join(f"{re.escape(prefix)}{body.pattern}" for prefix, body in kinds)
    seen: set[str] = set()
    for match in re.finditer(f"(?=({pattern}))", text):
        if (raw := match[1]) not in seen:
            seen.add(raw)
            yield raw
