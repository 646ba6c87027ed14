"""Tokens in a project with another user model; ``tests/test_user_models.py`` runs this as a project of its own."""

import os
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import STAFF, AccessToken, Grant, RefreshToken
from oauth_refresh.services import issue_tokens, statements
from oauth_refresh.services.tokens import Access, make_pair
from tests.factories import SECRET, ApplicationFactory
from tests.oauth import OAuthClient

pytestmark = pytest.mark.django_db

USERS = {
    "UuidUser": {
        "email": "ada@example.org",
        "profile": {"languages": ["en", "de"], "Ünïcode": None},
        "nickname": "ada",
        "seen_at": datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC if settings.USE_TZ else None),
    },
    "ChildUser": {"nickname": "ada", "email": "ada@example.org"},
}


@pytest.fixture
def user():
    user = get_user_model()(**USERS[os.environ["USER_MODEL"]])
    user.set_password("correct horse battery staple")
    user.save()
    return user


@pytest.fixture
def client(user):
    application = ApplicationFactory(raw_secret=SECRET, retry_window=timedelta(seconds=30))
    issued = issue_tokens(application, user=user, grant_type=STAFF)
    return OAuthClient(application, SECRET, issued.access_token, issued.refresh_token, issued.grant)


def loaded(row):
    """Return the columns of a row that were read."""
    columns = [field.attname for field in row._meta.concrete_fields]
    return {name: vars(row)[name] for name in columns if name in vars(row)}


def stored(model):
    rows = model.objects.order_by("pk").values()
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


def test_system_checks_find_no_error():
    call_command("check", fail_level="ERROR")


def test_no_migration_is_missing():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.parametrize("model", [RefreshToken, AccessToken])
def test_look_up_reads_what_the_orm_would(client, user, django_assert_num_queries, model):
    raw = client.refresh_token if model is RefreshToken else client.access_token
    expected = model.objects.select_related("grant__application", "grant__user").get()

    with django_assert_num_queries(1):
        found = statements.find_by_digest(model, crypto.digest(raw))
        chain = [found, found.grant, found.grant.application, found.grant.user]

    assert [loaded(row) for row in chain] == [
        loaded(row) for row in (expected, expected.grant, expected.grant.application, expected.grant.user)
    ]
    assert (found.grant.user, type(found.grant.user)) == (user, get_user_model())
    assert found.grant.user.nickname == "ada"


def test_both_ways_to_write_store_the_same(client):
    grant, now = Grant.objects.select_related("application", "user").get(), timezone.now()
    columns = {
        "generation": 2,
        "access_floor": 2,
        "refreshed_at": now,
        "idle_expires_at": now + timedelta(days=3),
        "retry_slots": b"\x00'%s" * 11,
        "retries": 0,
    }
    caller = ClientInfo(address="2001:db8::1", user_agent="100% '; --")
    advanced = statements.with_columns(grant, columns)
    rows = make_pair(advanced, access=Access(scope=("notes:read",)), now=now, client_info=caller).rows
    assert statements._advance(grant, columns, rows)
    by_the_orm = [stored(model) for model in (Grant, RefreshToken, AccessToken)]
    for row in rows:
        row.delete()
    Grant.objects.update(**{name: getattr(grant, name) for name in columns})

    statements.advance_grant(grant, columns, rows=rows)

    assert [stored(model) for model in (Grant, RefreshToken, AccessToken)] == by_the_orm
    assert Grant.objects.get().refreshed_at == now


def test_grant_is_refreshed_retried_and_revoked(client):
    first = client.refresh_token
    client.rotate()
    pair = client.rotate()

    again = client.refresh(first).json()

    assert (again["access_token"], again["refresh_token"]) == (pair["access_token"], pair["refresh_token"])
    assert client.revoke(client.refresh_token).status_code == HTTPStatus.OK
    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST


def test_user_who_is_deactivated_or_has_a_new_password_is_refused_at_use(client, user):
    users = get_user_model()
    users.objects.update(is_active=False)
    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST
    users.objects.update(is_active=True)
    user.set_password("another")
    user.save()

    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST


def test_refresh_is_written_by_one_statement_on_postgresql(client, django_assert_num_queries):
    begin_and_commit = 2  # as savepoints, since the test is a transaction
    with django_assert_num_queries(2 + begin_and_commit if connection.vendor == "postgresql" else 6):
        client.rotate()
