"""The same races, step by step: each order of the statements is forced, so that a failure can be repeated.

Real threads and real locks; SQLite has one writer at a time, so nothing can be interleaved there. The tests ask the
database whether a connection waits for a lock, so its account must be allowed to see the other connections, and on
PostgreSQL to set ``deadlock_timeout``.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from http import HTTPStatus
from threading import Event
from time import monotonic, sleep
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, connections, transaction

from oauth_refresh.errors import InvalidClient, InvalidGrant, NoLongerActive
from oauth_refresh.http import NO_CLIENT_INFO
from oauth_refresh.models import AccessToken, Application, AuthMethod, Grant, RefreshToken
from oauth_refresh.services import issue_tokens, refresh, revoke_grant
from oauth_refresh.services.account_events import delete_applications
from oauth_refresh.services.clients import replace_secret
from oauth_refresh.services.codes import issue_code, redeem_code
from oauth_refresh.services.credentials import ClientCredentials
from oauth_refresh.signals import refresh_token_exchanged
from tests.consent import REDIRECT_URI, VERIFIER, consent_to
from tests.factories import SECRET, ApplicationFactory, UserFactory
from tests.interference import RAISE_DEADLOCK
from tests.oauth import OAuthClient
from tests.races.invariants import require_no_fork
from tests.signals import connected
from tests.threads import run_together
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


WRITES = ("UPDATE", "WITH")
"""How the statement begins that locks a grant; PostgreSQL updates and inserts by one."""


@pytest.fixture(autouse=True)
def receiver_of_the_project():
    """Let a refresh be a transaction on PostgreSQL too: as a single statement it keeps no lock to wait for."""
    with connected(refresh_token_exchanged, lambda **kwargs: None):
        yield


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
def stopping(gate: Gate, *, after: str | tuple[str, ...], table: str) -> Iterator[None]:
    """Stop at ``gate``, once, after a statement of this thread that begins so and names the table."""

    def stop(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith(after) and table in sql and not gate.reached.is_set():
            gate.stop()
        return result

    with connection.execute_wrapper(stop):
        yield


def in_thread(
    pool: ThreadPoolExecutor,
    act: Callable[[], Any],
    *,
    gate: Gate | None = None,
    after: str | tuple[str, ...] = "",
    table: str = "oauth_refresh_grant",
) -> Future:
    """Let another thread act, stopping at ``gate``; its connection is closed in the end."""

    def run() -> Any:
        try:
            if gate is None:
                return act()
            with stopping(gate, after=after, table=table):
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
    refreshed = in_thread(pool, refreshing(client_app), gate=gate, after=WRITES)
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

    revoked = in_thread(pool, revoke_in_a_transaction, gate=gate, after=WRITES)
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

    revoked = in_thread(pool, revoke_and_roll_back, gate=gate, after=WRITES)
    assert gate.reached.wait(LONGEST_SECONDS)

    refreshed = in_thread(pool, refreshing(client_app))
    assert comes_to_wait(refreshed)
    gate.opened.set()

    revoked.result(LONGEST_SECONDS)
    assert refreshed.result(LONGEST_SECONDS).refresh_token is not None
    require_no_fork(client_app.grant)


def test_second_refresh_waits_for_the_first_and_is_detected_as_reuse(client_app, pool):
    gate = Gate()
    first = in_thread(pool, refreshing(client_app), gate=gate, after=WRITES)
    assert gate.reached.wait(LONGEST_SECONDS)

    second = in_thread(pool, refreshing(client_app))
    assert comes_to_wait(second)
    gate.opened.set()

    assert first.result(LONGEST_SECONDS).refresh_token is not None
    with pytest.raises(InvalidGrant, match="spent before"):
        second.result(LONGEST_SECONDS)
    require_no_fork(client_app.grant)
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def test_sibling_waits_for_a_refresh_whose_receiver_is_slow_and_gets_its_pair(client_app, pool):
    client_app.application.retry_window = timedelta(minutes=30)
    client_app.application.save()
    gate = Gate()
    first = in_thread(pool, refreshing(client_app), gate=gate, after=WRITES)
    assert gate.reached.wait(LONGEST_SECONDS)

    sibling = in_thread(pool, refreshing(client_app))
    assert comes_to_wait(sibling)
    gate.opened.set()

    answers = [first.result(LONGEST_SECONDS), sibling.result(LONGEST_SECONDS)]
    assert len({(issued.access_token, issued.refresh_token) for issued in answers}) == 1
    require_no_fork(client_app.grant)
    assert (Grant.objects.get().generation, Grant.objects.get().retries) == (2, 1)


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
    refreshed = in_thread(pool, refreshing(client_app), gate=gate, after=WRITES)
    assert gate.reached.wait(LONGEST_SECONDS)

    ended = in_thread(pool, lambda: end(client_app))
    assert comes_to_wait(ended)
    gate.opened.set()

    refreshed.result(LONGEST_SECONDS)
    ended.result(LONGEST_SECONDS)
    assert no_token_is_valid(client_app.grant)


def deactivate_application(application):
    row = Application.objects.get(pk=application.pk)
    row.is_active = False
    row.save()


def delete_the_application(application):
    delete_applications(Application.objects.filter(pk=application.pk))


def withdraw_secret(application):
    row = Application.objects.get(pk=application.pk)
    row.secret_digest = ""
    row.save()


def replace_the_secret(application):
    replace_secret(Application.objects.get(pk=application.pk), overlap=timedelta(0))


def delete_the_owner(application):
    get_user_model().objects.get(pk=application.owner_id).delete()


def deactivate_the_owner(application):
    owner = get_user_model().objects.get(pk=application.owner_id)
    owner.is_active = False
    owner.save()


@pytest.fixture
def owned(application, user):
    """An application whose owner is also the user of its grants: deleting the user writes the application too."""
    Application.objects.filter(pk=application.pk).update(owner=user)
    application.refresh_from_db()
    return application


CREDENTIALS = ClientCredentials(client_id="any", raw_secret=SECRET, methods=frozenset({AuthMethod.CLIENT_SECRET_BASIC}))


def starting(application):
    """Return a call that starts a grant as the token endpoint does: with a client that was authenticated just now."""
    return lambda: issue_tokens(
        application, user=application.owner, grant_type="password", client_info=NO_CLIENT_INFO, credentials=CREDENTIALS
    )


def redeeming(application):
    """Return a call that redeems a code as the token endpoint does."""
    raw_code = issue_code(consent_to(application, application.owner))
    return lambda: redeem_code(
        application,
        raw_code=raw_code,
        redirect_uri=REDIRECT_URI,
        code_verifier=VERIFIER,
        client_info=NO_CLIENT_INFO,
        credentials=CREDENTIALS,
    )


def consenting(application):
    """Return a call that issues a code, whose grant is not started yet."""
    return lambda: issue_code(consent_to(application, application.owner))


STARTS = pytest.mark.parametrize(("start", "verb"), [(starting, "INSERT"), (redeeming, WRITES), (consenting, "INSERT")])
ENDS = [deactivate_application, delete_the_application, withdraw_secret, deactivate_the_owner]


@STARTS
@pytest.mark.parametrize("stop", ENDS)
def test_stop_waits_for_a_grant_that_is_about_to_start_and_then_ends_it(owned, pool, start, verb, stop):
    gate = Gate()
    started = in_thread(pool, start(owned), gate=gate, after=verb)
    assert gate.reached.wait(LONGEST_SECONDS)

    stopped = in_thread(pool, lambda: stop(owned))
    assert comes_to_wait(stopped)
    gate.opened.set()

    started.result(LONGEST_SECONDS)
    stopped.result(LONGEST_SECONDS)
    assert not Grant.objects.unrevoked().exists()


def test_deletion_of_the_user_and_owner_waits_for_the_redemption_of_a_code(owned, pool):
    gate = Gate()
    redeemed = in_thread(pool, redeeming(owned), gate=gate, after=WRITES)
    assert gate.reached.wait(LONGEST_SECONDS)

    deleted = in_thread(pool, lambda: delete_the_owner(owned))
    assert comes_to_wait(deleted)
    gate.opened.set()

    redeemed.result(LONGEST_SECONDS)
    deleted.result(LONGEST_SECONDS)
    assert not Grant.objects.exists()


@STARTS
def test_replacement_of_a_secret_waits_for_a_grant_that_is_about_to_start(owned, pool, start, verb):
    gate = Gate()
    started = in_thread(pool, start(owned), gate=gate, after=verb)
    assert gate.reached.wait(LONGEST_SECONDS)

    replaced = in_thread(pool, lambda: replace_the_secret(owned))
    assert comes_to_wait(replaced)
    gate.opened.set()

    started.result(LONGEST_SECONDS)
    replaced.result(LONGEST_SECONDS)


@pytest.mark.parametrize("start", [starting, redeeming, consenting])
@pytest.mark.parametrize(
    ("stop", "verb"),
    [
        (deactivate_application, "UPDATE"),
        (withdraw_secret, "UPDATE"),
        (replace_the_secret, "UPDATE"),
        (delete_the_application, "SELECT"),
    ],
)
def test_grant_that_is_about_to_start_waits_for_a_stop_and_is_then_refused(owned, pool, start, stop, verb):
    gate, act = Gate(), start(owned)

    def stop_in_a_transaction():
        with transaction.atomic():
            Application.objects.select_for_update().get(pk=owned.pk)
            stop(owned)

    stopped = in_thread(pool, stop_in_a_transaction, gate=gate, after=verb, table="oauth_refresh_application")
    assert gate.reached.wait(LONGEST_SECONDS)

    started = in_thread(pool, act)
    assert comes_to_wait(started)
    gate.opened.set()

    stopped.result(LONGEST_SECONDS)
    if start is consenting and stop in {withdraw_secret, replace_the_secret}:  # a browser has no credentials
        started.result(LONGEST_SECONDS)
    else:
        with pytest.raises((InvalidClient, InvalidGrant, NoLongerActive)):
            started.result(LONGEST_SECONDS)
    assert not RefreshToken.objects.exists()


def test_grants_of_one_application_start_without_waiting_for_each_other(owned, pool):
    gate = Gate()
    first = in_thread(pool, starting(owned), gate=gate, after="INSERT")
    assert gate.reached.wait(LONGEST_SECONDS)

    second = in_thread(
        pool, lambda: issue_tokens(owned, user=UserFactory(), grant_type="password", credentials=CREDENTIALS)
    )

    assert second.result(LONGEST_SECONDS).refresh_token is not None
    assert not first.done()
    gate.opened.set()
    first.result(LONGEST_SECONDS)


@pytest.mark.parametrize("stop", [deactivate_application, withdraw_secret, delete_the_application])
def test_no_grant_stays_active_if_its_application_is_deactivated_amid_many_starts(stop):
    for _round in range(5):
        application = ApplicationFactory(raw_secret=SECRET)
        users = [UserFactory() for _number in range(6)]

        def start(user, application=application):
            with suppress(InvalidGrant, InvalidClient):
                issue_tokens(application, user=user, grant_type="password", credentials=CREDENTIALS)

        run_together(
            *[lambda user=user, start=start: start(user) for user in users],
            lambda application=application: stop(application),
        )

        assert not Grant.objects.filter(application=application).unrevoked().exists()


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


def test_refresh_that_deadlocks_each_time_is_answered_503_and_can_be_repeated(client_app):
    tries = []

    def fail(execute, sql, params, many, context):
        if sql.startswith(WRITES):
            tries.append(sql)
            return execute(RAISE_DEADLOCK[connection.vendor], None, many, context)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        response = client_app.refresh()

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert response.headers["Retry-After"].isdigit()
    assert len(tries) == 5
    assert client_app.refresh().status_code == HTTPStatus.OK
