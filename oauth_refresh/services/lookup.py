"""From the text of a token, or the name of a user, to its row."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidToken
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.models.users import is_hidden, with_hidden_users
from oauth_refresh.services.db import db_alias
from oauth_refresh.services.statements import find_by_digest

# Every authenticated request of an API reads this one row; what it does not need stays in the database.
_UNUSED = (
    "digest",
    *(f"grant__{column}" for column in ("address", "mac_key", "revoked_reason", "user_agent")),
    *(
        f"grant__application__{column}"
        for column in ("jwks", "jwks_uri", "old_secret_digest", "redirect_uris", "secret_digest")
    ),
)

_BATCH = 500
"""How many texts are looked up by one statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedRefreshToken:
    """A genuine refresh token of ours. ``row`` is None when it was pruned, or never restored from a backup."""

    grant: Grant
    generation: int
    row: RefreshToken | None

    @property
    def is_spent(self) -> bool:
        """Whether a rotation has replaced it."""
        return self.generation < self.grant.generation


def find_refresh_row(raw: str) -> RefreshToken | None:
    """Return the row of the refresh token that ``raw`` is, with its grant, application and user; None for any other.

    It costs one statement; none for a text of another form, such as an access token, or noise sent to load the
    database.
    """
    text = crypto.parse_refresh_token(raw, prefix=app_settings.refresh_token_prefix)
    return None if text is None else find_by_digest(RefreshToken, text.digest)


def find_refresh_token(raw: str, *, row: RefreshToken | None = None) -> PresentedRefreshToken | None:
    """Return the genuine refresh token that ``raw`` is, by its digest, else by its MAC; None for any other text.

    ``row``: what ``find_refresh_row`` returned for it, if it was called. One of another text is not used.
    """
    text = crypto.parse_refresh_token(raw, prefix=app_settings.refresh_token_prefix)
    if text is None:
        return None
    if row is None or row.digest != text.digest:
        row = find_by_digest(RefreshToken, text.digest)
    if row is not None:
        return PresentedRefreshToken(grant=row.grant, generation=row.generation, row=row)
    # The row may have been pruned. Reuse must be noticed all the same, and the MAC proves that we issued the text.
    grants = Grant.objects.using(db_alias()).select_related("user", "application")
    grant = with_hidden_users(grants).filter(public_id=text.public_id).first()
    if grant is None or not text.has_valid_mac(bytes(grant.mac_key)):
        return None
    return PresentedRefreshToken(grant=grant, generation=text.generation, row=None)


def find_access_token(raw: str) -> AccessToken | None:
    """Return the row of the access token that ``raw`` is; None for any other text, without a statement if malformed."""
    if not crypto.is_opaque_token_text(raw, prefix=app_settings.access_token_prefix):
        return None
    return find_by_digest(AccessToken, crypto.digest(raw), unused=_UNUSED)


def authenticate_access_token(raw: str) -> AccessToken:
    """Return the live access token that ``raw`` is, with its grant, application and user.

    It costs one statement; none for a text that has not the form of a token of ours. Nothing is cached, so a revoked
    token is refused at the next request. Raises InvalidToken.
    """
    token = find_access_token(raw)
    if token is None:
        raise InvalidToken("The text is no access token of this server.")
    now = timezone.now()
    if (reason := token.grant.inactive_reason(now)) is not None:
        raise InvalidToken(f"The grant of the access token is not active: {reason}.")
    if not token.is_live_at(now):
        raise InvalidToken("The access token is expired, revoked, or was replaced by a refresh.")
    return token


def find_users(name: str) -> list[Any]:
    """Return the users with exactly this name, for staff: also those whom the default manager hides, after the others.

    There may be several of them: a name can be free again once its user is hidden.
    """
    users, alias = get_user_model(), db_alias()
    try:
        found = list(users._base_manager.using(alias).filter(**{users.USERNAME_FIELD: name}).order_by("pk"))
    except (ValueError, ValidationError):  # a name may also be a number, or a UUID
        return []
    # A case-insensitive or padding collation (MariaDB) finds what is not the same.
    stored = [(getattr(user, users.USERNAME_FIELD), user) for user in found]
    same = [user for text, user in stored if text == name or not isinstance(text, str)]
    return sorted(same, key=lambda user: is_hidden(user.pk, using=alias)) if len(same) > 1 else same


def mentions_token(text: str) -> bool:
    """Whether something in ``text`` has the form of a token of ours."""
    return next(_candidates(text), None) is not None


def find_tokens_in(text: str) -> list[PresentedRefreshToken | AccessToken]:
    """Return the genuine tokens in a text such as a log, the first of each grant.

    Text that only looks like a token, such as an attacker's noise, costs a few statements for each thousand.
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
    rows = AccessToken.objects.using(db_alias()).select_related("grant__user", "grant__application")
    return {digests[row.digest]: row for row in rows.filter(digest__in=digests)}


def _refresh_tokens(raw_texts: list[str]) -> dict[str, PresentedRefreshToken | AccessToken]:
    """Return the genuine refresh tokens among the texts: by their digests, then by their MACs."""
    prefix = app_settings.refresh_token_prefix
    parsed = {raw: text for raw in raw_texts if (text := crypto.parse_refresh_token(raw, prefix=prefix)) is not None}
    rows = RefreshToken.objects.using(db_alias()).select_related("grant__user", "grant__application")
    by_digest = {row.digest: row for row in rows.filter(digest__in=[text.digest for text in parsed.values()])}
    grants = Grant.objects.using(db_alias()).select_related("user", "application")
    unmatched_public_ids = [text.public_id for text in parsed.values() if text.digest not in by_digest]
    by_public_id = {grant.public_id: grant for grant in grants.filter(public_id__in=unmatched_public_ids)}
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
