"""From the text of a token to its rows."""

from dataclasses import dataclass

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.services.transactions import write_alias


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
    return (
        AccessToken.objects.using(write_alias())
        .select_related("grant__user", "grant__application")
        .filter(digest=crypto.digest(raw))
        .first()
    )


def find_grant(raw: str) -> Grant | None:
    """Return the grant of a refresh token, live, spent or pruned, or of an access token whose row exists."""
    if (presented := find_refresh_token(raw)) is not None:
        return presented.grant
    access_token = find_access_token(raw)
    return None if access_token is None else access_token.grant
