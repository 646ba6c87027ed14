"""A system check against running in production on a database that holds the demonstration's accounts."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error
from django.db import connections, router

from example_project.demo.accounts import ADMIN, ALL_APPLICATIONS, USER
from oauth_refresh import crypto
from oauth_refresh.models import Application


def check_no_demo_accounts(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report accounts whose credentials are public. ``migrate`` runs this check too, and stops."""
    alias = router.db_for_write(Application)
    if settings.DEBUG or alias not in (databases or ()) or not _has_tables(alias):
        return []
    found = [*_users_with_public_passwords(), *_applications_with_public_secrets()]
    if not found:
        return []
    return [
        Error(
            f"The database holds accounts of the demonstration: {', '.join(found)}.",
            hint="Their secrets are public. Use another database in production, or delete these accounts.",
            id="example_project.E001",
        )
    ]


def _has_tables(alias: str) -> bool:
    """Whether the tables exist: the first ``migrate`` runs this check before it creates them."""
    names = connections[alias].introspection.table_names()
    return {Application._meta.db_table, get_user_model()._meta.db_table} <= set(names)


def _users_with_public_passwords() -> Iterable[str]:
    for demo_user in (USER, ADMIN):
        user = get_user_model().objects.filter(username=demo_user.username).first()
        if user is not None and user.check_password(demo_user.password):
            yield demo_user.username


def _applications_with_public_secrets() -> Iterable[str]:
    """Yield the client IDs of those with an unchanged secret. A public application has none: its name is enough."""
    for application in ALL_APPLICATIONS:
        digest = "" if application.secret is None else crypto.digest(application.secret)
        if Application.objects.filter(client_id=application.client_id, secret_digest=digest, is_active=True).exists():
            yield application.client_id
