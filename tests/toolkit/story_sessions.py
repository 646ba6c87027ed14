"""The command moves sessions of django-oauth-toolkit; ``tests/test_toolkit.py`` runs this as a project of its own."""

import json
import sys
import uuid
from datetime import timedelta
from http import HTTPStatus
from importlib import reload
from io import StringIO

import pytest
from django.contrib.auth.models import User, UserManager
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from oauth2_provider.settings import oauth2_settings

from oauth_refresh import crypto
from oauth_refresh.contrib.toolkit.management.commands import oauth_import_toolkit
from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken
from oauth_refresh.signals import session_imported
from tests.database import database_snapshot
from tests.factories import ApplicationFactory, UserFactory
from tests.signals import connected, recorded
from tests.toolkit.old import NEW, OldClient, old_application, old_rows, old_session, old_spent

pytestmark = pytest.mark.django_db

NOTHING_LEFT = {"AccessToken": [], "RefreshToken": []}


def move(*options):
    printed = StringIO()
    call_command("oauth_import_toolkit", "--json", *options, stdout=printed)
    return json.loads(printed.getvalue())


@pytest.fixture
def application():
    """An old application whose counterpart is registered here, with the secret that ``OldClient`` sends."""
    old = old_application()
    ApplicationFactory(client_id=old.client_id, raw_secret="an-old-client-secret-of-more-than-22-characters")
    return old


@pytest.mark.parametrize("hashed", [False, True], ids=["readable tokens", "hashed tokens"])
def test_client_goes_on_at_the_new_server_with_what_it_holds(application, user, settings, hashed):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": hashed}
    client = OldClient().start(user).rotate()

    counts = move("--sessions")

    assert counts == {
        "dry_run": False,
        "sessions": {"moved": 1, "access_tokens": 1, "spent": 1, "stayed": {}, "without_refresh_token": 0},
    }
    client.server = NEW
    assert client.read_notes().json()["user"] == user.username
    client.rotate().rotate()
    assert client.read_notes().status_code == HTTPStatus.OK
    assert old_rows() == NOTHING_LEFT


def test_moved_session_is_refused_by_the_old_server(application, user):
    client = OldClient().start(user)
    move("--sessions")

    assert client.refresh().json() == {"error": "invalid_grant"}


def test_spent_texts_are_kept_as_spent_five_at_most(application, user):
    session = old_session(application, user, "current")
    old_spent(session, *(f"spent {number}" for number in range(7)))

    counts = move("--sessions")

    assert counts["sessions"]["spent"] == 5
    rows = RefreshToken.objects.order_by("generation").values_list("generation", "digest")
    texts = ["spent 2", "spent 3", "spent 4", "spent 5", "spent 6", "current"]
    assert list(rows) == [(number, crypto.digest(text)) for number, text in enumerate(texts, start=1)]
    assert old_rows() == NOTHING_LEFT


def test_family_of_500_is_moved_and_deleted_as_a_whole(application, user):
    session = old_session(application, user, "current")
    old_spent(session, *(f"spent {number}" for number in range(499)))

    assert move("--sessions")["sessions"]["moved"] == 1

    assert RefreshToken.objects.count() == 6
    assert old_rows() == NOTHING_LEFT


def test_access_token_that_is_for_fewer_resources_than_its_session_stays_so(application, user, oauth_settings):
    one, other = "https://one.example", "https://other.example"
    oauth_settings(RESOURCES={one: {"scopes": ["notes:read"]}, other: {"scopes": ["notes:read"]}})
    old_session(application, user, "current", resource=[one, other], access_resource=[f"{one}/"])
    old_session(application, user, "lost", resource=[one, other], access_resource=["https://gone.example"])

    assert move("--sessions")["sessions"]["moved"] == 2

    assert [token.resource_names for token in AccessToken.objects.all()] == [(one,)]
    assert {grant.resource_names for grant in Grant.objects.all()} == {(one, other)}


def test_two_live_rows_of_one_text_become_one_grant(application, user):
    for _row in range(2):
        old_session(application, user, "same")

    counts = move("--sessions")

    assert counts["sessions"]["moved"] == Grant.objects.count() == 1
    assert old_rows() == NOTHING_LEFT


