"""A database that cannot write or makes a request wait: 503, nothing changes, and the same request works later."""

import resource
import sqlite3
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.db.models.signals import post_save

from oauth_refresh.models import Grant, GrantEvent
from oauth_refresh.signals import refresh_token_exchanged, refresh_token_reused, tokens_issued
from tests.database import database_snapshot
from tests.faults.clients import GoodClient
from tests.refusals import UNAVAILABLE, answer_of
from tests.signals import connected, recorded

MOST_REFRESHES = 200

sqlite_only = pytest.mark.skipif(connection.vendor != "sqlite", reason="of SQLite only")
not_sqlite = pytest.mark.skipif(connection.vendor == "sqlite", reason="rows are locked by servers only")


def assert_is_unavailable(response):
    assert answer_of(response) == UNAVAILABLE
    assert response.headers["Retry-After"].isdecimal()
    assert response.headers["Content-Type"] == "application/json"


@contextmanager
def grants_locked_by_another_connection():
    """Keep the rows of all grants locked, as a long transaction does."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"SELECT id FROM {Grant._meta.db_table} FOR UPDATE")
        yield
    finally:
        other.close()


@contextmanager
def time_limit(statement):
    """Limit by ``statement`` how long the connection of the requests waits."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
    try:
        yield
    finally:
        connection.close()


TIME_LIMITS = {
    "postgresql": ["SET lock_timeout = '200ms'", "SET statement_timeout = '200ms'"],
    "mysql": ["SET innodb_lock_wait_timeout = 1", "SET max_statement_time = 0.2"],
}


@not_sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [0, 1])
def test_locked_grant_is_a_503_and_the_same_request_works_later(client_app, number):
    before = database_snapshot()

    with time_limit(TIME_LIMITS[connection.vendor][number]), grants_locked_by_another_connection():
        failed = client_app.refresh()

    assert_is_unavailable(failed)
    assert database_snapshot() == before
    assert client_app.refresh().status_code == 200


@not_sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [0, 1])
def test_revocation_of_a_locked_grant_is_a_503_and_never_a_success(client_app, number):
    with time_limit(TIME_LIMITS[connection.vendor][number]), grants_locked_by_another_connection():
        failed = client_app.revoke(client_app.refresh_token)

    assert_is_unavailable(failed)
    assert client_app.revoke(client_app.refresh_token).status_code == 200
    assert client_app.refresh().status_code == 400


@sqlite_only
def test_locked_file_is_a_503_and_the_same_request_works_later(deployment):
    site, [held] = deployment.serve(SQLITE_TIMEOUT="0.2"), deployment.start_grants(1, retry_window=0)
    client = GoodClient(site.port)
    other = sqlite3.connect(deployment.database.path, isolation_level=None)

    other.execute("BEGIN IMMEDIATE")
    failed = client.ask_once(held)
    other.close()

    assert failed.is_server_error_in_json
    assert client.ask_once(held).status == 200


@sqlite_only
def test_disk_that_cannot_be_written_is_a_503_and_the_same_request_works_later(deployment):
    site, [held] = deployment.serve(), deployment.start_grants(1, retry_window=0)
    client = GoodClient(site.port)

    set_longest_file(site, 1)
    failed = client.ask_once(held)
    set_longest_file(site, resource.RLIM_INFINITY)

    assert failed.is_server_error_in_json
    assert client.ask_once(held).status == 200


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
        before = database_snapshot()
        response = client_app.refresh()

    assert_is_unavailable(response)
    assert database_snapshot() == before
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA max_page_count = {pages * 2}")
    assert client_app.refresh().status_code == 200


def fail(**kwargs):
    raise LookupError


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", [True, False])
def test_failing_receiver_of_a_rotation_is_a_503_and_changes_nothing(client_app, first):
    before = database_snapshot()

    with connected(refresh_token_exchanged, fail, first=first):
        failed = client_app.refresh()

    assert_is_unavailable(failed)
    assert database_snapshot() == before
    assert client_app.refresh().status_code == 200


@pytest.mark.django_db(transaction=True)
def test_failing_receiver_of_a_notification_changes_no_answer(client_app):
    with connected(tokens_issued, fail):
        client_app.rotate()

    client_app.rotate()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", [True, False])
def test_failing_on_commit_hook_of_the_project_costs_no_tokens(client_app, caplog, first):
    """The transaction is committed, so an error would make the client send a token again that is spent."""

    def fail_after_commit(**kwargs):
        transaction.on_commit(fail)

    with connected(refresh_token_exchanged, fail_after_commit, first=first), recorded(tokens_issued) as sent:
        client_app.rotate()

    assert len(sent) == 1
    assert "A hook of the project failed after the commit" in caplog.text
    client_app.rotate()


@pytest.mark.django_db(transaction=True)
def test_failing_on_commit_hook_of_the_project_hides_no_theft(client_app):
    def fail_after_commit(**kwargs):
        if kwargs["sender"] is GrantEvent:
            transaction.on_commit(fail)

    spent = client_app.refresh_token
    client_app.rotate()

    with connected(post_save, fail_after_commit), recorded(refresh_token_reused) as reused:
        response = client_app.refresh(spent)

    assert (response.status_code, len(reused)) == (400, 1)


@pytest.mark.django_db(transaction=True)
def test_robust_on_commit_callback_of_the_project_that_fails_changes_no_answer(client_app, caplog):
    def fail_after_commit(**kwargs):
        transaction.on_commit(fail, robust=True)

    with connected(refresh_token_exchanged, fail_after_commit, first=True), recorded(tokens_issued) as sent:
        client_app.rotate()

    assert len(sent) == 1
    assert "Error calling" in caplog.text
    client_app.rotate()


@not_sqlite
@pytest.mark.django_db(transaction=True)
def test_broken_connection_is_replaced_by_the_next_request(client_app):
    break_connection()

    failed = client_app.refresh()

    assert_is_unavailable(failed)
    connection.close_if_unusable_or_obsolete()  # as Django does at the end of a request
    assert client_app.refresh().status_code == 200


def break_connection():
    """End the connection of this thread from its server's side."""
    function, kill = {
        "postgresql": ("pg_backend_pid()", "SELECT pg_terminate_backend(%s, 60000)"),  # milliseconds to wait for it
        "mysql": ("CONNECTION_ID()", "KILL %s"),
    }[connection.vendor]
    other = connection.copy()
    try:
        with connection.cursor() as mine, other.cursor() as cursor:
            mine.execute(f"SELECT {function}")
            cursor.execute(kill, mine.fetchone())
    finally:
        other.close()
