"""Fixtures for every test, and the marker ``slow``; ``tests/README.md`` says what each is for."""

import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection
from hypothesis import is_hypothesis_test

from oauth_refresh.models import RefreshToken
from tests.consent import start_flow
from tests.factories import SECRET, ApplicationFactory, UserFactory
from tests.foreign import OTHER_SERVER, move_in
from tests.key_server import serving_keys, write_certificates
from tests.oauth import OAuthClient
from tests.server import manage, runserver
from tests.user_pages.pages import signed_in

TESTS = Path(__file__).parent
CHARSET = {"postgresql": "", "mysql": " CHARACTER SET utf8mb4"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)

SLOW_FOLDERS = {"example", "fuzz", "interop", "leaks", "races"}
SLOW_FIXTURES = {"database_url", "deployment", "feed_server", "live_server", "untrusted_key_server"}
"""They start a server or a process, as everything does that builds on them."""


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by markers
def pytest_collection_modifyitems(items):
    """Mark as slow what its folder, a fixture or Hypothesis makes slow; other slow tests have the marker on them."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        starts_server = not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        if folder in SLOW_FOLDERS or starts_server or is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.slow)
    # Files with slow tests first: if one of them was begun last, the other processes would wait for it.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Let a test that is not marked as slow start no process and no server, so that ``-m "not slow"`` stays quick."""
    if item.get_closest_marker("slow") is not None:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", refuse_to_start)
        patch.setattr(socket.socket, "bind", refuse_to_start)
        return (yield)


def refuse_to_start(*args, **kwargs):
    raise AssertionError("This test starts a process or a server: mark it with pytest.mark.slow.")


@pytest.fixture
def oauth_settings(settings):
    """Return a function that sets keys of ``OAUTH_REFRESH`` on top of those in force, until the test ends.

    ``unset`` names keys to leave out, so that their defaults apply.
    """

    def change(*, unset=(), **keys):
        in_force = {key: value for key, value in settings.OAUTH_REFRESH.items() if key not in unset}
        settings.OAUTH_REFRESH = {**in_force, **keys}

    return change


@pytest.fixture
def compares_texts(monkeypatch):
    """Let the database seem to be one without a type for addresses, also where it has one."""
    monkeypatch.setattr(connection, "vendor", "another")


@pytest.fixture
def user(db):
    return UserFactory()


@pytest.fixture
def strict_browser(user):
    """A browser where the user is signed in, and whose forms need a CSRF token."""
    return signed_in(user, enforce_csrf_checks=True)


@pytest.fixture(params=[True, False], ids=["with the middleware", "without the middleware"])
def csrf_middleware(request, settings):
    """A project with and without Django's CSRF middleware in turn: pages and API protect themselves."""
    if not request.param:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "csrf" not in name]


@pytest.fixture
def application(db):
    """A confidential application; its secret is ``tests.factories.SECRET``."""
    return ApplicationFactory(raw_secret=SECRET)


@pytest.fixture
def public_application(db):
    return ApplicationFactory(public=True)


@pytest.fixture
def client_app(application, user):
    """A confidential client that holds a current pair."""
    return OAuthClient(application, SECRET).start(user=user)


@pytest.fixture
def public_client(public_application, user):
    """A public client that holds a current pair."""
    return OAuthClient(public_application).start(user=user)


@pytest.fixture
def held_tokens(client_app):
    """Every token that a client may hold, by its state; generation 2 was pruned."""
    spent, revoked = client_app.refresh_token, client_app.access_token
    client_app.rotate()
    pruned = client_app.refresh_token
    client_app.rotate()
    RefreshToken.objects.filter(generation=2).delete()
    return {
        "current refresh token": client_app.refresh_token,
        "spent refresh token": spent,
        "pruned refresh token": pruned,
        "active access token": client_app.access_token,
        "revoked access token": revoked,
    }


@pytest.fixture
def other_server(oauth_settings):
    """A server that issued tokens before this one, and the importer that moves its sessions here."""
    oauth_settings(FOREIGN_TOKENS=["tests.foreign.adopt"])
    OTHER_SERVER.sessions.clear()
    OTHER_SERVER.asked.clear()
    return OTHER_SERVER


@pytest.fixture
def moved(other_server, application, user):
    """The grant of a session of that server, which was moved here: ``tests.foreign`` holds its tokens."""
    return move_in(application, user)


@pytest.fixture
def flow(user):
    """The authorization code flow of a confidential application, with the browser of a user who is signed in."""
    return start_flow(user)


@pytest.fixture
def public_flow(user):
    """The same of a public application."""
    return start_flow(user, public=True)


@pytest.fixture
def stopped_clock(time_machine):
    """A clock that stands at ``tests.conftest.NOW`` until the test moves it."""
    time_machine.move_to(NOW, tick=False)
    return time_machine


@pytest.fixture
def untrusted_key_server(oauth_settings, monkeypatch, tmp_path):
    """An HTTPS server of key sets at a private address, whose certificate is of an unknown authority.

    The limit on the time of a request is lifted, so that no test of something else depends on the machine's speed.
    """
    oauth_settings(JWKS_ALLOW_PRIVATE_ADDRESSES=True)
    monkeypatch.setattr("oauth_refresh.services.fetching._TIMEOUT_SECONDS", 60.0)
    cache.clear()
    _authority, certificate = write_certificates(tmp_path)
    with serving_keys(certificate) as server:
        yield server
    cache.clear()


@pytest.fixture
def key_server(untrusted_key_server, monkeypatch, tmp_path):
    """The same, with a certificate that is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return untrusted_key_server


@pytest.fixture(scope="module")
def database_url(django_db_setup, django_db_blocker, tmp_path_factory):
    """Yield the URL of an empty database of the kind under test."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('database') / 'site.sqlite3'}"
        return
    settings = connection.settings_dict
    name = f"{settings['NAME']}_site"
    with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name}{CHARSET[connection.vendor]}")
    account = f"{settings['USER']}:{settings['PASSWORD']}".removesuffix(":")
    scheme = {"postgresql": "postgres", "mysql": "mysql"}[connection.vendor]
    yield f"{scheme}://{account}@{settings['HOST']}:{settings['PORT']}/{name}"
    with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture(scope="module")
def origin(database_url):
    """Serve the example project on an empty, migrated database and yield its origin."""
    migrated = manage("migrate", database_url=database_url)
    assert migrated.returncode == 0, migrated.stderr
    with runserver(database_url=database_url) as origin:
        yield origin