def test_two_rows_of_one_text_are_moved_by_the_one_that_can_be(application, user):
    old_session(application, user, "same")
    lost = old_session(application, user, "same")
    lost.access_token.delete()

    assert move("--sessions")["sessions"]["moved"] == 1
    assert old_rows() == NOTHING_LEFT


def test_family_that_was_forked_becomes_two_grants(application, user):
    family = uuid.uuid4()
    first, _second = (old_session(application, user, raw, family=family) for raw in ("first", "second"))
    old_spent(first, "spent")

    counts = move("--sessions")

    assert (counts["sessions"]["moved"], counts["sessions"]["spent"]) == (2, 1)
    assert [grant.generation for grant in Grant.objects.order_by("pk")] == [2, 1]
    assert old_rows() == NOTHING_LEFT


def test_session_without_a_family_is_moved_alone(application, user):
    _one, other = (old_session(application, user, raw) for raw in ("one", "other"))
    get_refresh_token_model().objects.update(token_family=None)
    old_spent(other, "spent")
    get_refresh_token_model().objects.filter(revoked__isnull=False).update(token_family=None)

    assert move("--sessions")["sessions"]["moved"] == 2
    assert [row["token"] for row in old_rows()["RefreshToken"]] == ["spent"]


def test_scope_is_cut_to_what_is_known_here(application, user):
    old_session(application, user, "current", access_scope="notes:read old")

    move("--sessions")

    assert Grant.objects.get().scope == AccessToken.objects.get().scope == "notes:read"


def test_times_are_the_access_tokens_own_and_else_those_of_this_server(application, user, stopped_clock):
    expires = timezone.now() + timedelta(hours=10)
    old_session(application, user, "current", access_expires=expires)
    stopped_clock.shift(60)

    move("--sessions")

    grant = Grant.objects.get()
    assert AccessToken.objects.get().expires_at == expires
    assert grant.created_at == timezone.now() - timedelta(seconds=60)
    assert grant.idle_expires_at == timezone.now() + timedelta(days=14)
    assert grant.expires_at == timezone.now() + timedelta(days=90)


def deactivate_user(session):
    User.objects.filter(pk=session.user_id).update(is_active=False)


def change_access_token(**columns):
    return lambda session: get_access_token_model().objects.filter(pk=session.access_token_id).update(**columns)


def lose_checksum(session):
    get_refresh_token_model().objects.filter(pk=session.pk).update(token_checksum="?")


STAYS = {
    "expired": change_access_token(expires=timezone.now() - timedelta(days=31)),
    "inactive_application": lambda _session: Application.objects.update(is_active=False),
    "inactive_user": deactivate_user,
    "no_access_token": lambda session: get_access_token_model().objects.filter(pk=session.access_token_id).delete(),
    "no_application": lambda _session: Application.objects.all().delete(),
    "malformed": lose_checksum,
    "resource": lambda session: get_refresh_token_model().objects.filter(pk=session.pk).update(resource=["https://x"]),
    "scope": change_access_token(scope="old"),
}


def test_session_whose_access_token_names_no_one_is_moved_for_the_user_of_its_refresh_token(application, user):
    old_session(application, user, "current", access_user=None, access_application=None)

    assert move("--sessions")["sessions"]["moved"] == 1
    assert Grant.objects.get().user == user
    assert old_rows() == NOTHING_LEFT


@pytest.mark.parametrize("reason", STAYS)
def test_session_that_cannot_be_moved_stays_and_is_counted(application, user, settings, reason):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 86_400}
    session = old_session(application, user, "stays")
    STAYS[reason](session)
    old_session(application, UserFactory(), "goes")
    before = old_rows()["RefreshToken"][0]

    counts = move("--sessions")

    moved = 0 if reason in {"no_application", "inactive_application"} else 1
    assert counts["sessions"]["stayed"] == {reason: 2 - moved}
    assert old_rows()["RefreshToken"][0] == before
    assert Grant.objects.count() == moved


