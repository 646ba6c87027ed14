"""The connected applications as JSON, and how to disconnect them, for the project's own front end."""

import logging
import uuid
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
import time_machine
from django.db import OperationalError, connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.authentication import BasicAuthentication
from rest_framework.generics import GenericAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.parsers import FormParser
from rest_framework.permissions import IsAdminUser
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.versioning import BaseVersioning, QueryParameterVersioning
from rest_framework.views import APIView

from oauth_refresh.models import Grant
from oauth_refresh.services import revoke_grant
from oauth_refresh.signals import grant_revoked, grants_revoked
from tests.database import database_snapshot
from tests.factories import SECRET, ApplicationFactory, GrantFactory, UserFactory
from tests.grants import (
    expired_grant,
    grant_of_another_user,
    grant_with_unredeemed_code,
    make_grants,
    revoked_grant,
)
from tests.interference import run_after_select
from tests.oauth import FORM, OAuthClient
from tests.queries import statements
from tests.routers import LaggingReplica
from tests.signals import recorded
from tests.user_pages.pages import signed_in, token_of, url

JSON = "application/json"
STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
EMPTY_LIST = {"count": 0, "next": None, "previous": None, "results": []}
NOT_FOUND = {"detail": "Not found."}
NOT_SIGNED_IN = {"detail": "Authentication credentials were not provided."}
NOT_SECURE = {"detail": "Use https."}
SERVER_ERROR = {"detail": "The server could not answer now. Try again."}


@pytest.fixture
def browser(user):
    return signed_in(user)


@pytest.fixture
def grant(user):
    return GrantFactory(user=user)


def post(browser, address, **extra):
    """POST with an empty body, as a script would."""
    return browser.generic("POST", address, **extra)


def disconnect_url(grant):
    return url("api_application_revoke", grant.public_id)


def answer(response):
    """Return status and body of an answer, after checking what all answers have in common."""
    assert response.headers["Cache-Control"] == "no-store"
    if response.status_code == HTTPStatus.NO_CONTENT:
        return response.status_code, response.content
    assert response.headers["Content-Type"] == JSON
    return response.status_code, response.json()


def listed(browser, **query):
    """Return the IDs on a page of the list, in order."""
    status, body = answer(browser.get(url("api_applications"), query))
    assert status == HTTPStatus.OK
    return [result["id"] for result in body["results"]]


# The list.


def test_list_shows_each_grant(user):
    with time_machine.travel(STARTED + timedelta(days=1), tick=False):
        grant = GrantFactory(
            user=user,
            application__name="Notebook",
            application__client_id="notebook-7",
            scope="notes:read notes:burn",
            created_at=STARTED,
            refreshed_at=STARTED + timedelta(hours=2),
            address="192.0.2.7",
            user_agent="browser/1",
        )
        response = signed_in(user).get(url("api_applications"))

    assert answer(response) == (
        HTTPStatus.OK,
        {
            "count": 1,
            "next": None,
            "previous": None,
            "results": [
                {
                    "id": str(grant.public_id),
                    "application": {"name": "Notebook", "client_id": "notebook-7"},
                    "scopes": [
                        {"name": "notes:read", "text": "Read your notes"},
                        {"name": "notes:burn", "text": "notes:burn"},
                    ],
                    "started_at": "2026-03-01T12:00:00Z",
                    "refreshed_at": "2026-03-01T14:00:00Z",
                    "expires_at": "2026-03-15T12:00:00Z",
                    "address": "192.0.2.7",
                    "user_agent": "browser/1",
                    "program": "browser",
                }
            ],
        },
    )


def test_unknown_facts_of_a_grant_are_null_or_empty(user, browser):
    GrantFactory(user=user, scope="")

    [result] = browser.get(url("api_applications")).json()["results"]

    assert {name: result[name] for name in ("scopes", "refreshed_at", "address", "user_agent", "program")} == {
        "scopes": [],
        "refreshed_at": None,
        "address": None,
        "user_agent": "",
        "program": "",
    }


def test_grants_are_sorted_by_application_last_used_first(user, browser):
    album, notebook = ApplicationFactory(name="Album"), ApplicationFactory(name="Notebook")
    now = datetime.now(UTC)
    other, old, new = (
        GrantFactory(user=user, application=application, created_at=now - timedelta(days=days))
        for application, days in ((notebook, 1), (album, 3), (album, 2))
    )

    assert listed(browser) == [str(grant.public_id) for grant in (other, new, old)]


