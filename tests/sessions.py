"""Sessions of a user: as many as it takes, and each kind that does not act for them."""

from typing import Any

from django.db.models import Model

from oauth_refresh.models import Grant
from tests.factories import ApplicationFactory, AuthorizationCodeFactory, GrantFactory


def make_sessions(user: Any, count: int) -> None:
    """Begin any number of sessions of one application by one statement."""
    application = ApplicationFactory()
    Grant.objects.bulk_create(GrantFactory.build_batch(count, user=user, application=application))


def of_another_user(user: Any) -> Grant:
    return GrantFactory()


def revoked(user: Any) -> Grant:
    return GrantFactory(user=user, revoked=True)


def expired(user: Any) -> Grant:
    return GrantFactory(user=user, expired=True)


def waiting_for_its_code(user: Any) -> Grant:
    return AuthorizationCodeFactory(grant__user=user).grant


def of_an_inactive_application(user: Any) -> Grant:
    return GrantFactory(user=user, application__is_active=False)


def begun_with_another_password(user: Any) -> Grant:
    return GrantFactory(user=user, password_fingerprint="0" * 64)


class LaggingReplica:
    """A router that sends every read of the app's tables to another database, which does not exist."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return "replica" if model._meta.app_label == "oauth_refresh" else None
