"""The project's user model: whom its default manager shows, inactive users, passwords, and deletion."""

from collections.abc import Iterator
from typing import Any, TypeVar

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Exists, OuterRef
from django.db.models.deletion import Collector

from oauth_refresh import crypto

Rows = TypeVar("Rows", bound=models.QuerySet[Any])


def cascade_first(
    collector: Collector, field: models.ForeignKey[Any, Any], sub_objs: models.QuerySet[Any], using: str
) -> None:
    """Delete the rows that point to a row before that row itself, also where their foreign key may be null.

    Django's CASCADE leaves that order open for a key that may be null, and where a database cannot defer the check of
    foreign keys (MariaDB) it sets the key to null first. A grant without its user is what a constraint forbids.
    """
    collector.collect(
        sub_objs,
        source=field.remote_field.model,
        source_attr=field.name,
        nullable=False,
        fail_on_restricted=False,
    )


def users_have_is_active() -> bool:
    try:
        get_user_model()._meta.get_field("is_active")
    except FieldDoesNotExist:
        return False
    return True


def may_hide_users() -> bool:
    """Whether the default manager may leave users out, as one for soft deletion does: it has a queryset of its own."""
    return type(get_user_model()._default_manager).get_queryset is not models.Manager.get_queryset


def is_hidden(user_id: Any, *, using: str | None) -> bool:
    """Whether the default manager leaves the user out. One statement, none if it cannot leave users out."""
    return may_hide_users() and not get_user_model()._default_manager.using(using).filter(pk=user_id).exists()


def shows_user(path: str = "") -> Exists:
    """Return the condition that the default manager shows the user of a grant, which a query reaches by ``path``."""
    return Exists(get_user_model()._default_manager.filter(pk=OuterRef(f"{path}user_id")))


def with_hidden_users(rows: Rows, *, path: str = "") -> Rows:
    """Let the statement that reads the rows also read whether the users of their grants are hidden."""
    return rows.annotate(user_is_hidden=~shows_user(path)) if may_hide_users() else rows


def password_fingerprints(user: Any) -> Iterator[str]:
    """Yield the fingerprints that stand for the user's password: the current one, then one per fallback key.

    A fingerprint is the digest of ``get_session_auth_hash()``, so it changes with the password exactly when Django ends
    the user's sessions. A user model without that method has no passwords, hence no fingerprints.
    """
    if not hasattr(user, "get_session_auth_hash"):
        return
    yield crypto.digest(user.get_session_auth_hash())
    yield from map(crypto.digest, getattr(user, "get_session_auth_fallback_hash", tuple)())
