"""What happens to users and applications in another database; ``test_projects.py`` runs this as its own project.

Each has the primary key of another user or application in our database.
"""

from http import HTTPStatus
from io import StringIO

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import reverse

from oauth_refresh.models import Application, Grant
from tests.factories import PASSWORD
from tests.user_pages.pages import signed_in

pytestmark = pytest.mark.django_db(databases=["default", "archive"])


@pytest.fixture
def archived_user(client_app):
    person = User(pk=client_app.grant.user_id, username="another person", password=make_password("another"))
    person.save(using="archive", force_insert=True)
    return User.objects.using("archive").get()


@pytest.fixture
def archived_application(client_app):
    other = Application(pk=client_app.application.pk, client_id="another", name="Another", secret_digest="0" * 64)
    other.save(using="archive", force_insert=True)
    return Application.objects.using("archive").get()


def saved_inactive(row):
    row.is_active = False
    row.save()


def saved_inactive_alone(row):
    row.is_active = False
    row.save(update_fields=["is_active"])


def scrubbed(row):
    row.username, row.email = "nobody", ""
    row.set_unusable_password()
    row.save()


def scrubbed_password_alone(row):
    row.set_unusable_password()
    row.save(update_fields=["password"])


def rehashed(row):
    User.objects.using("archive").update(password=make_password("another", hasher="pbkdf2_sha256"))
    row.refresh_from_db()
    assert row.check_password("another")


def deleted(row):
    row.delete()


def deleted_by_a_queryset(row):
    type(row).objects.using("archive").all().delete()


def deactivated_by_a_queryset(row):
    type(row).objects.using("archive").update(is_active=False)


def withdrawn(row):
    row.secret_digest = ""
    row.save()


OF_ANY = [saved_inactive, saved_inactive_alone, deleted, deleted_by_a_queryset, deactivated_by_a_queryset]
OF_USERS = [*OF_ANY, scrubbed, scrubbed_password_alone, rehashed]


@pytest.mark.parametrize("event", OF_USERS, ids=lambda event: event.__name__)
def test_user_in_the_archive_ends_nothing_here(client_app, archived_user, event):
    event(archived_user)

    assert client_app.refresh().status_code == HTTPStatus.OK


@pytest.mark.parametrize("event", [*OF_ANY, withdrawn], ids=lambda event: event.__name__)
def test_application_in_the_archive_ends_nothing_here(client_app, archived_application, event):
    event(archived_application)

    assert client_app.refresh().status_code == HTTPStatus.OK


def test_user_copied_into_the_archive_and_marked_there_keeps_the_grants(client_app, user):
    user.is_active = False
    user.save(using="archive", force_insert=True)

    assert client_app.refresh().status_code == HTTPStatus.OK


def test_new_password_saved_into_the_archive_first_ends_the_grants_once_it_is_here(client_app, settings):
    """The second save looks like Django's own re-hash at login: ``_password`` is None, and the hash is outdated."""
    settings.PASSWORD_HASHERS = list(reversed(settings.PASSWORD_HASHERS))
    user = User.objects.get(pk=client_app.grant.user_id)
    user.set_password("another password")
    user.save(using="archive", force_insert=True)

    user.save(using="default", update_fields=["password"])

    assert Grant.objects.get().revoked_reason == "password_changed"


def test_rehash_at_login_here_still_keeps_the_grants(client_app, settings):
    settings.PASSWORD_HASHERS = list(reversed(settings.PASSWORD_HASHERS))

    assert User.objects.get(pk=client_app.grant.user_id).check_password(PASSWORD)

    assert client_app.refresh().status_code == HTTPStatus.OK


def test_user_deleted_here_and_not_in_the_archive_loses_the_grants(client_app, user, archived_user):
    user.delete(using="default")

    assert not Grant.objects.exists()


@pytest.mark.parametrize("address", ["page", "list"])
def test_admin_of_the_archive_revokes_nothing_here(client_app, archived_user, admin_user, address):
    browser = signed_in(admin_user)
    url = (
        reverse("archive:auth_user_revoke", args=[archived_user.pk])
        if address == "page"
        else reverse("archive:auth_user_revoke_list")
    )

    shown = browser.get(url, follow=True)
    confirmed = browser.post(url, {"confirm": "1", "reason": "theft"}, follow=True)

    for response in (shown, confirmed):
        assert response.status_code == HTTPStatus.OK
        assert "Nothing was revoked: these rows are in another database." in response.content.decode()
    assert client_app.refresh().status_code == HTTPStatus.OK


def test_action_of_the_archive_revokes_nothing_here(client_app, archived_user, admin_user):
    response = signed_in(admin_user).post(
        reverse("archive:auth_user_changelist"),
        {"action": "revoke_grants", "_selected_action": [archived_user.pk], "confirm": "1", "reason": "theft"},
        follow=True,
    )

    assert "Nothing was revoked: these rows are in another database." in response.content.decode()
    assert client_app.refresh().status_code == HTTPStatus.OK


class ReadsTheArchive:
    """A router that reads users from the archive, as from a replica."""

    def db_for_read(self, model, **hints):
        return "archive" if model is User else None

    def db_for_write(self, model, **hints):
        return "default"


def test_command_looks_names_up_where_grants_are(client_app, archived_user, settings):
    settings.DATABASE_ROUTERS = ["tests.archive.story.ReadsTheArchive"]
    user = User.objects.using("default").get(pk=client_app.grant.user_id)

    call_command("oauth_revoke_grants", "--user", user.username, "--yes", stdout=StringIO())

    assert Grant.objects.get().revoked_reason == "operator_request"
