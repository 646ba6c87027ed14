"""The transaction of a decision: a database error in it cannot be hidden."""

from contextlib import suppress

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, transaction

from oauth_refresh.errors import TransactionBroken
from oauth_refresh.models import Grant
from oauth_refresh.services import revoke_grant
from oauth_refresh.services.db import atomic_write
from tests.factories import UserFactory
from tests.interference import deadlock_once, deadlocks

pytestmark = pytest.mark.django_db


def hide_deadlock(statement="SELECT"):
    """Let a bare cursor's statement fail as in a deadlock, and hide that."""
    with deadlock_once(statement), suppress(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_deadlock_that_a_receiver_hides_breaks_the_transaction():
    with pytest.raises(TransactionBroken), atomic_write(durable=False):
        hide_deadlock()


def test_nothing_is_written_after_a_deadlock_that_a_receiver_hides():
    def write_afterwards():
        with atomic_write(durable=False):
            hide_deadlock()
            Grant.objects.update(scope="lost")

    with pytest.raises(transaction.TransactionManagementError):
        write_afterwards()


def test_deadlock_within_a_savepoint_that_was_rolled_back_breaks_nothing():
    with atomic_write(durable=False):
        with suppress(OperationalError), deadlock_once("SELECT"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")

        assert Grant.objects.count() == 0


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL keeps prepared statements")
def test_statements_of_a_request_are_prepared_if_the_settings_ask_for_it(client_app):
    for _turn in range(3):
        client_app.rotate()

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%oauth_refresh_%'")
        [prepared] = cursor.fetchone()
    assert (prepared > 0) is ("prepare_threshold" in connection.settings_dict["OPTIONS"])


RAISE_OTHER_ERROR = {
    "sqlite": "SELECT * FROM missing",
    "postgresql": "DO $$ BEGIN RAISE 'could not obtain lock' USING ERRCODE = '55P03'; END $$",
    "mysql": "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205",
}


@pytest.mark.django_db(transaction=True)
def test_other_error_of_the_database_is_raised_and_rolls_back():
    def write_and_fail():
        with atomic_write(), connection.cursor() as cursor:
            UserFactory()
            cursor.execute(RAISE_OTHER_ERROR[connection.vendor])

    with pytest.raises(OperationalError):
        write_and_fail()

    assert not get_user_model().objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("times", [4, 5])
def test_transaction_is_run_again_after_a_deadlock_up_to_five_times(client_app, times):
    with deadlocks("UPDATE", times=times) as tried, suppress(OperationalError):
        revoke_grant(client_app.grant, reason="lost device")

    assert len(tried) == 5
    assert Grant.objects.filter(revoked_at=None).exists() is (times == 5)