@pytest.mark.parametrize("arrange", [grant_of_another_user, revoked_grant, expired_grant, grant_with_unredeemed_code])
def test_inactive_or_foreign_grant_is_not_listed(user, browser, arrange):
    arrange(user)

    assert answer(browser.get(url("api_applications"))) == (HTTPStatus.OK, EMPTY_LIST)


def test_page_holds_twenty_five_grants(browser, user):
    make_grants(user, 60)
    there = f"http://testserver{url('api_applications')}"

    pages = [browser.get(url("api_applications"), {"page": number}).json() for number in (1, 2, 3)]

    assert [(page["count"], page["previous"], page["next"], len(page["results"])) for page in pages] == [
        (60, None, f"{there}?page=2", 25),
        (60, there, f"{there}?page=3", 25),
        (60, f"{there}?page=2", None, 10),
    ]


@pytest.mark.parametrize("number", ["0", "4", "nonsense"])
def test_page_that_does_not_exist_is_not_found(browser, user, number):
    make_grants(user, 60)

    status, body = answer(browser.get(url("api_applications"), {"page": number}))

    assert (status, body) == (HTTPStatus.NOT_FOUND, {"detail": "Invalid page."})


@pytest.mark.parametrize("count", [10, 1_000])
def test_list_costs_five_statements_for_any_number_of_grants(browser, user, count):
    make_grants(user, count)

    with CaptureQueriesContext(connection) as queries:
        listed(browser)

    assert statements(queries) == ["SELECT", "SELECT", "SELECT grant", "SELECT grant"]


# Disconnect one application.