class NoUsers(UserManager):
    """The default manager of a project that deletes users by a mark: all of them are."""

    def get_queryset(self):
        return super().get_queryset().none()


def test_session_of_a_hidden_user_stays(application, user, monkeypatch):
    old_session(application, user, "stays")
    before = old_rows()
    manager = NoUsers()
    manager.model, manager.name = User, "shown"
    monkeypatch.setitem(vars(User._meta), "default_manager", manager)

    assert move("--sessions")["sessions"]["stayed"] == {"inactive_user": 1}
    assert (old_rows(), Grant.objects.count()) == (before, 0)


def test_session_that_stayed_is_moved_once_its_cause_is_gone(application, user):
    old_session(application, user, "current")
    Application.objects.update(is_active=False)
    move("--sessions")
    Application.objects.update(is_active=True)

    assert move("--sessions")["sessions"] == {
        "moved": 1,
        "access_tokens": 1,
        "spent": 0,
        "stayed": {},
        "without_refresh_token": 0,
    }


def test_revoked_and_spent_texts_without_a_live_one_stay(application, user):
    session = old_session(application, user, "revoked")
    old_spent(session, "spent")
    session.revoke()

    assert move("--sessions")["sessions"]["moved"] == 0
    assert Grant.objects.count() == 0
    assert len(old_rows()["RefreshToken"]) == 2


def test_access_tokens_without_a_refresh_token_are_counted(application, user):
    tokens = get_access_token_model().objects
    for number, expires in enumerate([timezone.now() + timedelta(hours=1), timezone.now() - timedelta(hours=1)]):
        tokens.create(application=None, user=None, token=str(number), expires=expires)

    assert move("--sessions")["sessions"] == {
        "moved": 0,
        "access_tokens": 0,
        "spent": 0,
        "stayed": {},
        "without_refresh_token": 1,
    }


def test_second_run_finds_nothing_and_changes_nothing(application, user):
    old_session(application, user, "current")
    move()
    before = database_snapshot()

    counts = move()

    assert counts["applications"] == {"imported": 0, "existing": 1, "refused": 0, "problems": []}
    assert counts["sessions"]["moved"] == 0
    assert database_snapshot() == before


@pytest.mark.django_db(transaction=True)
def test_each_batch_is_a_transaction_of_its_own_and_the_next_run_goes_on(application, user):
    sessions = [old_session(application, UserFactory(), f"session {number}") for number in range(5)]
    seen = []

    def interrupt(signal, sender, **arguments):
        seen.append(arguments["grant"])
        if len(seen) == 3:
            raise KeyboardInterrupt

    with connected(session_imported, interrupt), pytest.raises(KeyboardInterrupt):
        move("--sessions", "--batch-size", "2")
    left = 5 - Grant.objects.count()
    assert left in {1, 3}
    assert len(old_rows()["RefreshToken"]) == left

    assert move("--sessions", "--batch-size", "2")["sessions"]["moved"] == left
    assert Grant.objects.count() == len(sessions)


@pytest.mark.django_db(transaction=True)
def test_session_that_is_imported_is_announced(application, user):
    old_session(application, user, "current")

    with recorded(session_imported) as sent:
        move("--sessions")

    assert [arguments["grant"] for arguments in sent] == list(Grant.objects.all())


@pytest.mark.django_db(transaction=True)
def test_dry_run_counts_what_would_be_moved_and_changes_nothing(user):
    old_session(old_application(), user, "current")
    before = old_rows(), database_snapshot()

    with recorded(session_imported) as sent:
        counts = move("--dry-run")

    assert counts == {
        "dry_run": True,
        "applications": {"imported": 1, "existing": 0, "refused": 0, "problems": []},
        "sessions": {"moved": 1, "access_tokens": 1, "spent": 0, "stayed": {}, "without_refresh_token": 0},
    }
    assert (old_rows(), database_snapshot(), sent) == (*before, [])
    assert not Application.objects.exists()


def test_dry_run_of_sessions_alone_finds_no_application(user):
    old_session(old_application(), user, "current")

    assert move("--dry-run", "--sessions")["sessions"]["stayed"] == {"no_application": 1}


