"""The same races, step by step: each interleaving is forced, so that a failure comes back.

Real threads and real locks; SQLite has one writer at a time, so nothing can be interleaved there. The database is asked
whether somebody waits for a lock, so the account must be allowed to see the sessions of the others; and on PostgreSQL
to set how long its own wait before it looks for a deadlock.
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
from tests.interference import DEADLOCK, connected
from tests.oauth import OAuthClient
from tests.races.invariants import require_one_lineage

LONG = 30
LOCK_WAITS = {
    "postgresql": (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ),
    "mysql": (
        "SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist "
        "ON id = trx_mysql_thread_id WHERE trx_state = 'LOCK WAIT' AND db = DATABASE()"
    ),
}
"""How many sessions on this database wait for a lock that another one holds."""

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time: nothing interleaves"),
]


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Gate:
    """Where a thread stops until it is let through."""

    def __init__(self) -> None:
        self.reached, self.opened = Event(), Event()

    def stop(self) -> None:
        self.reached.set()
        assert self.opened.wait(LONG), "Nobody opened the gate."


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


def somebody_waits(*, unless: Callable[[], bool] = lambda: False) -> bool:
    """Return True once a session waits for a lock, and False if ``unless`` comes first, or nothing for long."""
    given_up = monotonic() + LONG
    with connection.cursor() as cursor:
        while monotonic() < given_up and not unless():
            cursor.execute(LOCK_WAITS[connection.vendor])
            if cursor.fetchone()[0] > 0:
                return True
            sleep(0.2)  # MariaDB looks anew only if it was not asked for a tenth of a second
    return False


def waits(future: Future) -> bool:
    """Whether the thread comes to wait for a lock, instead of to its end."""
    return somebody_waits(unless=future.done)


def refreshing(client):
    return lambda: refresh(client.application, raw_refresh_token=client.refresh_token)


def revoking(grant):
    return lambda: revoke_grant(grant, reason="incident")


def nothing_lives(grant):
    tokens = (RefreshToken.objects.filter(grant=grant), AccessToken.objects.filter(grant=grant))
    return not any(token.is_live for rows in tokens for token in rows.select_related("grant__user"))


def test_revocation_waits_for_a_refresh_that_has_moved_the_grant_and_then_ends_it(client_app, pool):
    gate = Gate()
    refreshed = in_thread(pool, refreshing(client_app), gate=gate, after="UPDATE")
    assert gate.reached.wait(LONG)

    revoked = in_thread(pool, revoking(client_app.grant))
    assert waits(revoked)
    gate.opened.set()

    assert refreshed.result(LONG).refresh_token is not None
    assert revoked.result(LONG) is True
    require_one_lineage(client_app.grant)
    assert nothing_lives(client_app.grant)


def test_refresh_waits_for_a_revocation_under_way_and_then_loses(client_app, pool):
    gate = Gate()

    def revoke_in_a_transaction():
        with transaction.atomic():
            return revoke_grant(client_app.grant, reason="incident")

    revoked = in_thread(pool, revoke_in_a_transaction, gate=gate, after="UPDATE")
    assert gate.reached.wait(LONG)

    refreshed = in_thread(pool, refreshing(client_app))
    assert waits(refreshed)
    gate.opened.set()

    assert revoked.result(LONG) is True
    with pytest.raises(InvalidGrant, match="The grant is revoked"):
        refreshed.result(LONG)
    assert RefreshToken.objects.count() == AccessToken.objects.count() == 1
    assert nothing_lives(client_app.grant)


def test_refresh_goes_on_after_a_revocation_that_was_rolled_back(client_app, pool):
    gate = Gate()

    def revoke_and_give_up():
        with transaction.atomic():
            revoke_grant(client_app.grant, reason="incident")
            transaction.set_rollback(True)

    revoked = in_thread(pool, revoke_and_give_up, gate=gate, after="UPDATE")
    assert gate.reached.wait(LONG)

    refreshed = in_thread(pool, refreshing(client_app))
    assert waits(refreshed)
    gate.opened.set()

    revoked.result(LONG)
    assert refreshed.result(LONG).refresh_token is not None
    require_one_lineage(client_app.grant)


def test_second_refresh_waits_for_the_first_and_sounds_the_alarm(client_app, pool):
    gate = Gate()
    first = in_thread(pool, refreshing(client_app), gate=gate, after="UPDATE")
    assert gate.reached.wait(LONG)

    second = in_thread(pool, refreshing(client_app))
    assert waits(second)
    gate.opened.set()

    assert first.result(LONG).refresh_token is not None
    with pytest.raises(InvalidGrant, match="spent before"):
        second.result(LONG)
    require_one_lineage(client_app.grant)
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
def test_refresh_that_has_looked_loses_to_what_ends_the_session_before_it_moves(client_app, pool, end):
    gate = Gate()
    refreshed = in_thread(pool, refreshing(client_app), gate=gate, after="SELECT")
    assert gate.reached.wait(LONG)

    in_thread(pool, lambda: end(client_app)).result(LONG)
    gate.opened.set()

    with pytest.raises(InvalidGrant):
        refreshed.result(LONG)
    assert RefreshToken.objects.filter(generation=2).count() == 0
    assert nothing_lives(client_app.grant)


@pytest.mark.parametrize("end", [deactivate_user, change_password, delete_user, delete_application])
def test_what_ends_the_session_waits_for_a_refresh_that_has_moved_the_grant(client_app, pool, end):
    gate = Gate()
    refreshed = in_thread(pool, refreshing(client_app), gate=gate, after="UPDATE")
    assert gate.reached.wait(LONG)

    ended = in_thread(pool, lambda: end(client_app))
    assert waits(ended)
    gate.opened.set()

    refreshed.result(LONG)
    ended.result(LONG)
    assert nothing_lives(client_app.grant)


@contextmanager
def rival_for_the_user(pool: ThreadPoolExecutor, client: OAuthClient) -> Iterator[Callable[[], None]]:
    """Yield what brings in a rival that holds the user's row and waits for the grant's: whoever holds the grant and
    then wants the user is in a deadlock, and pays for it.

    PostgreSQL ends the session that finds the deadlock, and the rival does not look for one in time; MariaDB the one
    that has written less.
    """
    others, users = [UserFactory() for _number in range(30)], get_user_model().objects
    rivals: list[Future] = []
    watchers: list[Future] = []

    def rival():
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL deadlock_timeout = '1min'")
            users.filter(pk__in=[user.pk for user in others]).update(first_name="rival")
            users.filter(pk=client.grant.user_id).update(first_name="rival")
            Grant.objects.filter(pk=client.grant.pk).update(scope="notes:read")

    def meet():
        if not rivals:
            rivals.append(in_thread(pool, rival))
            watchers.append(in_thread(pool, somebody_waits))
            watchers[0].result(2 * LONG)

    yield meet
    for one in rivals:
        one.result(LONG)
    # Told here: what is raised in a receiver is answered with 503.
    assert [one.result() for one in watchers] == [True], "The rival never waited."


def want_the_user(client):
    list(get_user_model().objects.select_for_update().filter(pk=client.grant.user_id))


def test_refresh_at_whose_cost_a_deadlock_is_broken_is_carried_out_once(client_app, pool):
    with rival_for_the_user(pool, client_app) as meet:

        def want_more(signal, sender, **kwargs):
            tries.append(sender)
            meet()
            want_the_user(client_app)

        tries = []
        with connected(refresh_token_exchanged, want_more):
            response = client_app.refresh()

    assert response.status_code == HTTPStatus.OK
    assert len(tries) == 2
    require_one_lineage(client_app.grant)
    assert RefreshToken.objects.filter(generation=2).count() == 1


def test_refresh_is_undone_if_a_receiver_hides_a_deadlock_and_can_be_repeated(client_app, pool):
    """MariaDB would forget the update, and commit the tokens: a pair that never works, of a session that is stuck."""
    with rival_for_the_user(pool, client_app) as meet:

        def want_more(signal, sender, **kwargs):
            meet()
            with suppress(OperationalError), connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM auth_user WHERE id = %s FOR UPDATE", [client_app.grant.user_id])

        with connected(refresh_token_exchanged, want_more):
            response = client_app.refresh()

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert client_app.refresh().status_code == HTTPStatus.OK
    require_one_lineage(client_app.grant)


def test_refresh_that_deadlocks_twice_is_answered_503_and_can_be_repeated(client_app):
    tries = []

    def fail(execute, sql, params, many, context):
        if sql.startswith("UPDATE"):
            tries.append(sql)
            return execute(DEADLOCK[connection.vendor], None, many, context)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        response = client_app.refresh()

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert response.headers["Retry-After"].isdigit()
    assert len(tries) == 2
    assert client_app.refresh().status_code == HTTPStatus.OK
