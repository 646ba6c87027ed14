"""What was not used here goes back to django-oauth-toolkit; ``tests/test_toolkit.py`` runs this."""

import json
from datetime import timedelta
from http import HTTPStatus
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models import F
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from oauth_refresh.models import AccessToken, Application, Grant
from oauth_refresh.services import import_session, revoke_grant
from tests.database import database_snapshot
from tests.factories import ApplicationFactory, UserFactory
from tests.toolkit.old import NEW, OLD, OldClient, old_application, old_rows, old_session, old_spent

pytestmark = pytest.mark.django_db


def run(*options):
    printed = StringIO()
    call_command("oauth_import_toolkit", "--json", *options, stdout=printed)
    return json.loads(printed.getvalue())


@pytest.fixture
def application():
    return old_application(hash_client_secret=False)


def test_session_that_was_not_used_here_goes_on_at_the_old_server(application, user):
    client = OldClient().start(user).rotate()
    run()

    counts = run("--undo")

    assert counts == {
        "dry_run": False,
        "sessions": {"returned": 1, "kept": 0},
        "applications": {"returned": 1, "kept": 0},
    }
    assert not Grant.objects.exists()
    assert not Application.objects.exists()
    client.rotate().rotate()


def test_access_token_that_goes_back_is_accepted_by_the_old_server(application, user):
    client = OldClient().start(user)
    before = get_access_token_model().objects.values("token_checksum", "scope", "expires", "user_id").get()
    run()

    run("--undo")

    assert get_access_token_model().objects.values("token_checksum", "scope", "expires", "user_id").get() == before
    assert client.post("revoke_token", token=client.access_token).status_code == HTTPStatus.OK
    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST


def test_spent_texts_go_back_as_spent(application, user, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_REUSE_PROTECTION": True}
    client = OldClient().start(user)
    spent = client.refresh_token
    client.rotate()
    run()
    run("--undo")

    assert client.refresh(spent).status_code == HTTPStatus.BAD_REQUEST
    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST


def test_session_that_was_refreshed_here_stays(application, user):
    client = OldClient().start(user)
    run()
    client.server = NEW
    client.rotate()

    counts = run("--undo")

    assert counts["sessions"] == {"returned": 0, "kept": 1}
    assert counts["applications"] == {"returned": 0, "kept": 1}
    client.rotate()


def test_session_that_was_revoked_here_stays_revoked(application, user):
    client = OldClient().start(user)
    run()
    revoke_grant(Grant.objects.get(), reason="a test")

    assert run("--undo")["sessions"] == {"returned": 0, "kept": 0}
    client.server = OLD
    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST


REFUSED_HERE = {
    "password": lambda user: type(user).objects.filter(pk=user.pk).update(password="another"),
    "user": lambda user: type(user).objects.filter(pk=user.pk).update(is_active=False),
    "application": lambda _user: Application.objects.update(is_active=False),
    "expired": lambda _user: Grant.objects.update(idle_expires_at=F("created_at") + timedelta(microseconds=1)),
}


@pytest.mark.parametrize("cause", REFUSED_HERE)
def test_session_that_is_refused_here_does_not_go_back(application, user, cause):
    client = OldClient().start(user)
    run()
    REFUSED_HERE[cause](user)

    counts = run("--undo")

    assert counts["sessions"] == {"returned": 0, "kept": 1}
    assert counts["applications"] == {"returned": 0, "kept": 1}
    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST


CHANGES_HERE = {
    "inactive": {"is_active": False},
    "another secret": {"secret_digest": "0" * 64},
}


@pytest.mark.parametrize("change", CHANGES_HERE)
def test_application_that_was_changed_here_stays(application, change):
    run()
    Application.objects.update(**CHANGES_HERE[change])

    assert run("--undo")["applications"] == {"returned": 0, "kept": 1}


def test_application_with_a_short_secret_goes_back(user):
    old_application(hash_client_secret=False, client_secret="short")
    run()

    assert run("--undo")["applications"] == {"returned": 1, "kept": 0}


def test_resources_of_an_access_token_go_back_with_it(application, user, oauth_settings):
    one, other = "https://one.example", "https://other.example"
    oauth_settings(RESOURCES={one: {"scopes": ["notes:read"]}, other: {"scopes": ["notes:read"]}})
    old_session(application, user, "current", resource=[one, other], access_resource=[one])
    run()

    run("--undo")

    assert get_access_token_model().objects.get().resource == [one]
    assert get_refresh_token_model().objects.get().resource == [one, other]


def test_session_whose_access_token_was_pruned_goes_back_with_an_expired_one(application, user):
    client = OldClient().start(user)
    run()
    AccessToken.objects.all().delete()

    run("--undo")

    client.rotate()


def test_sessions_go_back_in_batches(application):
    for number in range(5):
        session = old_session(application, UserFactory(), f"text {number}")
        old_spent(session, f"spent {number}")
    before = sorted(row["token_checksum"] for row in old_rows()["RefreshToken"])
    run()

    assert run("--undo", "--batch-size", "2")["sessions"] == {"returned": 5, "kept": 0}
    assert sorted(row["token_checksum"] for row in old_rows()["RefreshToken"]) == before
    assert get_refresh_token_model().objects.filter(revoked=None).count() == 5


def test_dry_run_changes_nothing(application, user):
    old_session(application, user, "current")
    run()
    before = database_snapshot(), old_rows()

    counts = run("--undo", "--dry-run")

    assert counts["dry_run"]
    assert counts["sessions"] == {"returned": 1, "kept": 0}
    assert (database_snapshot(), old_rows()) == before
    assert Application.objects.count() == 1


def test_application_whose_hashed_secret_was_used_here_stays():
    old_application()
    run()
    Application.objects.update(imported_secret_hash="", secret_digest="0" * 64)

    assert run("--undo", "--applications") == {"dry_run": False, "applications": {"returned": 0, "kept": 1}}


@pytest.mark.parametrize("kind", [{}, {"client_type": "public"}], ids=["hashed secret", "public"])
def test_application_that_was_not_used_goes_back(kind):
    old_application(**kind)
    run()

    assert run("--undo")["applications"] == {"returned": 1, "kept": 0}


def test_application_that_was_registered_here_is_left_alone(application):
    ApplicationFactory(client_id=application.client_id)
    ApplicationFactory()

    assert run("--undo")["applications"] == {"returned": 0, "kept": 0}
    assert Application.objects.count() == 2


def test_session_imported_from_elsewhere_is_left_alone(user):
    import_session(ApplicationFactory(), user=user, scope="notes:read", refresh_token_digest="0" * 64)

    assert run("--undo", "--sessions")["sessions"] == {"returned": 0, "kept": 0}
    assert Grant.objects.count() == 1


def test_what_went_back_is_said_in_sentences(application, user):
    old_session(application, user, "current")
    run()
    printed = StringIO()

    call_command("oauth_import_toolkit", "--undo", stdout=printed)

    assert printed.getvalue().splitlines() == [
        "Applications: returned 1, kept 0.",
        "Sessions: returned 1, kept 0.",
    ]
