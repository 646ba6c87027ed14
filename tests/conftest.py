import pytest
from django.db import connection

from tests.factories import ApplicationFactory, UserFactory
from tests.flows.server import manage, runserver
from tests.oauth import OAuthClient

CHARSET = {"postgresql": "", "mysql": " CHARACTER SET utf8mb4"}
SECRET = "a-client-secret-of-more-than-22-characters"


@pytest.fixture
def user(db):
    return UserFactory()


@pytest.fixture
def application(db):
    """A confidential application; its secret is ``tests.conftest.SECRET``."""
    return ApplicationFactory(raw_secret=SECRET)


@pytest.fixture
def public_application(db):
    return ApplicationFactory(public=True)


@pytest.fixture
def client_app(application, user):
    """A confidential client that holds a live pair."""
    return OAuthClient(application, SECRET).start(user=user)


@pytest.fixture
def public_client(public_application, user):
    """A public client that holds a live pair."""
    return OAuthClient(public_application).start(user=user)


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
