"""The step of ``toolkit_move.py`` inside its site: create applications and sessions of django-oauth-toolkit."""

import uuid
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application, RefreshToken

SECRET = "a-client-secret-of-more-than-22-characters"  # noqa: S105  of this benchmark
APPLICATIONS = {
    "phone": {"client_type": "public"},
    "tablet": {"client_type": "public"},
    "desktop": {"client_type": "public"},
    "web": {"client_type": "confidential", "hash_client_secret": False},
    "partner": {"client_type": "confidential", "hash_client_secret": True},
}
_AT_ONCE = 2_000


def create_sessions(count: int, users: int) -> None:
    """Create five applications, and sessions of which each second has a spent refresh token.

    The texts are ``refresh-N`` and ``access-N``, of the applications and the users in turn.
    """
    people = get_user_model().objects.bulk_create(get_user_model()(username=f"user{n}") for n in range(users))
    applications = [
        Application.objects.create(
            client_id=name, client_secret=SECRET, authorization_grant_type=Application.GRANT_PASSWORD, **fields
        )
        for name, fields in APPLICATIONS.items()
    ]
    for begin in range(0, count, _AT_ONCE):
        _create(range(begin, min(count, begin + _AT_ONCE)), applications, people)
    with connection.cursor() as cursor:  # as the guide says
        cursor.execute(f"CREATE INDEX token_family ON {RefreshToken._meta.db_table} (token_family)")


def _create(numbers: range, applications: list[Application], people: list[object]) -> None:
    expires = timezone.now() + timedelta(hours=10)
    owners = [
        {"application": applications[number % len(applications)], "user": people[number % len(people)]}
        for number in numbers
    ]
    access_tokens = AccessToken.objects.bulk_create(
        AccessToken(token=f"access-{number}", expires=expires, scope="notes:read", **owner)
        for number, owner in zip(numbers, owners, strict=True)
    )
    families = [uuid.uuid4() for _number in numbers]
    RefreshToken.objects.bulk_create(
        RefreshToken(token=f"spent-{number}", token_family=family, revoked=timezone.now(), **owner)
        for number, family, owner in zip(numbers, families, owners, strict=True)
        if number % 2
    )
    RefreshToken.objects.bulk_create(
        RefreshToken(token=f"refresh-{number}", token_family=family, access_token=access_token, **owner)
        for number, family, access_token, owner in zip(numbers, families, access_tokens, owners, strict=True)
    )
