"""Receivers of a project at ``refresh_token_exchanged``: what they write is stored with the refresh, or not at all."""

from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from oauth_refresh.errors import InvalidGrant, RefreshVetoed
from oauth_refresh.models import Grant, RefreshToken
from oauth_refresh.services import refresh
from oauth_refresh.signals import refresh_token_exchanged
from tests.database import database_snapshot
from tests.factories import UserFactory
from tests.interference import DriverError
from tests.members.models import Bookmark
from tests.refusals import UNAVAILABLE, answer_of
from tests.signals import connected

only_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="another database needs a transaction")
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("first", [False, True], ids=["after ours", "before ours"]),
]


def bookmark(grant, **kwargs):
    Bookmark.objects.create(grant=grant)


def refresh_of(client):
    return refresh(client.application, raw_refresh_token=client.refresh_token)


def test_rows_that_a_receiver_writes_are_stored_with_the_refresh(client_app, first):
    with connected(refresh_token_exchanged, bookmark, first=first):
        client_app.rotate()

    assert (Bookmark.objects.get().grant, Grant.objects.get().generation) == (client_app.grant, 2)


@pytest.mark.parametrize("error", [RefreshVetoed, LookupError, IntegrityError])
def test_rows_that_a_receiver_wrote_go_with_a_refresh_that_it_stopped(client_app, first, error):
    def write_and_stop(grant, **kwargs):
        bookmark(grant)
        raise error

    before = database_snapshot()
    with connected(refresh_token_exchanged, write_and_stop, first=first):
        response = client_app.refresh()

    vetoed = error is RefreshVetoed
    assert response.status_code == (HTTPStatus.BAD_REQUEST if vetoed else HTTPStatus.SERVICE_UNAVAILABLE)
    assert (database_snapshot(), Bookmark.objects.count()) == (before, 0)
    assert client_app.refresh().status_code == HTTPStatus.OK


def test_savepoint_that_a_receiver_takes_back_takes_its_own_rows_alone(client_app, first):
    def write_and_take_back(grant, **kwargs):
        with transaction.atomic():
            bookmark(grant)
            transaction.set_rollback(True)

    with connected(refresh_token_exchanged, write_and_take_back, first=first):
        client_app.rotate()

    assert (Bookmark.objects.count(), Grant.objects.get().generation, RefreshToken.objects.count()) == (0, 2, 2)


def test_receiver_that_hides_an_error_of_the_database_stops_the_refresh_where_it_broke_the_transaction(
    client_app, first
):
    def hide_an_error(**kwargs):
        with suppress(IntegrityError):
            UserFactory(username=client_app.grant.user.username)

    before = database_snapshot()
    with connected(refresh_token_exchanged, hide_an_error, first=first):
        response = client_app.refresh()

    survives = connection.vendor == "mysql"  # which goes on after an error
    assert response.status_code in {HTTPStatus.SERVICE_UNAVAILABLE, *([HTTPStatus.OK] if survives else [])}
    assert survives or database_snapshot() == before


def test_repetition_inside_the_window_is_no_exchange_and_cannot_be_vetoed(client_app, oauth_settings, first):
    def veto(**kwargs):
        raise RefreshVetoed

    oauth_settings(RETRY_WINDOW=timedelta(minutes=5))
    issued = refresh_of(client_app)

    with connected(refresh_token_exchanged, veto, first=first):
        again = refresh_of(client_app)
        client_app.refresh_token = again.refresh_token
        with pytest.raises(InvalidGrant):
            refresh_of(client_app)

    assert again.refresh_token == issued.refresh_token


@only_postgresql
def test_connection_that_is_lost_after_the_write_loses_nothing_inside_the_window(client_app, oauth_settings, first):
    """The statement was committed, but the server cannot know: it answers 503, and the client asks again."""

    def lose_the_answer(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith("WITH") and not connection.in_atomic_block:
            raise OperationalError("server closed the connection unexpectedly") from DriverError("08006")
        return result

    oauth_settings(RETRY_WINDOW=timedelta(minutes=5))
    with connection.execute_wrapper(lose_the_answer):
        lost = client_app.refresh()

    assert answer_of(lost) == UNAVAILABLE
    assert Grant.objects.get().generation == 2
    client_app.rotate()
    assert (Grant.objects.get().generation, Grant.objects.get().retries) == (2, 1)
    client_app.rotate()
