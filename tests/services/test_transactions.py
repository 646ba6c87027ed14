"""The transaction of a decision: what dooms it, whoever hides the error."""

from contextlib import suppress

import pytest
from django.db import OperationalError, connection, transaction

from oauth_refresh.errors import DoomedTransaction
from oauth_refresh.models import Grant
from oauth_refresh.services.transactions import writing
from tests.interference import fails_once

pytestmark = pytest.mark.django_db


def meet(statement="SELECT"):
    """Let a bare cursor's statement fail as in a deadlock, and hide that."""
    with fails_once(statement), suppress(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_deadlock_that_a_receiver_hides_dooms_the_transaction():
    with pytest.raises(DoomedTransaction), writing(durable=False):
        meet()


def test_nothing_is_written_after_a_deadlock_that_a_receiver_hides():
    def write_afterwards():
        with writing(durable=False):
            meet()
            Grant.objects.update(scope="lost")

    with pytest.raises(transaction.TransactionManagementError):
        write_afterwards()


def test_deadlock_within_a_savepoint_that_could_be_rolled_back_dooms_nothing():
    with writing(durable=False):
        with suppress(OperationalError), fails_once("SELECT"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")

        assert Grant.objects.count() == 0