def test_disconnected_application_can_no_longer_refresh(browser, user, client_app):
    response = post(browser, disconnect_url(client_app.grant))

    assert answer(response) == (HTTPStatus.NO_CONTENT, b"")
    grant = Grant.objects.get()
    assert (grant.revoked_reason, grant.revoked_by) == ("user_request", user)
    refused = client_app.refresh()
    assert (refused.status_code, refused.json()["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_grant")


def test_other_grants_stay_active(browser, user, client_app):
    others = [OAuthClient(client_app.application, SECRET).start(user=owner) for owner in (user, UserFactory())]

    post(browser, disconnect_url(client_app.grant))

    assert [other.refresh().status_code for other in others] == [HTTPStatus.OK, HTTPStatus.OK]


def test_signal_carries_the_grant_and_the_user(browser, user, grant, django_capture_on_commit_callbacks):
    with recorded(grant_revoked) as sent, django_capture_on_commit_callbacks(execute=True):
        post(browser, disconnect_url(grant))

    assert [(kwargs["grant"], kwargs["reason"], kwargs["by"]) for kwargs in sent] == [(grant, "user_request", user)]


def test_disconnecting_twice_is_no_error_and_changes_nothing(browser, grant):
    post(browser, disconnect_url(grant))
    before = database_snapshot()

    response = post(browser, disconnect_url(grant))

    assert answer(response) == (HTTPStatus.NO_CONTENT, b"")
    assert database_snapshot() == before


@pytest.mark.parametrize("arrange", [revoked_grant, expired_grant])
def test_disconnecting_an_inactive_grant_is_no_error(browser, user, arrange):
    grant = arrange(user)

    assert answer(post(browser, disconnect_url(grant))) == (HTTPStatus.NO_CONTENT, b"")


def test_concurrent_revocation_keeps_its_reason(browser, grant):
    with run_after_select(Grant, lambda: revoke_grant(grant, reason="breach")):
        response = post(browser, disconnect_url(grant))

    assert answer(response) == (HTTPStatus.NO_CONTENT, b"")
    assert Grant.objects.get().revoked_reason == "breach"


@pytest.mark.parametrize("arrange", [grant_of_another_user, grant_with_unredeemed_code])
def test_grant_of_another_user_or_with_an_unredeemed_code_is_not_found(browser, user, arrange):
    grant = arrange(user)
    before = database_snapshot()

    response = post(browser, disconnect_url(grant))

    assert answer(response) == (HTTPStatus.NOT_FOUND, NOT_FOUND)
    assert database_snapshot() == before


def test_unknown_grant_is_not_found(browser):
    response = post(browser, url("api_application_revoke", uuid.uuid4()))

    assert answer(response) == (HTTPStatus.NOT_FOUND, NOT_FOUND)


def test_disconnecting_costs_four_statements(browser, user, grant):
    make_grants(user, 100)

    with CaptureQueriesContext(connection) as queries:
        post(browser, disconnect_url(grant))

    assert statements(queries) == ["SELECT", "SELECT", "SELECT grant", "UPDATE grant", "INSERT revocationnotice"]


# Disconnect all of one application.


def of_application_url(grant):
    return url("api_application_revoke_all", grant.public_id)


def test_all_grants_of_one_application_are_disconnected_and_counted(browser, user, grant):
    for _number in range(2):
        GrantFactory(user=user, application=grant.application)
    GrantFactory(user=user, application=grant.application, revoked=True)
    others = {GrantFactory(user=user).pk, GrantFactory(application=grant.application).pk}

    with CaptureQueriesContext(connection) as queries:
        response = post(browser, of_application_url(grant))

    assert answer(response) == (HTTPStatus.OK, {"count": 3})
    assert statements(queries) == [
        "SELECT",
        "SELECT",
        "SELECT grant",
        "UPDATE grant",
        "SELECT grant",
        "INSERT revocationnotice",
    ]
    assert set(Grant.objects.filter(revoked_at=None).values_list("pk", flat=True)) == others
    assert Grant.objects.filter(revoked_reason="user_request", revoked_by=user).count() == 3


def test_disconnecting_an_application_counts_grants_with_unredeemed_codes(browser, user, grant):
    Grant.objects.filter(pk=grant_with_unredeemed_code(user).pk).update(application=grant.application)

    assert answer(post(browser, of_application_url(grant))) == (HTTPStatus.OK, {"count": 2})


def test_application_that_is_disconnected_already_has_nothing_to_count(browser, user):
    grant = revoked_grant(user)
    before = database_snapshot()

    assert answer(post(browser, of_application_url(grant))) == (HTTPStatus.OK, {"count": 0})
    assert database_snapshot() == before


@pytest.mark.parametrize("arrange", [grant_of_another_user, grant_with_unredeemed_code])
def test_application_of_a_grant_that_is_not_listed_is_not_found(browser, user, arrange):
    grant = arrange(user)
    before = database_snapshot()

    response = post(browser, of_application_url(grant))

    assert answer(response) == (HTTPStatus.NOT_FOUND, NOT_FOUND)
    assert database_snapshot() == before


# Disconnect all.


@pytest.mark.parametrize("count", [0, 10, 1_000])
def test_one_update_disconnects_all_and_the_answer_says_how_many_there_were(browser, user, count):
    make_grants(user, count)
    GrantFactory(user=user, revoked=True)

    with CaptureQueriesContext(connection) as queries:
        response = post(browser, url("api_applications_revoke"))

    assert answer(response) == (HTTPStatus.OK, {"count": count})
    notice = ["INSERT revocationnotice"] if count else []
    assert statements(queries) == ["SELECT", "SELECT", "UPDATE grant", *notice]
    assert Grant.objects.filter(revoked_reason="user_request", revoked_by=user).count() == count


def test_disconnecting_all_counts_grants_with_unredeemed_codes(browser, user, grant):
    grant_with_unredeemed_code(user)

    assert answer(post(browser, url("api_applications_revoke"))) == (HTTPStatus.OK, {"count": 2})


def test_disconnecting_all_does_not_affect_other_users(browser, client_app):
    other = OAuthClient(client_app.application, SECRET).start(user=UserFactory())

    post(browser, url("api_applications_revoke"))

    assert client_app.refresh().json()["error"] == "invalid_grant"
    assert other.refresh().status_code == HTTPStatus.OK


def test_one_signal_carries_all_grants(browser, user, django_capture_on_commit_callbacks):
    make_grants(user, 3)

    with recorded(grants_revoked) as sent, django_capture_on_commit_callbacks(execute=True):
        post(browser, url("api_applications_revoke"))

    [revocation_id] = set(Grant.objects.values_list("revocation_id", flat=True))
    assert [{name: value for name, value in kwargs.items() if name != "sender"} for kwargs in sent] == [
        {
            "selector": Q(user=user),
            "count": 3,
            "reason": "user_request",
            "by": user,
            "revocation_id": revocation_id,
        }
    ]


# Access.


OF_ONE_GRANT = ["api_application_revoke", "api_application_revoke_all"]
REVOCATIONS = [*OF_ONE_GRANT, "api_applications_revoke"]


@pytest.fixture(params=["api_applications", *REVOCATIONS])
def endpoint(request, grant):
    """The method and address of each endpoint in turn, for a user with one grant."""
    method = "GET" if request.param == "api_applications" else "POST"
    return method, url(request.param, *([grant.public_id] if request.param in OF_ONE_GRANT else []))


@pytest.fixture(params=REVOCATIONS)
def revocation(request, grant):
    """The address of each endpoint that revokes grants, in turn."""
    return url(request.param, *([grant.public_id] if request.param in OF_ONE_GRANT else []))


@pytest.mark.parametrize("slash", ["", "/"])
def test_endpoint_answers_with_and_without_a_slash(browser, endpoint, slash):
    method, address = endpoint

    assert browser.generic(method, address + slash).status_code in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}


