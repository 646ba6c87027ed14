"""A client that was not prepared comes to the new server with what it holds; ``tests/test_toolkit.py`` runs this."""

from datetime import timedelta
from http import HTTPStatus
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from oauth_refresh.contrib.toolkit import adopt
from oauth_refresh.models import Application, Grant
from oauth_refresh.services import prune
from oauth_refresh.signals import refresh_token_reused
from tests.database import database_snapshot
from tests.factories import ApplicationFactory, UserFactory
from tests.interference import run_after_select
from tests.signals import recorded
from tests.toolkit.old import NEW, SECRET, OldClient, old_application, old_rows, old_session

pytestmark = pytest.mark.django_db

NOTHING_LEFT = {"AccessToken": [], "RefreshToken": []}


@pytest.fixture
def client(user):
    """A client of an application that was imported, whose session was not."""
    ApplicationFactory(client_id=old_application().client_id, raw_secret=SECRET)
    return OldClient().start(user).rotate()


def test_refresh_moves_the_session(client):
    client.server = NEW

    client.rotate().rotate()

    assert client.read_notes().status_code == HTTPStatus.OK
    assert Grant.objects.count() == 1
    assert old_rows() == NOTHING_LEFT


def test_hashed_rows_are_moved_too(user, settings, client):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True}
    client.rotate()
    client.server = NEW

    client.rotate()


def test_request_to_the_api_moves_the_session(client, user):
    assert client.read_notes().json()["user"] == user.username
    assert old_rows() == NOTHING_LEFT
    client.server = NEW
    client.rotate()


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_revoke_moves_the_session_and_revokes_it(client, kind):
    client.server = NEW

    response = client.post("revoke_token", token=getattr(client, kind))

    assert (response.status_code, response.json()) == (HTTPStatus.OK, {})
    assert Grant.objects.get().revoked_reason == "client_request"
    assert old_rows() == NOTHING_LEFT
    assert client.refresh().status_code == HTTPStatus.BAD_REQUEST


def test_expired_access_token_revokes_its_session(client):
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(days=1))
    client.server = NEW

    assert client.post("revoke_token", token=client.access_token).status_code == HTTPStatus.OK
    assert Grant.objects.get().revoked_reason == "client_request"


def test_introspection_moves_the_session(client, user):
    client.server = NEW

    answer = client.post("introspect", token=client.access_token).json()

    assert (answer["active"], answer["username"]) == (True, user.username)


def test_token_that_is_spent_there_just_before_the_lock_moves_its_successor(client):
    late = OldClient(refresh_token=client.refresh_token)
    with run_after_select(get_refresh_token_model(), client.rotate):
        adopt(late.refresh_token)

    assert old_rows() == NOTHING_LEFT
    assert Grant.objects.get().imported_generation == 3
    client.server = NEW
    client.rotate()


@pytest.mark.django_db(transaction=True)
def test_spent_text_of_a_session_that_was_not_moved_raises_the_alarm(client):
    spent = client.refresh_token
    client.rotate()
    client.server = NEW

    with recorded(refresh_token_reused) as alarms:
        assert client.refresh(spent).json()["error"] == "invalid_grant"

    assert len(alarms) == 1
    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert client.refresh().json()["error"] == "invalid_grant"
    assert old_rows() == NOTHING_LEFT


@pytest.mark.parametrize("moved_before", [True, False])
def test_spent_text_within_the_grace_period_is_refused_and_its_session_goes_on(client, settings, moved_before):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120}
    spent = client.refresh_token
    client.rotate()
    client.server = NEW
    if moved_before:
        client.rotate()

    assert client.refresh(spent).json()["error"] == "invalid_grant"

    assert not Grant.objects.filter(revoked_at__isnull=False).exists()
    client.rotate()


@pytest.mark.django_db(transaction=True)
def test_spent_text_raises_the_alarm_after_the_grace_period(client, settings, time_machine):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120}
    spent = client.refresh_token
    client.rotate()
    client.server = NEW
    time_machine.move_to(timezone.now() + timedelta(seconds=121))

    client.refresh(spent)

    assert Grant.objects.get().revoked_reason == "reuse_detected"


