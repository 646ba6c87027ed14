"""Failed authentications of clients, counted in the cache."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
from django.core.cache import cache

from oauth_refresh.services.failure_counts import authentication_failures, count_authentication_failure

START, MINUTE = datetime(2026, 6, 1, 12, tzinfo=UTC), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def empty_cache(time_machine):
    time_machine.move_to(START, tick=False)
    cache.clear()
    yield
    cache.clear()


def limits(part, count):
    return [START + number * part for number in range(count + 1)]


def test_failures_are_counted_by_minute_within_an_hour():
    for minutes in (0, 4, 5, 59):
        count_authentication_failure(START + minutes * MINUTE)

    assert authentication_failures(limits(5 * MINUTE, 12)) == [2, 1, *[0] * 9, 1]


def test_failures_are_counted_by_hour_in_longer_periods():
    for minutes in (0, 59, 60, 1439, 1440):
        count_authentication_failure(START + minutes * MINUTE)

    assert authentication_failures(limits(timedelta(hours=6), 4)) == [3, 0, 0, 1]


def test_failures_are_forgotten_after_a_month(time_machine):
    count_authentication_failure(START)
    assert authentication_failures(limits(timedelta(days=1), 30))[0] == 1

    time_machine.move_to(START + timedelta(days=33))

    assert authentication_failures(limits(timedelta(days=1), 30))[0] == 0


@pytest.fixture
def broken_cache(settings):
    settings.CACHES = {"default": {"BACKEND": "tests.broken_cache.BrokenCache"}}


def test_failures_are_unknown_while_the_cache_is_down(broken_cache, caplog):
    count_authentication_failure(START)

    assert authentication_failures(limits(MINUTE, 1)) is None
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 2
    assert "is not counted" in caplog.messages[0]


@pytest.mark.django_db
def test_client_that_fails_gets_its_answer_while_the_cache_is_down(broken_cache, client_app):
    client_app.secret = "wrong"

    assert client_app.refresh().status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.django_db
def test_overview_leaves_the_chart_out_while_the_cache_is_down(broken_cache, admin_client):
    response = admin_client.get("/admin/oauth_refresh/overview/")

    assert response.status_code == HTTPStatus.OK
    assert "Failed client authentications" not in response.content.decode()
    assert "Refused retries" in response.content.decode()