def test_anonymous_request_is_refused_and_changes_nothing(endpoint):
    before = database_snapshot()

    response = Client().generic(*endpoint)

    assert answer(response) == (HTTPStatus.FORBIDDEN, NOT_SIGNED_IN)
    assert database_snapshot() == before


def test_deactivated_user_is_refused(browser, user, endpoint):
    type(user).objects.update(is_active=False)
    before = database_snapshot()

    assert answer(browser.generic(*endpoint)) == (HTTPStatus.FORBIDDEN, NOT_SIGNED_IN)
    assert database_snapshot() == before


def test_access_token_does_not_authenticate(client_app):
    headers = {"Authorization": f"Bearer {client_app.access_token}"}

    response = Client().get(url("api_applications"), headers=headers)

    assert answer(response) == (HTTPStatus.FORBIDDEN, NOT_SIGNED_IN)


def test_endpoint_works_where_all_pages_require_a_login(browser, endpoint, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]

    assert answer(Client().generic(*endpoint)) == (HTTPStatus.FORBIDDEN, NOT_SIGNED_IN)
    assert browser.generic(*endpoint).status_code in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}


def test_plain_http_is_refused_and_changes_nothing(browser, endpoint, oauth_settings):
    oauth_settings(REQUIRE_HTTPS=True)
    before = database_snapshot()

    response = browser.generic(*endpoint)

    assert answer(response) == (HTTPStatus.BAD_REQUEST, NOT_SECURE)
    assert database_snapshot() == before


def test_endpoint_answers_over_https(browser, endpoint, oauth_settings):
    oauth_settings(REQUIRE_HTTPS=True)

    assert browser.generic(*endpoint, secure=True).status_code in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}


@pytest.mark.usefixtures("csrf_middleware")
@pytest.mark.parametrize("token", [None, "x" * 64], ids=["none", "another"])
def test_request_without_a_csrf_token_changes_nothing(user, revocation, token):
    browser = signed_in(user, enforce_csrf_checks=True)
    browser.get(url("applications_revoke"))
    before = database_snapshot()

    response = post(browser, revocation, headers={"X-CSRFToken": token} if token else {})

    status, body = answer(response)
    assert status == HTTPStatus.FORBIDDEN
    assert body["detail"].startswith("CSRF Failed: ")
    assert database_snapshot() == before


def test_request_with_a_csrf_token_is_accepted(user, revocation):
    browser = signed_in(user, enforce_csrf_checks=True)
    token = token_of(browser.get(url("applications_revoke")))

    post(browser, revocation, headers={"X-CSRFToken": token})

    assert Grant.objects.get().revoked_reason == "user_request"


# Requests and answers.


@pytest.mark.parametrize(
    ("body", "content_type"), [("", ""), ("", JSON), ("", FORM), ("{}", JSON), ('{"reason": "lost"}', JSON)]
)
def test_request_needs_no_body(browser, revocation, body, content_type):
    browser.generic("POST", revocation, body, content_type)

    assert Grant.objects.get().revoked_reason == "user_request"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("reason=lost", FORM, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        ("{}", "text/plain", HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        ("{", JSON, HTTPStatus.BAD_REQUEST),
        ("[]", JSON, HTTPStatus.BAD_REQUEST),
        ("null", JSON, HTTPStatus.BAD_REQUEST),
        ("[" * 100_000, JSON, HTTPStatus.BAD_REQUEST),
    ],
    ids=["form", "text", "cut off", "list", "null", "nested too deep"],
)
def test_body_that_is_not_a_json_object_changes_nothing(browser, revocation, body, content_type, status):
    before = database_snapshot()

    response = browser.generic("POST", revocation, body, content_type)

    assert answer(response)[0] == status
    assert database_snapshot() == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_change_nothing(browser, endpoint, method):
    before = database_snapshot()

    response = browser.generic(method, endpoint[1])

    assert answer(response) == (HTTPStatus.METHOD_NOT_ALLOWED, {"detail": f'Method "{method}" not allowed.'})
    assert database_snapshot() == before


