"""Receivers that deactivate old refresh tokens: at every refresh, and when a user or an application changes.

Receivers of saves are connected without a sender and check the instance's class; receivers of deletions are connected
to each model. Both cover proxies and child models of the user model and of Application.
"""

from typing import Any, TypeGuard

from django.contrib.auth import get_user_model
from django.db.models import Model, Q

from oauth_refresh.models import Application, RevocationReason
from oauth_refresh.services import account_events, revoke_grants
from oauth_refresh.services.db import db_alias
from oauth_refresh.services.issuing import lock_users
from oauth_refresh.services.rotation import Rotation

_PASSWORD_ALONE = frozenset({"password"})
_CREDENTIAL_COLUMNS = (
    *("auth_method", "jwks", "jwks_uri", "secret_digest"),
    *("imported_secret_hash", "old_secret_digest", "old_secret_expires_at"),
)

# Attributes that one receiver sets on a user instance, and the next one reads.
_REHASHED_FINGERPRINTS = "_oauth_refresh_replaced_fingerprints"
_SAVED_BEFORE = "_oauth_refresh_saved_before"


def deactivate_old_refresh_tokens(sender: type[Model], rotation: Rotation, **kwargs: object) -> None:
    """Spend the presented refresh token. Without this receiver a refresh issues nothing and is answered with 503."""
    rotation.spend()


def remember_password_before_rehash(
    sender: type[Model], instance: Model, raw: bool, using: str, update_fields: frozenset[str] | None, **kwargs: object
) -> None:
    """Before a save of the password alone: read what is stored, to distinguish Django's re-hash at login from a change.

    After ``set_password()`` and ``save()``, ``_password`` is None, as after a re-hash. Such an instance is marked, and
    its later saves never count as a re-hash.
    """
    if raw or not isinstance(instance, get_user_model()):  # raw: loaddata restores rows as they were
        return
    state = vars(instance)
    state.pop(_REHASHED_FINGERPRINTS, None)
    if state.get("_password") is not None:
        state[_SAVED_BEFORE] = True  # also by a save into another database: the next one may be into ours
    if using == db_alias() and update_fields == _PASSWORD_ALONE and not state.get(_SAVED_BEFORE):
        state[_REHASHED_FINGERPRINTS] = account_events.fingerprints_replaced_by_rehash(
            _user_id(instance), user=instance
        )


def revoke_when_user_changes(
    sender: type[Model],
    *,
    instance: Model,
    created: bool,
    raw: bool,
    using: str,
    update_fields: frozenset[str] | None,
    **kwargs: object,
) -> None:
    """After a save that can have deactivated or hidden a user, or changed a password."""
    if raw or not _is_ours(instance, get_user_model(), using=using):
        return
    replaced = vars(instance).pop(_REHASHED_FINGERPRINTS, ())
    if _writes("password", update_fields):
        vars(instance)[_SAVED_BEFORE] = True
    if created:
        return
    if _writes("is_active", update_fields) and not getattr(instance, "is_active", True):
        revoke_grants(Q(user=_user_id(instance)), reason=RevocationReason.USER_DEACTIVATED)
    else:
        account_events.revoke_for_hidden_user(_user_id(instance))
    if replaced:
        account_events.renew_fingerprints(_user_id(instance), user=instance, replaced=replaced)
    elif _writes("password", update_fields):
        account_events.revoke_for_changed_password(_user_id(instance), user=instance)


def revoke_when_application_changes(
    sender: type[Model],
    *,
    instance: Model,
    created: bool,
    raw: bool,
    using: str,
    update_fields: frozenset[str] | None,
    **kwargs: object,
) -> None:
    """After a save that can have deactivated an application or taken its last secret or key."""
    if raw or created or not _is_ours(instance, Application, using=using):
        return
    if _writes("is_active", update_fields) and not instance.is_active:
        revoke_grants(Q(application=instance), reason=RevocationReason.APPLICATION_DEACTIVATED)
    if any(_writes(column, update_fields) for column in _CREDENTIAL_COLUMNS):
        account_events.revoke_for_withdrawn_credentials(instance)


def revoke_before_deletion(sender: type[Model], instance: Model, using: str, **kwargs: object) -> None:
    """Before a user or an application is deleted, and all its grants with it.

    The update locks the grants, so that a refresh in progress is refused instead of making the deletion fail. The
    applications that the deletion writes, and the user, are locked first, in the same order as when a grant starts or
    a session moves: no deadlock.
    """
    if _is_ours(instance, Application, using=using):
        account_events.lock_applications(pk=instance.pk)
        revoke_grants(Q(application=instance), reason=RevocationReason.APPLICATION_DELETED)
    elif _is_ours(instance, get_user_model(), using=using):
        account_events.lock_applications(owner=_user_id(instance))
        lock_users([_user_id(instance)])
        revoke_grants(Q(user=_user_id(instance)), reason=RevocationReason.USER_DELETED)


def _is_ours(instance: Model, model: type[Model], *, using: str) -> TypeGuard[Any]:
    """Whether ``instance`` is a row of ``model`` in the database that we write to.

    A row in another one, such as an archive or a copy for tests, may be of another person with the same key.
    """
    return using == db_alias() and isinstance(instance, model)


def _writes(field: str, update_fields: frozenset[str] | None) -> bool:
    return update_fields is None or field in update_fields


def _user_id(instance: Model) -> Any:
    """Return the primary key of the user that ``instance`` is, also where it is a child model with a key of its own."""
    return getattr(instance, get_user_model()._meta.pk.attname)
