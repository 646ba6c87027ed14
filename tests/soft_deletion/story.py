"""A grant where users are deleted softly; ``tests/test_projects.py`` runs this as a project of its own."""

import json
from http import HTTPStatus
from io import StringIO

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.utils import timezone

from oauth_refresh.models import STAFF, Grant
from oauth_refresh.services import issue_tokens
from tests.factories import SECRET, ApplicationFactory
from tests.oauth import OAuthClient, post_form
from tests.soft_deletion.models import Account

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    return Account.objects.create(username="ada", password=make_password("a password"))


@pytest.fixture
def client(account):
    application = ApplicationFactory(raw_secret=SECRET)
    issued = issue_tokens(application, user=account, grant_type=STAFF)
    return OAuthClient(application, SECRET, issued.access_token, issued.refresh_token, issued.grant)


def test_system_checks_find_nothing():
    call_command("check", fail_level="WARNING")


def test_no_migration_is_missing():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_grant_is_refreshed_again_and_again(client):
    client.rotate()
    client.rotate()

    assert Grant.objects.live().get().generation == 3


def test_deleted_account_loses_the_grant(client, account):
    account.delete()

    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST
    assert Grant.objects.get().revoked_reason == "user_deactivated"


def test_account_deleted_by_a_bulk_update_is_refused_at_use(client):
    Account.all_objects.update(deleted_at=timezone.now())

    answer = post_form("introspect", {"token": client.access_token}, authorization=client.authorization)
    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST
    assert answer.json() == {"active": False}
    assert not Grant.objects.live().exists()
    assert not Grant.objects.get().is_live


@pytest.mark.usefixtures("client")
def test_staff_can_revoke_for_a_deleted_account():
    Account.all_objects.update(deleted_at=timezone.now())
    printed = StringIO()

    call_command("oauth_revoke_grants", "--user", "ada", "--yes", "--json", stdout=printed)

    assert json.loads(printed.getvalue())["count"] == 1
