"""What follows for grants when a user or an application changes."""

from collections.abc import Collection
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import get_hasher, identify_hasher
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Q

from oauth_refresh.conf import app_settings
from oauth_refresh.models import Application, Grant, RevocationReason, password_fingerprints
from oauth_refresh.services.revocation import revoke_grants
from oauth_refresh.services.transactions import retry_serialization_failure, write_alias


def find_user(name: str) -> Any:
    """Return the user with exactly this name; None if there is none."""
    users = get_user_model()
    try:
        user = users._default_manager.get(**{users.USERNAME_FIELD: name})
    except (ObjectDoesNotExist, ValueError):
        return None
    stored = getattr(user, users.USERNAME_FIELD)
    # A case-insensitive or padding collation (MariaDB) finds what is not the same. A name may also be a number.
    return user if stored == name or not isinstance(stored, str) else None


def revoke_for_inactive_user(user_id: Any) -> None:
    revoke_grants(Q(user=user_id), reason=RevocationReason.USER_DEACTIVATED)


def revoke_for_changed_password(user_id: Any, *, user: Any) -> None:
    """Revoke the user's grants that began with another password than the one ``user`` holds in memory, now stored."""
    fingerprints = tuple(password_fingerprints(user))
    if not fingerprints or not app_settings.revoke_on_password_change:
        return
    other_password = Q(user=user_id) & ~Q(password_fingerprint__in=("", *fingerprints))
    revoke_grants(other_password, reason=RevocationReason.PASSWORD_CHANGED)


def fingerprints_replaced_by_rehash(user_id: Any, *, user: Any) -> tuple[str, ...]:
    """Return the fingerprints of the password now stored, if saving ``user`` merely re-hashes it; else nothing.

    At login Django replaces a hash of an outdated algorithm or work factor: ``check_password`` sets ``_password`` to
    None by hand and saves the password alone. Whoever assigns ``password`` leaves no such trace, and hardly ever finds
    an outdated hash. Of two logins at the same moment the second finds the hash renewed, and is taken for a change.
    """
    if vars(user).get("_password", "") is not None or not user.has_usable_password():
        return ()
    stored = get_user_model()._base_manager.using(write_alias()).filter(pk=user_id).first()
    return tuple(password_fingerprints(stored)) if stored is not None and _is_outdated(stored.password) else ()


@retry_serialization_failure
def renew_fingerprints(user_id: Any, *, user: Any, replaced: Collection[str]) -> None:
    """Let the grants that began with the same password, as it was hashed before, follow it to its new hash."""
    followers = Grant.objects.using(write_alias()).unrevoked().filter(user=user_id, password_fingerprint__in=replaced)
    followers.update(password_fingerprint=next(password_fingerprints(user), ""))


def revoke_for_deleted_user(user_id: Any) -> None:
    """Lock the user's grants, so that a refresh under way loses instead of breaking the deletion."""
    revoke_grants(Q(user=user_id), reason=RevocationReason.USER_DELETED)


def revoke_for_deleted_application(application: Application) -> None:
    """Lock the application's grants, so that a refresh under way loses instead of breaking the deletion."""
    revoke_grants(Q(application=application), reason=RevocationReason.APPLICATION_DELETED)


def revoke_for_inactive_application(application: Application) -> None:
    revoke_grants(Q(application=application), reason=RevocationReason.APPLICATION_DEACTIVATED)


def revoke_for_withdrawn_credentials(application: Application) -> None:
    """Revoke everything of an application that can no longer prove who it is."""
    if not application.has_credentials:
        revoke_grants(Q(application=application), reason=RevocationReason.CREDENTIALS_WITHDRAWN)


def _is_outdated(encoded: str) -> bool:
    """Whether Django would hash this password again at the next login (as ``check_password`` decides)."""
    preferred = get_hasher()
    try:
        hasher = identify_hasher(encoded)
    except ValueError:  # unusable, or of a hasher that the project no longer has: no login, so no re-hash
        return False
    return hasher.algorithm != preferred.algorithm or preferred.must_update(encoded)
