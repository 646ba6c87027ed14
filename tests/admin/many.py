"""Many rows of every model, stored in bulk: each grant has a user, application and tokens of its own."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.models import (
    AccessToken,
    Application,
    AuthorizationCode,
    Grant,
    GrantEvent,
    RefreshToken,
    TrustedIssuer,
    UsedAssertion,
)


def many_rows(count: int) -> dict[str, Any]:
    """Store so many rows of every model; return one active row of each, by the name of its pages.

    The grant was refreshed so many times, too, and each time there was an alarm.
    """
    now = timezone.now()
    later = now + timedelta(days=1)
    numbers = range(count)
    users = many_users(count)
    applications = Application.objects.bulk_create(
        Application(client_id=f"client-{number}", name=f"Application {number}", owner=users[number])
        for number in numbers
    )
    grants = Grant.objects.bulk_create(
        Grant(
            application=applications[number],
            user=users[number],
            grant_type="password",
            generation=1,
            created_at=now,
            idle_expires_at=later,
            address="192.0.2.1",
            **ended(now, by=users[-number]) if number % 2 else {},
        )
        for number in numbers
    )
    oldest = grants[0]
    Grant.objects.filter(pk=oldest.pk).update(generation=count + 1)
    pairs = [*[(grant, 1) for grant in grants], *[(oldest, number) for number in range(2, count + 2)]]
    rows = {
        "application": applications,
        "grant": grants,
        "auth_user": users,
        "refreshtoken": stored(tokens(RefreshToken, pairs, created_at=now, expires_at=later, address="192.0.2.1")),
        "accesstoken": stored(tokens(AccessToken, pairs, created_at=now, expires_at=later, scope="notes:read")),
        "grantevent": stored(GrantEvent(grant=grant, kind="reused", generation=number) for grant, number in pairs),
        "authorizationcode": stored(codes(grants, created_at=now)),
        "trustedissuer": stored(TrustedIssuer(issuer=f"https://{number}.example", jwks={}) for number in numbers),
        "usedassertion": stored(UsedAssertion(digest=f"{number:064}", expires_at=now) for number in numbers),
    }
    newest = {"refreshtoken": rows["refreshtoken"][-1]}
    return {name: stored_rows[0] for name, stored_rows in rows.items()} | newest


def many_users(count: int) -> list[Any]:
    return stored(get_user_model()(username=f"user {number}", password="!") for number in range(count))


def grants_of(application: Application, count: int) -> list[Grant]:
    """Store so many active grants of one application, each of another user."""
    now = timezone.now()
    fields = {"grant_type": "password", "generation": 1, "created_at": now, "idle_expires_at": now + timedelta(days=1)}
    return stored(Grant(application=application, user=user, **fields) for user in many_users(count))


def ended(at: Any, *, by: Any) -> dict[str, Any]:
    return {"revoked_at": at, "revoked_reason": "incident", "revoked_by": by}


def stored(rows: Iterable[Any]) -> list[Any]:
    listed = list(rows)
    return list(type(listed[0])._default_manager.bulk_create(listed))


def tokens(model: type[Any], pairs: list[tuple[Grant, int]], **fields: Any) -> Iterable[Any]:
    return (
        model(grant=grant, generation=generation, digest=crypto.digest(f"{grant.pk} {generation}"), **fields)
        for grant, generation in pairs
    )


def codes(grants: list[Grant], **fields: Any) -> Iterable[AuthorizationCode]:
    return (AuthorizationCode(grant=grant, digest=crypto.digest(f"{grant.pk}"), **fields) for grant in grants)
