"""A transaction that a host project has opened around the endpoints: nothing may depend on its rollback."""

import logging
from http import HTTPStatus

import pytest
from django.db import connection, transaction

from oauth_refresh.models import Grant
from oauth_refresh.services import refresh
from tests.consent import start_flow
from tests.database import database_snapshot

HERE = "tests.flows.test_open_transactions"
UNAVAILABLE = {
    "error": "temporarily_unavailable",
    "error_description": "The server could not answer now. Try again.",
}
CAUSE = (
    "A transaction is already open on the database 'default', but a refresh or revocation must be durable: its "
    "rollback could undo them. Exempt the endpoints of oauth_refresh from what opened it, such as a middleware with "
    "atomic() or django-reversion's RevisionMiddleware."
)

pytestmark = pytest.mark.django_db(transaction=True)


def opens_a_transaction(get_response):
    """Middleware of a project that wants every request to be one transaction."""

    def middleware(request):
        with transaction.atomic():
            return get_response(request)

    return middleware


def leaves_the_endpoints_out(get_response):
    inner = opens_a_transaction(get_response)
    return lambda request: (get_response if request.path.startswith("/oauth/") else inner)(request)


@pytest.fixture
def open_transaction(settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{HERE}.opens_a_transaction"]


def causes(caplog):
    """Return what the app itself has logged as an error."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.ERROR and record.name.startswith("oauth_refresh.")
    ]


@pytest.mark.usefixtures("open_transaction")
def test_refresh_in_an_open_transaction_changes_nothing_and_says_why(client_app, caplog):
    before = database_snapshot()

    for _turn in range(2):
        response = client_app.refresh()

        assert (response.status_code, response.json()) == (HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE)
        assert response.headers["Retry-After"] == "5"

    assert database_snapshot() == before
    assert causes(caplog) == [CAUSE, CAUSE]
    assert client_app.refresh_token not in caplog.text


def test_token_works_once_the_middleware_leaves_the_endpoints_out(client_app, settings):
    usual = settings.MIDDLEWARE
    settings.MIDDLEWARE = [*usual, f"{HERE}.opens_a_transaction"]
    client_app.refresh()

    settings.MIDDLEWARE = [*usual, f"{HERE}.leaves_the_endpoints_out"]

    assert client_app.refresh().status_code == HTTPStatus.OK


def test_reuse_in_an_open_transaction_is_not_decided_and_says_why(client_app, settings, caplog):
    spent = client_app.refresh_token
    client_app.rotate()
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{HERE}.opens_a_transaction"]

    response = client_app.refresh(spent)

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert causes(caplog) == [CAUSE]
    assert Grant.objects.get().revoked_at is None


def test_code_in_an_open_transaction_is_not_spent_and_says_why(user, settings, caplog):
    flow = start_flow(user)
    code, usual = flow.code(), settings.MIDDLEWARE
    settings.MIDDLEWARE = [*usual, f"{HERE}.opens_a_transaction"]

    assert flow.redeem(code).status_code == HTTPStatus.SERVICE_UNAVAILABLE

    settings.MIDDLEWARE = usual
    assert causes(caplog) == [CAUSE]
    assert flow.redeem(code).status_code == HTTPStatus.OK


@pytest.mark.usefixtures("open_transaction")
def test_revocation_is_part_of_the_open_transaction(client_app, caplog):
    assert client_app.revoke(client_app.refresh_token).status_code == HTTPStatus.OK

    assert Grant.objects.get().revoked_reason == "client_request"
    assert causes(caplog) == []


def test_requests_of_the_project_may_be_atomic(client_app, monkeypatch, caplog):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    assert client_app.refresh().status_code == HTTPStatus.OK
    assert causes(caplog) == []


def test_error_from_python_says_the_same(client_app):
    with pytest.raises(RuntimeError) as refused, transaction.atomic():
        refresh(client_app.application, raw_refresh_token=client_app.refresh_token)

    assert str(refused.value) == CAUSE
