"""From the text of a token to its rows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.models import AccessToken, Grant, RefreshToken
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
    row = RefreshToken.objects.using(write_alias()).select_related("grant__user").filter(digest=text.digest).first()
    if row is not None:
        return PresentedRefreshToken(grant=row.grant, generation=row.generation, row=row)
    grant = Grant.objects.using(write_alias()).select_related("user").filter(public_id=text.public_id).first()
    if grant is None or not text.has_valid_mac(bytes(grant.mac_key)):
        return None
    return PresentedRefreshToken(grant=grant, generation=text.generation, row=None)


def find_access_token(raw: str) -> AccessToken | None:
    """Return the row of the access token that ``raw`` is; None for any other text, without a statement if malformed."""
    if not crypto.is_opaque_token_text(raw, prefix=app_settings.access_token_prefix):
        return None
    rows = AccessToken.objects.using(write_alias()).select_related("grant__user", "grant__application")
    return rows.defer(*_UNUSED).filter(digest=crypto.digest(raw)).first()


def find_token(raw: str) -> PresentedRefreshToken | AccessToken | None:
    """Return the token that ``raw`` is: a refresh token, live, spent or pruned, or an access token whose row exists."""
    return find_refresh_token(raw) or find_access_token(raw)


def mentions_token(text: str) -> bool:
    """Whether something in ``text`` has the form of a token of ours."""
    return next(_candidates(text), None) is not None


def find_tokens_in(text: str, *, at_most: int = 50) -> list[PresentedRefreshToken | AccessToken]:
    """Return the genuine tokens in a text such as a line of a log, the first of each grant.

    Only the first ``at_most`` that look like tokens are looked up.
    """
    first_of_each: dict[Any, PresentedRefreshToken | AccessToken] = {}
    for raw in islice(_candidates(text), at_most):
        if (token := find_token(raw)) is not None:
            first_of_each.setdefault(token.grant.pk, token)
    return list(first_of_each.values())


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