def test_get_disconnects_nothing(browser, revocation):
    before = database_snapshot()

    assert browser.get(revocation).status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert database_snapshot() == before


@pytest.mark.parametrize("accept", ["text/html", "application/json; indent=8", "nonsense"])
def test_answer_is_json_for_every_accept_header(browser, accept):
    response = browser.get(url("api_applications"), {"format": "api"}, headers={"Accept": accept})

    assert answer(response) == (HTTPStatus.OK, EMPTY_LIST)


@pytest.fixture
def project_with_other_drf_defaults(settings, monkeypatch):
    """A project that changes every default of DRF. DRF reads most of them once, into these attributes."""
    for view, name, value in (
        (APIView, "authentication_classes", [BasicAuthentication]),
        (APIView, "permission_classes", [IsAdminUser]),
        (APIView, "throttle_classes", [None]),
        (APIView, "parser_classes", [FormParser]),
        (APIView, "renderer_classes", [BrowsableAPIRenderer]),
        (APIView, "content_negotiation_class", DefaultContentNegotiation),
        (APIView, "versioning_class", QueryParameterVersioning),
        (BaseVersioning, "allowed_versions", ["v9"]),
        (GenericAPIView, "pagination_class", CursorPagination),
        (GenericAPIView, "filter_backends", [None]),
        (PageNumberPagination, "page_size", 1),
    ):
        monkeypatch.setattr(view, name, value)
    settings.REST_FRAMEWORK = {
        "EXCEPTION_HANDLER": "nowhere.to.be.found",
        "DATETIME_FORMAT": "%d.%m.%Y",
        "UNAUTHENTICATED_USER": None,
        "URL_FORMAT_OVERRIDE": "page",
    }


@pytest.mark.usefixtures("project_with_other_drf_defaults")
def test_drf_defaults_of_the_project_do_not_change_the_list(browser, user):
    GrantFactory(user=user, created_at=datetime.now(UTC).replace(microsecond=0))
    GrantFactory(user=user)

    status, body = answer(browser.get(url("api_applications"), {"page": "1"}))

    assert (status, body["count"], len(body["results"])) == (HTTPStatus.OK, 2, 2)
    assert all(datetime.fromisoformat(result["started_at"]).tzinfo for result in body["results"])


@pytest.mark.usefixtures("project_with_other_drf_defaults")
def test_drf_defaults_of_the_project_do_not_change_revocations_and_refusals(browser, revocation):
    assert answer(post(Client(), revocation)) == (HTTPStatus.FORBIDDEN, NOT_SIGNED_IN)
    assert browser.generic("POST", revocation, "{}", JSON).status_code in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}
    assert Grant.objects.get().revoked_reason == "user_request"


def test_endpoint_reads_from_the_write_database(browser, endpoint, settings):
    settings.DATABASE_ROUTERS = [LaggingReplica()]

    assert browser.generic(*endpoint).status_code in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic_requests", [False, True], ids=["without ATOMIC_REQUESTS", "with ATOMIC_REQUESTS"])
def test_revocation_is_committed_and_signalled(browser, revocation, monkeypatch, atomic_requests):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic_requests)

    with recorded(grant_revoked) as one, recorded(grants_revoked) as many:
        post(browser, revocation)

    assert [kwargs["reason"] for kwargs in one + many] == ["user_request"]
    assert Grant.objects.get().revoked_reason == "user_request"


@pytest.mark.django_db(transaction=True)
def test_server_error_is_answered_in_json_logged_and_rolled_back(browser, user, revocation, monkeypatch, caplog):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    before = database_snapshot()

    def fail_after_a_write(execute, sql, params, many, context):
        if Grant._meta.db_table not in sql:
            return execute(sql, params, many, context)
        type(user).objects.update(last_name="written by the project in the same request")
        raise OperationalError("the database is away")

    with connection.execute_wrapper(fail_after_a_write), caplog.at_level(logging.ERROR, "django.request"):
        response = post(browser, revocation)

    assert answer(response) == (HTTPStatus.SERVICE_UNAVAILABLE, SERVER_ERROR)
    assert response.headers["Retry-After"] == "5"
    assert [record.getMessage() for record in caplog.records] == [f"Server error at {revocation}"]
    assert database_snapshot() == before
    assert type(user).objects.get().last_name == ""
