"""Signals that deactivate old refresh tokens: the one of every refresh, and the events that end a user's grants.

What listens to saves connects without a sender and tests the instance, what listens to deletions connects to each
model concerned: so proxies and child models count.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Model

from oauth_refresh.models import Application
from oauth_refresh.services.accounts import (
    fingerprints_replaced_by_rehash,
    renew_fingerprints,
    revoke_for_changed_password,
    revoke_for_deleted_application,
    revoke_for_deleted_user,
    revoke_for_inactive_application,
    revoke_for_inactive_user,
    revoke_for_withdrawn_credentials,
)
from oauth_refresh.services.rotation import Deactivation, Exchange, deactivate_old_refresh_token

_PASSWORD_ALONE = frozenset({"password"})
_CREDENTIAL_COLUMNS = ("auth_method", "jwks", "jwks_uri", "old_secret_digest", "old_secret_expires_at", "secret_digest")

# What an instance of the user model remembers from its own saves.
_REPLACED = "_oauth_refresh_replaced_fingerprints"
_SAVED_BEFORE = "_oauth_refresh_saved_before"


def deactivate_old_refresh_tokens(sender: type[Model], exchange: Exchange, **kwargs: object) -> Deactivation:
    """Spend the presented refresh token. A refresh whose receivers do not include this one is rolled back."""
    return deactivate_old_refresh_token(exchange)


def remember_password_before_rehash(
    sender: type[Model], instance: Model, raw: bool, update_fields: frozenset[str] | None, **kwargs: object
) -> None:
    """Before a save of the password alone: read what is stored, to tell Django's re-hash at login from a change.

    Once an instance was saved with a new raw password it bears the trace of a re-hash for ever: then it says nothing.
    """
    if raw or not isinstance(instance, get_user_model()):
        return
    state = vars(instance)
    state.pop(_REPLACED, None)
    if state.get("_password") is not None:
        state[_SAVED_BEFORE] = True
    if update_fields == _PASSWORD_ALONE and not state.get(_SAVED_BEFORE):
        state[_REPLACED] = fingerprints_replaced_by_rehash(_user_id(instance), user=instance)


def revoke_when_user_changes(
    sender: type[Model],
    instance: Model,
    created: bool,
    raw: bool,
    update_fields: frozenset[str] | None,
    **kwargs: object,
) -> None:
    """After a save that can have deactivated a user or changed a password."""
    if raw or not isinstance(instance, get_user_model()):
        return
    replaced = vars(instance).pop(_REPLACED, ())
    if _writes("password", update_fields):
        vars(instance)[_SAVED_BEFORE] = True
    if created:
        return
    if _writes("is_active", update_fields) and not getattr(instance, "is_active", True):
        revoke_for_inactive_user(_user_id(instance))
    if replaced:
        renew_fingerprints(_user_id(instance), user=instance, replaced=replaced)
    elif _writes("password", update_fields):
        revoke_for_changed_password(_user_id(instance), user=instance)


def revoke_when_application_changes(
    sender: type[Model],
    instance: Model,
    created: bool,
    raw: bool,
    update_fields: frozenset[str] | None,
    **kwargs: object,
) -> None:
    """After a save that can have deactivated an application or taken its last secret or key."""
    if raw or created or not isinstance(instance, Application):
        return
    if _writes("is_active", update_fields) and not instance.is_active:
        revoke_for_inactive_application(instance)
    if any(_writes(column, update_fields) for column in _CREDENTIAL_COLUMNS):
        revoke_for_withdrawn_credentials(instance)


def revoke_before_deletion(sender: type[Model], instance: Model, **kwargs: object) -> None:
    """Before a user or an application goes, and all its grants with it."""
    if isinstance(instance, Application):
        revoke_for_deleted_application(instance)
    else:
        revoke_for_deleted_user(_user_id(instance))


def _writes(field: str, update_fields: frozenset[str] | None) -> bool:
    return update_fields is None or field in update_fields


def _user_id(instance: Model) -> Any:
    """Return the primary key of the user that ``instance`` is, also where it is a child model with a key of its own."""
    return getattr(instance, get_user_model()._meta.pk.attname)
