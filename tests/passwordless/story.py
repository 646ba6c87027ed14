"""A grant where users have no passwords; ``tests/test_projects.py`` runs this as a project of its own."""

from http import HTTPStatus

import pytest
from django.core.management import call_command

from oauth_refresh.models import STAFF, Grant
from oauth_refresh.services import issue_tokens
from tests.factories import SECRET, ApplicationFactory
from tests.oauth import OAuthClient
from tests.passwordless.models import Person

pytestmark = pytest.mark.django_db


@pytest.fixture
def person():
    return Person.objects.create(email="ada@example.org")


@pytest.fixture
def client(person):
    application = ApplicationFactory(raw_secret=SECRET)
    issued = issue_tokens(application, user=person, grant_type=STAFF)
    return OAuthClient(application, SECRET, issued.access_token, issued.refresh_token, issued.grant)


def test_system_checks_find_nothing():
    call_command("check", fail_level="WARNING")


def test_no_migration_is_missing():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_grant_has_no_fingerprint(client):
    assert client.grant.password_fingerprint == ""


def test_grant_is_refreshed_again_and_again(client):
    client.rotate()
    client.rotate()

    assert Grant.objects.live().get().generation == 3


def test_person_who_is_saved_keeps_the_grant(client, person):
    person.email = "lovelace@example.org"
    person.save()

    assert client.refresh().status_code == HTTPStatus.OK


def test_deactivated_person_loses_the_grant(client, person):
    person.is_active = False
    person.save()

    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST
    assert Grant.objects.get().revoked_reason == "user_deactivated"


def test_person_deactivated_by_a_bulk_update_is_refused_at_use(client):
    Person.objects.update(is_active=False)

    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST


def test_deleted_person_loses_the_grant(client, person):
    person.delete()

    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST
    assert not Grant.objects.exists()
