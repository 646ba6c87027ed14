"""Grants of a user: many at once, and each kind that is not active or not the user's."""

from typing import Any

from oauth_refresh.models import Grant
from tests.factories import ApplicationFactory, AuthorizationCodeFactory, GrantFactory


def make_grants(user: Any, count: int) -> None:
    """Create any number of grants of one application by one statement."""
    application = ApplicationFactory()
    Grant.objects.bulk_create(GrantFactory.build_batch(count, user=user, application=application))


def grant_of_another_user(user: Any) -> Grant:
    return GrantFactory()


def revoked_grant(user: Any) -> Grant:
    return GrantFactory(user=user, revoked=True)


def expired_grant(user: Any) -> Grant:
    return GrantFactory(user=user, expired=True)


def grant_with_unredeemed_code(user: Any) -> Grant:
    return AuthorizationCodeFactory(grant__user=user).grant


def grant_of_an_inactive_application(user: Any) -> Grant:
    return GrantFactory(user=user, application__is_active=False)


def grant_from_before_a_password_change(user: Any) -> Grant:
    return GrantFactory(user=user, password_fingerprint="0" * 64)
