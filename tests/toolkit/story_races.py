"""Both servers at once, and a command that is killed: not on SQLite. ``tests/test_toolkit.py`` runs this."""

import os
import subprocess
import sys
from contextlib import suppress
from http import HTTPStatus

import pytest
from django.db import IntegrityError, connection, transaction
from oauth2_provider.models import get_refresh_token_model

from oauth_refresh.contrib.toolkit.all_sessions import move_all
from oauth_refresh.contrib.toolkit.applications import import_applications
from oauth_refresh.contrib.toolkit.undo import undo_applications
from oauth_refresh.models import Grant
from tests.factories import ApplicationFactory, UserFactory
from tests.server import ROOT
from tests.threads import run_together
from tests.toolkit.old import NEW, OLD, SECRET, OldClient, old_application, old_rows, old_session
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer."),
]

ROUNDS = 4 * int(os.environ.get("RACE_ROUNDS", "1"))
SCHEMES = {"postgresql": "postgres", "mysql": "mysql"}


@pytest.fixture
def client(user):
    ApplicationFactory(client_id=old_application(hash_client_secret=False).client_id, raw_secret=SECRET)
    return OldClient().start(user)


def live_sessions():
    """Return how many refresh tokens are current, at both servers together."""
    return get_refresh_token_model().objects.filter(revoked=None).count() + Grant.objects.live().count()


def at(server, client):
    return OldClient(client.client_id, client.secret, server, client.access_token, client.refresh_token)


@pytest.mark.parametrize("grace", [0, 120], ids=["strict", "grace period"])
def test_one_token_sent_to_both_servers_at_once_forks_no_session(client, user, settings, grace):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": grace}
    for _round in range(ROUNDS):
        client = OldClient().start(user)
        before = live_sessions() - 1

        answers = run_together(at(OLD, client).refresh, at(NEW, client).refresh, at(NEW, client).refresh)

        assert HTTPStatus.OK in {answer.status_code for answer in answers}
        assert live_sessions() <= before + 1


def test_session_that_is_moved_while_its_client_refreshes_lives_at_one_server(client, user):
    for _round in range(ROUNDS):
        client = OldClient().start(user)
        before = live_sessions() - 1

        [answer, _moved] = run_together(at(OLD, client).refresh, lambda: list(move_all()))

        assert live_sessions() == before + 1
        if answer.status_code == HTTPStatus.OK:
            at(OLD, client).hold(answer)
        else:  # its row was gone: the client asks again, and the address leads to the new server
            at(NEW, client).rotate()


def test_two_commands_at_once_move_each_session_once(client):
    application = get_refresh_token_model().objects.get().application
    for number in range(20):
        old_session(application, UserFactory(), f"text {number}")

    results = run_together(*[lambda: [moved.moved for _visited, moved in move_all(batch_size=3)]] * 2)

    assert sum(map(sum, results)) == Grant.objects.count() == 21
    assert old_rows() == {"AccessToken": [], "RefreshToken": []}


@transaction.atomic
def deactivate(row):
    row.is_active = False
    row.save()


@transaction.atomic
def change_password(user):
    user.set_password("another long password")
    user.save()


def delete(user):
    """Try again when a grant started after Django had collected what to delete; a deadlock is an error all the same."""
    for _session in range(5):
        with suppress(IntegrityError), transaction.atomic():
            type(user).objects.filter(pk=user.pk).delete()


@pytest.mark.parametrize(
    ("which", "change"),
    [("user", deactivate), ("user", change_password), ("user", delete), ("application", deactivate)],
)
def test_session_that_moves_while_its_owner_is_changed_ends(which, change):
    """The owner is changed as a page of the admin does it, in one transaction."""

    def change_owner():
        change(type(owner).objects.get(pk=owner.pk))

    for number in range(ROUNDS):
        old = old_application(f"shop{number}", hash_client_secret=False)
        application, user = ApplicationFactory(client_id=old.client_id, raw_secret=SECRET), UserFactory()
        owner = {"user": user, "application": application}[which]
        sessions = [old_session(old, user, f"text {number} {each}") for each in range(4)]
        clients = [OldClient(old.client_id, SECRET, NEW, refresh_token=session.token) for session in sessions]

        _changed, *answers = run_together(change_owner, *[client.refresh for client in clients])

        assert {answer.status_code for answer in answers} <= {200, 400, 401}
        assert live_sessions() == 0


def test_session_is_not_lost_while_its_application_goes_back(user):
    for number in range(ROUNDS):
        old_application(f"shop{number}", hash_client_secret=False)
        import_applications()
        client = OldClient(f"shop{number}").start(user)

        [answer, _undone] = run_together(at(NEW, client).refresh, undo_applications)

        if answer.status_code == HTTPStatus.OK:
            at(NEW, client).hold(answer).rotate()
        else:  # the application was gone before its session could move
            client.rotate()


def command(*options):
    settings = connection.settings_dict
    account = f"{settings['USER']}:{settings['PASSWORD']}".removesuffix(":")
    url = f"{SCHEMES[connection.vendor]}://{account}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"
    return subprocess.Popen(
        [sys.executable, "-m", "django", "oauth_import_toolkit", *options],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.toolkit.settings"},
        stdout=subprocess.DEVNULL,
    )


def test_command_that_was_killed_goes_on_where_it_was(client):
    application = get_refresh_token_model().objects.get().application
    for number in range(150):
        old_session(application, UserFactory(), f"text {number}")
    process = command("--sessions", "--batch-size", "2")
    wait_until(lambda: Grant.objects.exists() or process.poll() is not None)
    process.kill()
    process.wait()
    moved, left = Grant.objects.count(), get_refresh_token_model().objects.count()

    assert moved + left == 151
    list(move_all())

    assert Grant.objects.count() == 151
    assert old_rows() == {"AccessToken": [], "RefreshToken": []}
