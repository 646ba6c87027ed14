"""What ends grants also ends sessions that were not moved yet; ``tests/test_toolkit.py`` runs this."""

from datetime import timedelta
from http import HTTPStatus
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from oauth_refresh.models import Application, Grant
from oauth_refresh.services import revoke_grants
from oauth_refresh.user_pages.grants import disconnect_application
from tests.factories import PASSWORD, ApplicationFactory, UserFactory
from tests.toolkit.old import NEW, OLD, SECRET, OldClient, old_application, old_rows, old_session, old_spent

pytestmark = pytest.mark.django_db


@pytest.fixture
def application():
    return ApplicationFactory(client_id=old_application().client_id, raw_secret=SECRET)


@pytest.fixture
def client(application, user):
    """A client whose session is still at django-oauth-toolkit, and whose requests go to the new server."""
    client = OldClient().start(user).rotate()
    client.server = NEW
    return client


@pytest.fixture
def other(application):
    """The same for another user, who is never concerned."""
    client = OldClient().start(UserFactory())
    client.server = NEW
    return client


def change_password(user):
    user.set_password("another long password")
    user.save()


def deactivate_and_activate(user):
    for is_active in (False, True):
        user.is_active = is_active
        user.save()


def revoke_by_command(user):
    call_command("oauth_revoke_grants", "--user", user.username, "--yes", stdout=StringIO())


USER_EVENTS = {
    "all grants of the user": lambda user: revoke_grants(Q(user=user), reason="a test"),
    "all grants of some users": lambda user: revoke_grants(Q(user__in=User.objects.filter(pk=user.pk)), reason="x"),
    "users as in the admin": lambda user: revoke_grants(
        Q(user__in=User.objects.filter(pk=user.pk).order_by().values("pk")), reason="a test"
    ),
    "the user and one application": lambda user: disconnect_application(user, Application.objects.get()),
    "command": revoke_by_command,
    "password": change_password,
    "deactivated for a while": deactivate_and_activate,
}


def is_refused(client):
    return (client.refresh().status_code, client.read_notes().status_code) == (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
    )


@pytest.mark.parametrize("event", USER_EVENTS)
def test_what_ends_the_grants_of_a_user_ends_sessions_that_were_not_moved(client, other, user, event):
    USER_EVENTS[event](user)

    assert is_refused(client)
    client.server = OLD
    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST
    assert not Grant.objects.live().exists()
    other.rotate()


def test_its_old_server_refuses_it_within_its_grace_period_too(client, user, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120}
    change_password(user)

    client.server = OLD
    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST


def test_application_that_is_deactivated_and_activated_has_no_session_left(client, application):
    for is_active in (False, True):
        application.is_active = is_active
        application.save()

    assert is_refused(client)


def test_access_token_without_a_session_ends_with_its_application(application):
    get_access_token_model().objects.create(
        application=old_application("robot"), token="x", expires="2100-01-01T00:00Z"
    )
    robot = ApplicationFactory(client_id="robot")

    revoke_grants(Q(application__in=[robot]), reason="a test")

    assert not get_access_token_model().objects.filter(expires__year=2100).exists()


@pytest.mark.parametrize(("seconds", "is_ended"), [(0, False), (1, True)])
def test_only_sessions_that_began_before_the_time_are_ended(client, user, seconds, is_ended):
    time = get_refresh_token_model().objects.get(revoked=None).created + timedelta(seconds=seconds)

    revoke_grants(Q(user=user, created_at__lt=time), reason="a test")

    assert (client.read_notes().status_code == HTTPStatus.UNAUTHORIZED) == is_ended
    assert (client.refresh().status_code == HTTPStatus.BAD_REQUEST) == is_ended


@pytest.mark.parametrize(
    "selector",
    [
        lambda user: Q(user=user, address="192.0.2.1"),
        lambda user: Q(user=user) | Q(application=None),
        lambda user: ~Q(user=user),
        lambda user: Q(created_at__lt="2100-01-01T00:00Z"),
        lambda user: Q(user=user) & Q(user__in=[UserFactory()]),
    ],
    ids=["more than an owner", "or", "not", "time alone", "two users"],
)
def test_other_selector_ends_no_session_of_this_user(client, user, selector):
    revoke_grants(selector(user), reason="a test")

    client.rotate()


def test_nothing_is_ended_before_the_cut_over(client, user, oauth_settings):
    oauth_settings(FOREIGN_TOKENS=[])
    before = old_rows()

    change_password(user)
    revoke_grants(Q(user=user), reason="a test")

    assert old_rows() == before


def test_password_that_ends_no_grants_ends_no_session(client, user, oauth_settings):
    oauth_settings(REVOKE_ON_PASSWORD_CHANGE=False)

    change_password(user)

    client.rotate()


SAVES = {
    "same password": User.save,
    "another column": lambda user: user.save(update_fields=["last_login"]),
    "loaded": lambda user: user.save_base(raw=True),
}


@pytest.mark.parametrize("save", SAVES)
def test_save_that_changes_no_password_ends_nothing(client, user, save):
    SAVES[save](user)

    client.rotate()


def test_login_that_only_hashes_the_password_again_ends_nothing(client, user, settings):
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    before = user.password
    assert Client().login(username=user.username, password=PASSWORD)
    user.refresh_from_db()
    assert user.password != before

    client.rotate()


def test_new_user_costs_no_statement(application, django_assert_num_queries):
    with CaptureQueriesContext(connection) as queries:
        UserFactory()

    assert not [query for query in queries if "oauth2_provider" in query["sql"]]


def test_deleted_user_leaves_no_session(client, user):
    user.delete()

    assert is_refused(client)


def test_application_that_goes_back_takes_its_sessions_along(client, user):
    Application.objects.get().delete()

    client.server = OLD
    client.rotate()


def test_session_of_a_pasted_token_is_moved_so_that_it_can_be_revoked(client):
    browser = Client()
    browser.force_login(UserFactory(is_staff=True, is_superuser=True))

    page = browser.post(reverse("admin:oauth_refresh_grant_find"), {"text": f"log: {client.refresh_token}."})

    assert page["Location"] == reverse("admin:oauth_refresh_grant_change", args=[Grant.objects.get().pk])


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_command_revokes_the_session_of_a_leaked_token(client, monkeypatch, kind):
    monkeypatch.setattr("sys.stdin", StringIO(f"token={getattr(client, kind)}\n"))

    call_command("oauth_revoke_grants", "--token-stdin", "--yes", stdout=StringIO())

    assert is_refused(client)


def test_spent_text_is_noticed_however_old_it_is(application, user):
    old = old_session(old_application("web"), user, "current")
    ApplicationFactory(client_id="web", raw_secret=SECRET)
    old_spent(old, *(f"spent {number}" for number in range(7)))
    thief = OldClient("web", SECRET, NEW, refresh_token="spent 0")

    assert thief.refresh().json()["error"] == "invalid_grant"

    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert thief.refresh("current").status_code == HTTPStatus.BAD_REQUEST
