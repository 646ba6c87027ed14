"""What a changed password or withdrawn credentials mean for grants."""

from collections.abc import Collection
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import get_hasher, identify_hasher
from django.db import transaction
from django.db.models import Q, QuerySet

from oauth_refresh.conf import app_settings
from oauth_refresh.models import Application, Grant, RevocationReason, password_fingerprints
from oauth_refresh.models.users import is_hidden
from oauth_refresh.services.db import db_alias, retry_serialization_failure
from oauth_refresh.services.revocation import revoke_grants


def revoke_for_changed_password(user_id: Any, *, user: Any) -> None:
    """Revoke the user's grants that started with another password than the one ``user`` has now."""
    fingerprints = tuple(password_fingerprints(user))
    if not fingerprints or not app_settings.revoke_on_password_change:
        return
    other_password = Q(user=user_id) & ~Q(password_fingerprint__in=("", *fingerprints))
    revoke_grants(other_password, reason=RevocationReason.PASSWORD_CHANGED)


def revoke_for_hidden_user(user_id: Any) -> None:
    """Revoke the grants of a user whom the user model's default manager leaves out, as after a soft deletion."""
    if is_hidden(user_id, using=db_alias()):
        revoke_grants(Q(user=user_id), reason=RevocationReason.USER_DEACTIVATED)


def fingerprints_replaced_by_rehash(user_id: Any, *, user: Any) -> tuple[str, ...]:
    """Return the fingerprints of the password now stored, if saving ``user`` merely re-hashes it; else nothing.

    At login Django replaces a hash of an outdated algorithm or work factor: ``check_password`` sets ``_password`` to
    None and saves the password alone. Code that assigns ``password`` does neither, and rarely replaces an outdated
    hash. Known limit: of two logins that re-hash at the same moment, the second counts as a change and revokes.
    """
    if vars(user).get("_password", "") is not None or not user.has_usable_password():
        return ()
    stored = get_user_model()._base_manager.using(db_alias()).filter(pk=user_id).first()
    return tuple(password_fingerprints(stored)) if stored is not None and _is_outdated(stored.password) else ()


@retry_serialization_failure
def renew_fingerprints(user_id: Any, *, user: Any, replaced: Collection[str]) -> None:
    """Let the grants that started with the same password, hashed as before, keep working with its new hash."""
    grants = Grant.objects.using(db_alias()).unrevoked().filter(user=user_id, password_fingerprint__in=replaced)
    grants.update(password_fingerprint=next(password_fingerprints(user), ""))


def revoke_for_withdrawn_credentials(application: Application) -> None:
    """Revoke all grants of an application that has nothing left to authenticate with."""
    if not application.has_credentials:
        revoke_grants(Q(application=application), reason=RevocationReason.CREDENTIALS_WITHDRAWN)


def delete_applications(applications: QuerySet[Application]) -> None:
    """Delete them with their grants. They are locked first: a grant that starts meanwhile would make that fail."""
    with transaction.atomic(using=db_alias()):
        keys = list(applications.values_list("pk", flat=True))
        lock_applications(pk__in=keys)
        Application.objects.using(db_alias()).filter(pk__in=keys).delete()


def lock_applications(**selector: Any) -> None:
    """Lock the applications until the end of the transaction in which they, or their owner, are deleted."""
    with transaction.atomic(using=db_alias(), savepoint=False):
        applications = Application.objects.using(db_alias()).filter(**selector)
        list(applications.select_for_update().order_by("pk").values_list("pk"))


def _is_outdated(encoded: str) -> bool:
    """Whether Django would hash this password again at the next login (as ``check_password`` decides)."""
    preferred = get_hasher()
    try:
        hasher = identify_hasher(encoded)
    except ValueError:  # unusable, or of a hasher that the project no longer has: no login, so no re-hash
        return False
    return hasher.algorithm != preferred.algorithm or preferred.must_update(encoded)
