"""What the optional app counts, as Prometheus reads it."""

import asyncio
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.db.models import Q
from django.http import HttpResponse
from django.test import AsyncClient, Client, modify_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from oauth_refresh.models import Application, RevocationReason
from oauth_refresh.services import revoke_grant, revoke_grants
from tests.factories import SECRET, GrantFactory
from tests.oauth import FORM, OAuthClient, basic, post_form

pytest.importorskip("opentelemetry.exporter.prometheus", reason="The extra test is not installed.")

from oauth_refresh.contrib.metrics import receivers
from tests.prometheus import counted, scrape

pytestmark = pytest.mark.django_db(transaction=True)  # receivers are called after a real commit

MIDDLEWARE = "oauth_refresh.contrib.metrics.middleware.count_refusals"


@pytest.fixture(autouse=True)
def metrics():
    """Install the app and its middleware, as a project would."""
    with modify_settings(
        INSTALLED_APPS={"append": "oauth_refresh.contrib.metrics"}, MIDDLEWARE={"prepend": MIDDLEWARE}
    ):
        yield
    receivers.disconnect()


def answer_early(get_response):
    return lambda request: HttpResponse(status=HTTPStatus.FORBIDDEN)


def answer_late(get_response):
    def replace(request):
        get_response(request)
        return HttpResponse(status=HTTPStatus.TOO_MANY_REQUESTS)

    return replace


def test_started_grant_is_counted_by_its_grant_type(application, user):
    with counted() as grown:
        OAuthClient(application, SECRET).start(user=user)

    assert grown == {'oauth_refresh_grants_started_total{grant_type="password"}': 1}


def test_refresh_is_counted_as_rotated(client_app):
    with counted() as grown:
        client_app.rotate()
        client_app.rotate()

    assert grown == {'oauth_refresh_refreshes_total{outcome="rotated"}': 2}


def test_refresh_without_rotation_is_counted_as_kept(client_app):
    Application.objects.update(rotate_refresh_tokens=False)

    with counted() as grown:
        client_app.rotate()

    assert grown == {'oauth_refresh_refreshes_total{outcome="kept"}': 1}


def test_repeat_inside_the_window_is_counted_as_repeated(client_app, oauth_settings):
    oauth_settings(RETRY_WINDOW=30)
    spent = client_app.refresh_token
    client_app.rotate()

    with counted() as grown:
        client_app.hold(client_app.refresh(spent))

    assert grown == {'oauth_refresh_refreshes_total{outcome="repeated"}': 1}


@pytest.mark.parametrize(
    ("later", "likely_cause"), [(timedelta(seconds=2), "concurrent_refresh"), (timedelta(hours=2), "theft")]
)
def test_reuse_is_counted_by_its_likely_cause(stopped_clock, client_app, later, likely_cause):
    spent = client_app.refresh_token
    client_app.rotate()
    stopped_clock.shift(later)

    with counted() as grown:
        client_app.refresh(spent)

    assert grown == {
        f'oauth_refresh_reuses_total{{likely_cause="{likely_cause}"}}': 1,
        'oauth_refresh_grants_revoked_total{reason="reuse_detected"}': 1,
        'oauth_refresh_requests_refused_total{endpoint="token",error="invalid_grant",status="400"}': 1,
    }


def test_each_grant_of_a_set_is_counted_as_revoked(user):
    GrantFactory.create_batch(3, user=user)

    with counted() as grown:
        revoke_grants(Q(user=user), reason=RevocationReason.USER_DEACTIVATED)

    assert grown == {'oauth_refresh_grants_revoked_total{reason="user_deactivated"}': 3}


def test_reason_that_staff_entered_is_counted_as_other(client_app):
    with counted() as grown:
        revoke_grant(client_app.grant, reason="Leaked in ticket 4711")

    assert grown == {'oauth_refresh_grants_revoked_total{reason="other"}': 1}


@pytest.mark.parametrize("endpoint", ["token", "revoke", "introspect", "revocations"])
def test_refusal_is_counted_by_endpoint_error_and_status(application, endpoint):
    with counted() as grown:
        post_form(endpoint, {"token": "x"}, authorization=basic(application.client_id, "wrong"))

    assert grown == {
        f'oauth_refresh_requests_refused_total{{endpoint="{endpoint}",error="invalid_client",status="401"}}': 1
    }


def test_server_error_is_counted_as_refused(client_app):
    def fail(execute, sql, params, many, context):
        raise ConnectionError

    with counted() as grown, connection.execute_wrapper(fail):
        assert client_app.refresh().status_code == HTTPStatus.SERVICE_UNAVAILABLE

    assert grown == {
        'oauth_refresh_requests_refused_total{endpoint="token",error="temporarily_unavailable",status="503"}': 1
    }


def test_answer_that_middleware_gave_instead_has_no_error_code(client_app, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.answer_late"]

    with counted() as grown:
        client_app.refresh()

    assert grown['oauth_refresh_refreshes_total{outcome="rotated"}'] == 1
    assert grown['oauth_refresh_requests_refused_total{endpoint="token",error="none",status="429"}'] == 1


@pytest.mark.parametrize("path", ["/nowhere", "/api/plain"])
def test_other_views_are_not_counted(path):
    with counted() as grown:
        assert Client().get(path).status_code >= HTTPStatus.BAD_REQUEST

    assert grown == {}


def test_request_that_reached_no_view_is_not_counted(client_app, settings):
    settings.MIDDLEWARE = [MIDDLEWARE, f"{__name__}.answer_early"]

    with counted() as grown:
        assert client_app.refresh().status_code == HTTPStatus.FORBIDDEN

    assert grown == {}


def test_refusal_is_counted_under_asgi(settings):
    settings.MIDDLEWARE = [MIDDLEWARE]  # all of it can be awaited
    request = AsyncClient().post(reverse("oauth_refresh:token"), data="grant_type=x", content_type=FORM)

    with counted() as grown:
        asyncio.run(request)

    assert grown == {'oauth_refresh_requests_refused_total{endpoint="token",error="invalid_client",status="401"}': 1}


def test_refresh_costs_as_many_statements_as_without_metrics(client_app):
    with CaptureQueriesContext(connection) as counting:
        client_app.rotate()
    receivers.disconnect()

    with CaptureQueriesContext(connection) as plain:
        client_app.rotate()

    assert len(counting) == len(plain)


def test_metrics_name_no_user_client_or_token(client_app, user):
    spent = client_app.refresh_token
    client_app.rotate()
    client_app.refresh(spent)

    text = "\n".join(scrape())

    private = [spent, client_app.refresh_token, client_app.access_token, SECRET, user.get_username()]
    assert [value for value in [*private, client_app.application.client_id] if value in text] == []


def test_check_warns_of_the_missing_middleware(settings):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != MIDDLEWARE]

    found = [message for message in run_checks() if message.id == "oauth_refresh_metrics.W001"]

    assert [message.msg for message in found] == ["Refused requests are not counted."]
    assert MIDDLEWARE in found[0].hint


def test_check_is_silent_with_the_middleware():
    assert [message for message in run_checks() if message.id == "oauth_refresh_metrics.W001"] == []
