"""The same races, step by step: each order of the statements is forced, so that a failure can be repeated.

Real threads and real locks; SQLite has one writer at a time, so nothing can be interleaved there. The tests ask the
database whether a connection waits for a lock, so its account must be allowed to see the other connections, and on
PostgreSQL to set ``deadlock_timeout``.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http import HTTPStatus
from threading import Event
from time import monotonic, sleep
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, connections, transaction

from oauth_refresh.errors import InvalidGrant
from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken
from oauth_refresh.services import refresh, revoke_grant
from oauth_refresh.signals import refresh_token_exchanged
from tests.factories import UserFactory
from tests.interference import RAISE_DEADLOCK
from tests.oauth import OAuthClient
from tests.races.invariants import require_no_fork
from tests.signals import connected
from tests.waiting import LONGEST_SECONDS

LOCK_WAITS = {
    "postgresql": (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ),
    "mysql": (
        "SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist "
        "ON id = trx_mysql_thread_id WHERE trx_state = 'LOCK WAIT' AND db = DATABASE()"
    ),
}
"""How many connections to this database wait for a lock that another one holds."""

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time: nothing interleaves"),
]


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Gate:
    """Where a thread stops until the test opens it."""

    def __init__(self) -> None:
        self.reached, self.opened = Event(), Event()

    def stop(self) -> None:
        self.reached.set()
        assert self.opened.wait(LONGEST_SECONDS), "The gate was not opened."


@contextmanager
def stopping(gate: Gate, *, after: str) -> Iterator[None]:
    """Stop at ``gate``, once, after a statement of this thread that begins so and is about grants."""

    def stop(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith(after) and "oauth_refresh_grant" in sql and not gate.reached.is_set():
            gate.stop()
        return result

    with connection.execute_wrapper(stop):
        yield


def in_thread(pool: ThreadPoolExecutor, act: Callable[[], Any], *, gate: Gate | None = None, after: str = "") -> Future:
    """Let another thread act, stopping at ``gate``; its connection is closed in the end."""

    def run() -> Any:
        try:
            if gate is None:
                return act()
            with stopping(gate, after=after):
                return act()
        finally:
            connections.close_all()

    return pool.submit(run)


def a_connection_waits(*, unless: Callable[[], bool] = lambda: False) -> bool:
    """Return True once a connection waits for a lock, and False if ``unless`` holds first, or at the deadline."""
    deadline = monotonic() + LONGEST_SECONDS
    with connection.cursor() as cursor:
        while monotonic() < deadline and not unless():
            cursor.execute(LOCK_WAITS[connection.vendor])
            if cursor.fetchone()[0] > 0:
                return True
            sleep(0.2)  # MariaDB keeps an answer for a tenth of a second
    return False


def comes_to_wait(future: Future) -> bool:
    """Whether the thread comes to wait for a lock instead of ending."""
    return a_connection_waits(unless=future.done)


def refreshing(client):
    return lambda: refresh(client.application, raw_refresh_token=client.refresh_token)


def revoking(grant):
    return lambda: revoke_grant(grant, reason="incident")


def no_token_is_valid(grant):
    tokens = (RefreshToken.objects.filter(grant=grant), AccessToken.objects.filter(grant=grant))
    return not any(token.is_live for rows in tokens for token in rows.select_related("grant__user"))


def test_revocation_waits_for_a_refresh_that_has_locked_the_grant_and_then_revokes_it(client_app, pool):
    gate = Gate()
    refreshed = in_thread(pool, refreshing(client_app), gate=gate, after="UPDATE")
    assert gate.reached.wait(LONGEST_SECONDS)

    revoked = in_thread(pool, revoking(client_app.grant))
    assert comes_to_wait(revoked)
    gate.opened.set()

    assert refreshed.result(LONGEST_SECONDS).refresh_token is not None
    assert revoked.result(LONGEST_SECONDS) is True
    require_no_fork(client_app.grant)
    assert no_token_is_valid(client_app.grant)


def test_refresh_waits_for_a_revocation_that_has_locked_the_grant_and_is_then_refused(client_app, pool):
    gate = Gate()

    def revoke_in_a_transaction():
        with transaction.atomic():
            return revoke_grant(client_app.grant, reason="incident")

    revoked = in_thread(pool, revoke_in_a_transaction, gate=gate, after="UPDATE")
    assert gate.reached.wait(LONGEST_SECONDS)

    refreshed = in_thread(pool, refreshing(client_app))
    assert comes_to_wait(refreshed)
    gate.opened.set()

    assert revoked.result(LONGEST_SECONDS) is True
    with pytest.raises(InvalidGrant, match="The grant is revoked"):
        refreshed.result(LONGEST_SECONDS)
    assert RefreshToken.objects.count() == AccessToken.objects.count() == 1
    assert no_token_is_valid(client_app.grant)


def test_refresh_succeeds_after_a_revocation_that_was_rolled_back(client_app, pool):
    gate = Gate()

    def revoke_and_roll_back():
        with transaction.atomic():
            revoke_grant(client_app.grant, reason="incident")
            transaction.set_rollback(True)

    revoked = in_thread(pool, revoke_and_roll_back, gate=gate, after="UPDATE")
    assert gate.reached.wait(LONGEST_SECONDS)

    refreshed = in_thread(pool, refreshing(client_app))
    assert comes_to_wait(refreshed)
    gate.opened.set()

    revoked.result(LONGEST_SECONDS)
    assert refreshed.result(LONGEST_SECONDS).refresh_token is not None
    require_no_fork(client_app.grant)


def test_second_refresh_waits_for_the_first_and_is_detected_as_reuse(client_app, pool):
    gate = Gate()
    first = in_thread(pool, refreshing(client_app), gate=gate, after="UPDATE")
    assert gate.reached.wait(LONGEST_SECONDS)

    second = in_thread(pool, refreshing(client_app))
    assert comes_to_wait(second)
    gate.opened.set()

    assert first.result(LONGEST_SECONDS).refresh_token is not None
    with pytest.raises(InvalidGrant, match="spent before"):
        second.result(LONGEST_SECONDS)
    require_no_fork(client_app.grant)
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def deactivate_user(client):
    client.grant.user.is_active = False
    client.grant.user.save()


def delete_application(client):
    Application.objects.get(pk=client.application.pk).delete()


def change_password(client):
    client.grant.user.set_password("another one")
    client.grant.user.save()


def delete_user(client):
    get_user_model().objects.get(pk=client.grant.user_id).delete()


@pytest.mark.parametrize("end", [deactivate_user, change_password, delete_user, delete_application])
def test_refresh_is_refused_if_the_grant_ends_between_its_look_up_and_its_update(client_app, pool, end):
    gate = Gate()
    refreshed = in_thread(pool, refreshing(client_app), gate=gate, after="SELECT")
    assert gate.reached.wait(LONGEST_SECONDS)

    in_thread(pool, lambda: end(client_app)).result(LONGEST_SECONDS)
    gate.opened.set()

    with pytest.raises(InvalidGrant):
        refreshed.result(LONGEST_SECONDS)
    assert RefreshToken.objects.filter(generation=2).count() == 0
    assert no_token_is_valid(client_app.grant)


@pytest.mark.parametrize("end", [deactivate_user, change_password, delete_user, delete_application])
def test_what_ends_the_grant_waits_for_a_refresh_that_has_locked_it(client_app, pool, end):
    gate = Gate()
    refreshed = in_thread(pool, refreshing(client_app), gate=gate, after="UPDATE")
    assert gate.reached.wait(LONGEST_SECONDS)

    ended = in_thread(pool, lambda: end(client_app))
    assert comes_to_wait(ended)
    gate.opened.set()

    refreshed.result(LONGEST_SECONDS)
    ended.result(LONGEST_SECONDS)
    assert no_token_is_valid(client_app.grant)


class Rival:
    """Another thread that locks the user's row and then waits for the grant's.

    A request that holds the grant and then wants the user is in a deadlock, and is rolled back: PostgreSQL rolls back
    the connection that finds the deadlock, and the rival looks for one only after a minute; MariaDB the one that has
    written less.
    """

    def __init__(self, pool: ThreadPoolExecutor, client: OAuthClient) -> None:
        self.pool, self.client = pool, client
        self.others = [UserFactory() for _number in range(30)]
        self.run: Future | None = None
        self.waited: Future | None = None

    def start(self) -> None:
        """Start it, if it was not started, and return when it waits."""
        if self.run is None:
            self.run = in_thread(self.pool, self._lock)
            self.waited = in_thread(self.pool, a_connection_waits)
            self.waited.result(2 * LONGEST_SECONDS)

    def finish(self) -> None:
        """Wait for its end, if it was started."""
        if self.run is not None:
            self.run.result(LONGEST_SECONDS)

    def _lock(self) -> None:
        users = get_user_model().objects
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL deadlock_timeout = '1min'")
            users.filter(pk__in=[user.pk for user in self.others]).update(first_name="rival")
            users.filter(pk=self.client.grant.user_id).update(first_name="rival")
            Grant.objects.filter(pk=self.client.grant.pk).update(scope="notes:read")


@pytest.fixture
def rival(client_app, pool):
    rival = Rival(pool, client_app)
    yield rival
    rival.finish()
    # Asserted here, because an exception in a receiver would be answered with 503.
    assert rival.waited.result() is True


def test_refresh_that_is_rolled_back_to_resolve_a_deadlock_is_carried_out_once(client_app, rival):
    tries = []

    def let_the_rival_finish(signal, sender, **kwargs):
        rival.finish()  # before the second attempt, which could otherwise lock the grant before the rival does

    def lock_more(signal, sender, **kwargs):
        tries.append(sender)
        rival.start()
        list(get_user_model().objects.select_for_update().filter(pk=client_app.grant.user_id))

    with (
        connected(refresh_token_exchanged, let_the_rival_finish, first=True),
        connected(refresh_token_exchanged, lock_more),
    ):
        response = client_app.refresh()

    assert response.status_code == HTTPStatus.OK
    assert len(tries) == 2
    require_no_fork(client_app.grant)
    assert RefreshToken.objects.filter(generation=2).count() == 1


def test_refresh_is_undone_if_a_receiver_hides_a_deadlock_and_can_be_repeated(client_app, rival):
    """MariaDB would roll back the update but commit the tokens: a pair that never works, of a grant that is stuck."""

    def lock_more(signal, sender, **kwargs):
        rival.start()
        with suppress(OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM auth_user WHERE id = %s FOR UPDATE", [client_app.grant.user_id])

    with connected(refresh_token_exchanged, lock_more):
        response = client_app.refresh()
    rival.finish()

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert client_app.refresh().status_code == HTTPStatus.OK
    require_no_fork(client_app.grant)


def test_refresh_that_deadlocks_twice_is_answered_503_and_can_be_repeated(client_app):
    tries = []

    def fail(execute, sql, params, many, context):
        if sql.startswith("UPDATE"):
            tries.append(sql)
            return execute(RAISE_DEADLOCK[connection.vendor], None, many, context)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        response = client_app.refresh()

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert response.headers["Retry-After"].isdigit()
    assert len(tries) == 2
    assert client_app.refresh().status_code == HTTPStatus.OK
