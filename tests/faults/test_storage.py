"""A database that cannot take what it is given, or makes us wait: 503, nothing changed, and the same request works."""

import resource
import sqlite3
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from oauth_refresh.models import Grant
from oauth_refresh.signals import refresh_token_exchanged, tokens_issued
from tests.faults.clients import GoodClient
from tests.interference import connected, everything, heard

UNAVAILABLE = {
    "error": "temporarily_unavailable",
    "error_description": "The server could not answer now. Try again.",
}
MOST_REFRESHES = 200

sqlite_only = pytest.mark.skipif(connection.vendor != "sqlite", reason="of SQLite only")
not_sqlite = pytest.mark.skipif(connection.vendor == "sqlite", reason="rows are locked by servers only")


def assert_is_unavailable(response):
    assert (response.status_code, response.json()) == (503, UNAVAILABLE)
    assert response.headers["Retry-After"].isdecimal()
    assert response.headers["Content-Type"] == "application/json"


@contextmanager
def grant_held_by_another_connection():
    """Keep the rows of all grants locked, as a long transaction of somebody else does."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"SELECT id FROM {Grant._meta.db_table} FOR UPDATE")
        yield
    finally:
        other.close()


@contextmanager
def patience(statement):
    """Let the connection of the requests wait no longer than ``statement`` says."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
    try:
        yield
    finally:
        connection.close()


PATIENCE = {
    "postgresql": ["SET lock_timeout = '200ms'", "SET statement_timeout = '200ms'"],
    "mysql": ["SET innodb_lock_wait_timeout = 1", "SET max_statement_time = 0.2"],
}


@not_sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [0, 1])
def test_locked_grant_is_a_503_and_the_same_request_works_later(client_app, number):
    before = everything()

    with patience(PATIENCE[connection.vendor][number]), grant_held_by_another_connection():
        in_vain = client_app.refresh()

    assert_is_unavailable(in_vain)
    assert everything() == before
    assert client_app.refresh().status_code == 200


@not_sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [0, 1])
def test_revocation_of_a_locked_grant_is_a_503_and_never_a_success(client_app, number):
    with patience(PATIENCE[connection.vendor][number]), grant_held_by_another_connection():
        in_vain = client_app.revoke(client_app.refresh_token)

    assert_is_unavailable(in_vain)
    assert client_app.revoke(client_app.refresh_token).status_code == 200
    assert client_app.refresh().status_code == 400


@sqlite_only
def test_locked_file_is_a_503_and_the_same_request_works_later(here):
    client, [session] = GoodClient(here.serve(SQLITE_TIMEOUT="0.2").port), here.begin_sessions(1, retry_window=0)
    other = sqlite3.connect(here.database.path, isolation_level=None)

    other.execute("BEGIN IMMEDIATE")
    in_vain = client.ask_once(session)
    other.close()

    assert in_vain.is_fault_in_json
    assert client.ask_once(session).status == 200


@sqlite_only
def test_disk_that_refuses_to_be_written_is_a_503_and_the_same_request_works_later(here):
    site, [session] = here.serve(), here.begin_sessions(1, retry_window=0)
    client = GoodClient(site.port)

    set_longest_file(site, 1)
    in_vain = client.ask_once(session)
    set_longest_file(site, resource.RLIM_INFINITY)

    assert in_vain.is_fault_in_json
    assert client.ask_once(session).status == 200


def set_longest_file(site, size):
    for pid in site.children():
        _soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_full_database_is_a_503_and_the_same_request_works_when_there_is_room(client_app):
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # what other tests have deleted is no room to write into
        [pages] = cursor.execute("PRAGMA page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
    response = client_app.refresh()
    for _number in range(MOST_REFRESHES):
        if response.status_code != 200:
            break
        client_app.refresh_token = response.json()["refresh_token"]
        before = everything()
        response = client_app.refresh()

    assert_is_unavailable(response)
    assert everything() == before
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA max_page_count = {pages * 2}")
    assert client_app.refresh().status_code == 200


def fail(**kwargs):
    raise LookupError


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", [True, False])
def test_failing_receiver_of_the_exchange_loses_nothing(client_app, first):
    before = everything()

    with connected(refresh_token_exchanged, fail, first=first):
        in_vain = client_app.refresh()

    assert_is_unavailable(in_vain)
    assert everything() == before
    assert client_app.refresh().status_code == 200


@pytest.mark.django_db(transaction=True)
def test_failing_receiver_of_a_notification_is_the_projects_own_affair(client_app):
    with connected(tokens_issued, fail):
        client_app.rotate()

    client_app.rotate()


@pytest.mark.django_db(transaction=True)
def test_failing_hook_after_the_commit_keeps_neither_tokens_nor_news_from_anybody(client_app, caplog):
    def fail_after_commit(**kwargs):
        transaction.on_commit(fail)

    with connected(refresh_token_exchanged, fail_after_commit, first=True), heard(tokens_issued) as told:
        client_app.rotate()

    assert len(told) == 1
    assert "Error calling" in caplog.text
    client_app.rotate()


@not_sqlite
@pytest.mark.django_db(transaction=True)
def test_broken_connection_is_replaced_by_the_next_request(client_app):
    break_connection()

    in_vain = client_app.refresh()

    assert_is_unavailable(in_vain)
    connection.close_if_unusable_or_obsolete()  # as Django does at the end of a request
    assert client_app.refresh().status_code == 200


def break_connection():
    """End the connection of this thread from its server's side."""
    function, kill = {
        "postgresql": ("pg_backend_pid()", "SELECT pg_terminate_backend(%s)"),
        "mysql": ("CONNECTION_ID()", "KILL %s"),
    }[connection.vendor]
    other = connection.copy()
    try:
        with connection.cursor() as mine, other.cursor() as cursor:
            mine.execute(f"SELECT {function}")
            cursor.execute(kill, mine.fetchone())
    finally:
        other.close()