def test_dry_run_leaves_out_applications_that_are_refused(user):
    old_session(old_application(authorization_grant_type="implicit"), user, "current")

    assert move("--dry-run")["sessions"]["stayed"] == {"no_application": 1}


def test_statements_of_a_batch_do_not_grow_with_the_families(application, user):
    def statements(name, spent):
        session = old_session(application, user, name)
        old_spent(session, *(f"{name} {number}" for number in range(spent)))
        with CaptureQueriesContext(connection) as queries:
            move("--sessions")
        return len(queries)

    assert statements("long", 400) < statements("short", 6) + 20


def test_tables_in_another_database_are_refused(application, settings):
    settings.DATABASE_ROUTERS = ["tests.toolkit.routers.OldTablesElsewhere"]

    with pytest.raises(CommandError, match="is in the database 'other', and oauth_refresh in 'default'"):
        move("--sessions")


def test_version_without_checksums_of_refresh_tokens_is_refused(monkeypatch):
    monkeypatch.setattr(oauth2_settings, "REFRESH_TOKEN_MODEL", "oauth2_provider.Grant")

    with pytest.raises(CommandError, match="has no token_checksum: update to django-oauth-toolkit"):
        move("--sessions")


def test_lifetime_of_refresh_tokens_may_be_a_timedelta(application, user, settings):
    lifetime = timedelta(days=1)
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_EXPIRE_SECONDS": lifetime}
    old_session(application, user, "expired", access_expires=timezone.now() - lifetime)
    old_session(application, user, "current", access_expires=timezone.now() - lifetime / 2)

    counts = move("--sessions")["sessions"]

    assert (counts["moved"], counts["access_tokens"], counts["stayed"]) == (1, 0, {"expired": 1})


def test_what_was_done_is_said_in_sentences(application, user):
    old_session(application, user, "current")
    old_session(application, user, "old", access_scope="old")
    printed = StringIO()

    call_command("oauth_import_toolkit", "--dry-run", stdout=printed)

    assert printed.getvalue().splitlines() == [
        "Nothing was changed: this is what would be done.",
        "Applications: imported 0, existing 1, refused 0.",
        "Sessions: moved 1, access tokens 1, spent 0, without refresh token 0.",
        "- scope: 1 (nothing of its scope is allowed here)",
    ]


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("option", ["--sessions", "--undo"])
def test_progress_is_drawn_on_a_terminal(application, user, option):
    old_session(application, user, "current")
    if option == "--undo":
        move("--sessions")
    terminal = Terminal()

    call_command("oauth_import_toolkit", option, stdout=StringIO(), stderr=terminal)

    assert "sessions: 100%" in terminal.getvalue()


@pytest.fixture
def no_tqdm(monkeypatch):
    """Load the command as where the extra is not installed."""
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "tqdm", None)
        reload(oauth_import_toolkit)
    yield
    reload(oauth_import_toolkit)


def test_no_progress_is_drawn_without_tqdm(no_tqdm):
    terminal = Terminal()

    call_command("oauth_import_toolkit", stdout=StringIO(), stderr=terminal)

    assert terminal.getvalue() == ""


def refuse(text):
    """Let the database refuse the row of this text, as a constraint of the project may."""

    def execute(run, sql, params, many, context):
        if sql.startswith("INSERT") and crypto.digest(text) in str(params):  # PostgreSQL gets a list for each column
            raise IntegrityError(text)
        return run(sql, params, many, context)

    return connection.execute_wrapper(execute)


@pytest.mark.django_db(transaction=True)
def test_session_that_the_database_refuses_holds_no_other_back(application, caplog):
    for number in range(5):
        old_session(application, UserFactory(), f"text {number}")

    with refuse("text 2"):
        counts = move("--sessions", "--batch-size", "3")

    assert (counts["sessions"]["moved"], counts["sessions"]["stayed"]) == (4, {"refused": 1})
    assert [row["token"] for row in old_rows()["RefreshToken"]] == ["text 2"]
    assert "the database refused it" in caplog.text
