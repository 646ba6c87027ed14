"""A system check for who goes to production on a database that the demonstration was played on."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error
from django.db import connections, router

from example_project.demo.accounts import ADMIN, APPLICATIONS, PATIENT, STRICT, USER
from oauth_refresh import crypto
from oauth_refresh.models import Application


def check_demonstration_is_gone(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Find what anybody could sign in with who has read this repository; ``migrate`` stops then, too."""
    alias = router.db_for_write(Application)
    if settings.DEBUG or alias not in (databases or ()) or not _has_tables(alias):
        return []
    found = [*_users_with_public_passwords(), *_applications_with_public_secrets()]
    if not found:
        return []
    return [
        Error(
            f"The database holds accounts of the demonstration: {', '.join(found)}.",
            hint="Their secrets are public. Take a database of its own for production, or delete them.",
            id="example_project.E001",
        )
    ]


def _has_tables(alias: str) -> bool:
    """Whether the database was migrated before: a check runs at the first ``migrate``, too."""
    names = connections[alias].introspection.table_names()
    return {Application._meta.db_table, get_user_model()._meta.db_table} <= set(names)


def _users_with_public_passwords() -> Iterable[str]:
    for person in (USER, ADMIN):
        user = get_user_model().objects.filter(username=person.username).first()
        if user is not None and user.check_password(person.password):
            yield person.username


def _applications_with_public_secrets() -> Iterable[str]:
    """Yield those as they were made; without a secret the name alone is public, so it counts as well."""
    for application in (*APPLICATIONS, STRICT, PATIENT):
        digest = "" if application.secret is None else crypto.digest(application.secret)
        if Application.objects.filter(client_id=application.client_id, secret_digest=digest, is_active=True).exists():
            yield application.client_id
