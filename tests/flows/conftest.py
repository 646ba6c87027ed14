"""Databases for tests whose server is another process: that process cannot see a test's transaction or memory."""

import pytest
from django.db import connection

from tests.flows.server import manage, runserver


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
        cursor.execute(f"CREATE DATABASE {name}")
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