@pytest.mark.parametrize("before_the_move", [True, False], ids=["spent there", "spent here"])
def test_replay_of_a_moved_text_raises_the_alarm_also_after_prune(client, before_the_move, time_machine):
    spent = client.refresh_token
    client.server = client.server if before_the_move else NEW
    client.rotate()
    call_command("oauth_import_toolkit", "--sessions", verbosity=0)
    client.server = NEW
    client.rotate().rotate()
    time_machine.move_to(timezone.now() + timedelta(days=13))
    client.rotate()
    prune(retain=timedelta(0))

    assert client.refresh(spent).json()["error"] == "invalid_grant"
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def test_wrong_client_learns_nothing_and_changes_nothing_of_the_session(client):
    old_application("thief")
    ApplicationFactory(client_id="thief", raw_secret=SECRET)
    thief = OldClient("thief", server=NEW)

    assert thief.refresh(client.refresh_token).json()["error"] == "invalid_grant"
    assert thief.post("revoke_token", token=client.refresh_token).json()["error"] == "invalid_grant"
    client.server = NEW
    client.rotate()


def test_client_with_a_wrong_secret_moves_nothing(client):
    before = old_rows(), database_snapshot()
    stranger = OldClient(secret="a-wrong-secret-of-more-than-22-characters", server=NEW)

    assert stranger.refresh(client.refresh_token).status_code == HTTPStatus.UNAUTHORIZED
    assert (old_rows(), database_snapshot()) == before


def test_session_that_cannot_be_moved_is_refused_and_stays(client, caplog):
    Application.objects.all().update(client_id="another")
    before = old_rows()
    caplog.set_level("INFO", logger="oauth_refresh")

    adopt(client.refresh_token)

    assert (old_rows(), Grant.objects.count()) == (before, 0)
    assert "A session of django-oauth-toolkit was not moved: no_application." in caplog.messages
    client.rotate()


@pytest.mark.skipif(
    not get_refresh_token_model()._meta.get_field("user").null, reason="Only a model of the project allows it."
)
def test_session_without_a_user_stays(client, caplog):
    get_refresh_token_model().objects.update(user=None)
    before = old_rows()
    caplog.set_level("INFO", logger="oauth_refresh")

    adopt(client.refresh_token)

    assert (old_rows(), Grant.objects.count()) == (before, 0)
    assert "A session of django-oauth-toolkit was not moved: malformed." in caplog.messages


def test_public_client_that_sends_its_secret_is_refused_and_its_session_stays(user):
    client = public_client_that_sends_its_secret(user)
    call_command("oauth_import_toolkit", "--applications", stdout=StringIO())
    before = old_rows()
    client.server = NEW

    assert client.refresh().json()["error"] == "invalid_client"

    assert old_rows() == before
    client.server, client.secret = NEW, None
    client.rotate()


def test_application_that_is_made_confidential_before_the_import_goes_on_with_its_secret(user):
    client = public_client_that_sends_its_secret(user)
    get_application_model().objects.update(client_type="confidential")
    call_command("oauth_import_toolkit", "--applications", stdout=StringIO())
    client.server = NEW

    client.rotate()

    assert Application.objects.get().requires_pkce


def public_client_that_sends_its_secret(user):
    """Return a client that django-oauth-toolkit serves, since the secret of its public application is right."""
    old_application(client_type="public")
    return OldClient().start(user).rotate()


def test_access_token_without_a_refresh_token_is_unknown_here(client):
    tokens, expires = get_access_token_model().objects, timezone.now() + timedelta(hours=1)
    tokens.create(application=client_row(), token="of-a-machine", scope="notes:read", expires=expires)
    before = old_rows()
    machine = OldClient(access_token="of-a-machine", server=NEW)

    assert machine.read_notes().status_code == HTTPStatus.UNAUTHORIZED
    assert machine.post("introspect", token=machine.access_token).json() == {"active": False}
    assert machine.post("revoke_token", token=machine.access_token).json() == {}

    assert (old_rows(), Grant.objects.count()) == (before, 0)


@pytest.mark.parametrize("raw", ["unknown", "", "\x00", "\ud800", "x" * 10_000])
def test_text_that_is_unknown_there_changes_nothing(client, raw):
    before = old_rows(), database_snapshot()

    adopt(raw)

    assert (old_rows(), database_snapshot()) == before


def test_text_that_was_revoked_there_is_refused(client):
    client.post("revoke_token", token=client.refresh_token)
    client.server = NEW

    assert client.refresh().json()["error"] == "invalid_grant"
    assert not Grant.objects.exists()


def test_spent_text_without_a_family_moves_nothing(client, user):
    session = old_session(client_row(), user, "spent", revoked=timezone.now())
    type(session).objects.filter(pk=session.pk).update(token_family=None)

    adopt("spent")

    assert not Grant.objects.exists()


def client_row():
    return get_access_token_model().objects.first().application


def test_sessions_of_others_stay_where_they_are(client):
    other = OldClient().start(UserFactory())
    client.server = NEW
    client.rotate()

    assert len(old_rows()["RefreshToken"]) == 1
    other.rotate()
