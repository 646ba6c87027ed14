"""From the text of a token, or the name of a user, to its row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidToken
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.models.users import is_hidden, with_hidden_users
from oauth_refresh.resources import is_for_resource
from oauth_refresh.services.db import db_alias
from oauth_refresh.services.foreign import ask_importers, is_foreign_text
from oauth_refresh.services.statements import find_by_digest

T = TypeVar("T")

# Every authenticated request of an API reads this one row; what it does not need stays in the database.
_UNUSED = (
    "digest",
    *(f"grant__{column}" for column in ("address", "mac_key", "revoked_reason", "user_agent")),
    *(
        f"grant__application__{column}"
        for column in (
            *("imported_secret_hash", "old_secret_digest", "secret_digest"),
            *("jwks", "jwks_uri", "redirect_uris"),
        )
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedRefreshToken:
    """A genuine refresh token, ours or imported. ``row`` is None if it was pruned, or is missing in a backup."""

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
    database, unless it may be a token of another server. No importer is asked.
    """
    text = crypto.parse_refresh_token(raw, prefix=app_settings.refresh_token_prefix)
    return find_by_digest(RefreshToken, crypto.digest(raw)) if text is not None or is_foreign_text(raw) else None


def find_refresh_token(raw: str, *, row: RefreshToken | None = None) -> PresentedRefreshToken | None:
    """Return the genuine refresh token that ``raw`` is, by its digest, else by its MAC; None for any other text.

    If it may be of another server, the importers of ``FOREIGN_TOKENS`` are asked first. ``row``: what
    ``find_refresh_row`` returned for it, if it was called. One of another text is not used. Raises ImporterFailed.
    """
    if row is not None and row.digest == crypto.digest(raw):
        return _presented(row)
    if is_foreign_text(raw):
        return _presented(_find_foreign(raw, _find_foreign_refresh_token))
    text = crypto.parse_refresh_token(raw, prefix=app_settings.refresh_token_prefix)
    if text is None:
        return None
    row = find_by_digest(RefreshToken, text.digest)
    if row is not None:
        return _presented(row)
    # The row may have been pruned. Reuse must be noticed all the same, and the MAC proves that we issued the text.
    grants = Grant.objects.using(db_alias()).select_related("user", "application")
    grant = with_hidden_users(grants).filter(public_id=text.public_id).first()
    if grant is None or not text.has_valid_mac(bytes(grant.mac_key)):
        return None
    return PresentedRefreshToken(grant=grant, generation=text.generation, row=None)


def find_access_token(raw: str) -> AccessToken | None:
    """Return the row of the access token that ``raw`` is; None for any other text, without a statement if malformed.

    If it may be of another server, the importers of ``FOREIGN_TOKENS`` are asked first. Raises ImporterFailed.
    """
    if is_foreign_text(raw):
        return _find_foreign(raw, _find_foreign_access_token)
    if not crypto.is_opaque_token_text(raw, prefix=app_settings.access_token_prefix):
        return None
    return find_by_digest(AccessToken, crypto.digest(raw), unused=_UNUSED)


def find_token(raw: str) -> PresentedRefreshToken | AccessToken | None:
    """Return the genuine token of either kind that ``raw`` is; None for any other text. Raises ImporterFailed.

    The prefix says of which kind a token of ours is. One of another server may be of both.
    """
    if not is_foreign_text(raw):
        presented = find_refresh_token(raw)
        return find_access_token(raw) if presented is None else presented
    return _find_foreign(raw, _find_foreign_token)


def _find_foreign(raw: str, find: Callable[[str], T]) -> T:
    """Return what ``find`` finds for the digest of ``raw``, if necessary after the importers were asked."""
    digest = crypto.digest(raw)
    found = find(digest)
    if found is None and app_settings.foreign_tokens:
        ask_importers(raw)
        found = find(digest)
    return found


def _find_foreign_refresh_token(digest: str) -> RefreshToken | None:
    return find_by_digest(RefreshToken, digest)


def _find_foreign_access_token(digest: str) -> AccessToken | None:
    return find_by_digest(AccessToken, digest, unused=_UNUSED)


def _find_foreign_token(digest: str) -> PresentedRefreshToken | AccessToken | None:
    presented = _presented(_find_foreign_refresh_token(digest))
    return _find_foreign_access_token(digest) if presented is None else presented


def _presented(row: RefreshToken | None) -> PresentedRefreshToken | None:
    return None if row is None else PresentedRefreshToken(grant=row.grant, generation=row.generation, row=row)


def authenticate_access_token(raw: str, *, resource: str | None = None) -> AccessToken:
    """Return the live access token that ``raw`` is, with its grant, application and user.

    It must have been issued for ``resource``, an identifier of ``RESOURCES`` or the issuer (RFC 8707); None: for the
    only resource there is, or else for this server as a whole. Without ``RESOURCES`` there is nothing to compare.
    It costs one statement; none for a text that has not the form of a token of ours, unless it may be one of another
    server (``FOREIGN_TOKENS``). Nothing is cached, so a revoked token is refused at the next request. Raises
    InvalidToken, and ImporterFailed.
    """
    token = find_access_token(raw)
    if token is None:
        raise InvalidToken("The text is no access token of this server.")
    now = timezone.now()
    if (reason := token.grant.inactive_reason(now)) is not None:
        raise InvalidToken(f"The grant of the access token is not active: {reason}.")
    if not token.is_live_at(now):
        raise InvalidToken("The access token is expired, revoked, or was replaced by a refresh.")
    if not is_for_resource(token.resource_names, resource):
        raise InvalidToken("The access token was issued for another resource.")
    return token


def find_users(name: str) -> list[Any]:
    """Return the users with exactly this name, for staff: also those whom the default manager hides, after the others.

    There may be several of them: a name can be free again once its user is hidden.
    """
    users, alias = get_user_model(), db_alias()
    try:
        found = list(users._base_manager.using(alias).filter(**{users.USERNAME_FIELD: name}).order_by("pk"))
    except (OverflowError, ValueError, ValidationError):  # a name may also be a number, or a UUID
        return []
    # A case-insensitive or padding collation (MariaDB) finds what is not the same.
    stored = [(getattr(user, users.USERNAME_FIELD), user) for user in found]
    same = [user for text, user in stored if text == name or not isinstance(text, str)]
    return sorted(same, key=lambda user: is_hidden(user.pk, using=alias)) if len(same) > 1 else same
