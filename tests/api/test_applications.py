"""The list of a user's applications as JSON, and the ways to sign them out, for the project's own front end."""

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
from tests.conftest import SECRET
from tests.factories import ApplicationFactory, GrantFactory, UserFactory
from tests.interference import everything, heard, rival_acts_after_a_look_at
from tests.oauth import FORM, OAuthClient
from tests.sessions import (
    LaggingReplica,
    expired,
    make_sessions,
    of_another_user,
    revoked,
    waiting_for_its_code,
)
from tests.test_budgets import statements
from tests.web.pages import signed_in, token_of, url

JSON = "application/json"
STARTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
EMPTY_LIST = {"count": 0, "next": None, "previous": None, "results": []}
NOT_FOUND = {"detail": "Not found."}
NOT_SIGNED_IN = {"detail": "Authentication credentials were not provided."}
NOT_SECURE = {"detail": "Use https."}
FAULT = {"detail": "The server could not answer now. Try again."}


@pytest.fixture
def browser(user):
    return signed_in(user)


@pytest.fixture
def session(user):
    return GrantFactory(user=user)


def post(browser, address, **extra):
    """POST with an empty body, as a script does that has nothing to add."""
    return browser.generic("POST", address, **extra)


def sign_out_url(grant):
    return url("api_application_revoke", grant.public_id)


def answer(response):
    """Return status and body of an answer, after a look at what every answer has in common."""
    assert response.headers["Cache-Control"] == "no-store"
    if response.status_code == HTTPStatus.NO_CONTENT:
        return response.status_code, response.content
    assert response.headers["Content-Type"] == JSON
    return response.status_code, response.json()


def listed(browser, **query):
    """Return the IDs on a page of the list, in their order."""
    status, body = answer(browser.get(url("api_applications"), query))
    assert status == HTTPStatus.OK
    return [result["id"] for result in body["results"]]


# The list.


def test_list_tells_of_each_session(user):
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
                }
            ],
        },
    )


def test_what_is_not_known_of_a_session_is_null_or_empty(user, browser):
    GrantFactory(user=user, scope="")

    [result] = browser.get(url("api_applications")).json()["results"]

    assert {name: result[name] for name in ("scopes", "refreshed_at", "address", "user_agent")} == {
        "scopes": [],
        "refreshed_at": None,
        "address": None,
        "user_agent": "",
    }


def test_sessions_are_in_the_order_of_their_applications_the_newest_first(user, browser):
    album, notebook = ApplicationFactory(name="Album"), ApplicationFactory(name="Notebook")
    now = datetime.now(UTC)
    other, old, new = (
        GrantFactory(user=user, application=application, created_at=now - timedelta(days=days))
        for application, days in ((notebook, 1), (album, 3), (album, 2))
    )

    assert listed(browser) == [str(grant.public_id) for grant in (new, old, other)]


@pytest.mark.parametrize("arrange", [of_another_user, revoked, expired, waiting_for_its_code])
def test_session_that_cannot_act_for_the_user_is_not_listed(user, browser, arrange):
    arrange(user)

    assert answer(browser.get(url("api_applications"))) == (HTTPStatus.OK, EMPTY_LIST)


def test_sessions_come_twenty_five_to_a_page(browser, user):
    make_sessions(user, 60)
    there = f"http://testserver{url('api_applications')}"

    pages = [browser.get(url("api_applications"), {"page": number}).json() for number in (1, 2, 3)]

    assert [(page["count"], page["previous"], page["next"], len(page["results"])) for page in pages] == [
        (60, None, f"{there}?page=2", 25),
        (60, there, f"{there}?page=3", 25),
        (60, f"{there}?page=2", None, 10),
    ]


@pytest.mark.parametrize("number", ["0", "4", "nonsense"])
def test_page_that_does_not_exist_is_not_found(browser, user, number):
    make_sessions(user, 60)

    status, body = answer(browser.get(url("api_applications"), {"page": number}))

    assert (status, body) == (HTTPStatus.NOT_FOUND, {"detail": "Invalid page."})


@pytest.mark.parametrize("count", [10, 1_000])
def test_list_costs_four_statements_however_many_sessions_there_are(browser, user, count):
    make_sessions(user, count)

    with CaptureQueriesContext(connection) as queries:
        listed(browser)

    assert statements(queries) == ["SELECT", "SELECT", "SELECT grant", "SELECT grant"]


# Signing out of one session.


def test_user_signs_out_and_the_application_can_refresh_no_more(browser, user, client_app):
    response = post(browser, sign_out_url(client_app.grant))

    assert answer(response) == (HTTPStatus.NO_CONTENT, b"")
    grant = Grant.objects.get()
    assert (grant.revoked_reason, grant.revoked_by) == ("user_request", user)
    refused = client_app.refresh()
    assert (refused.status_code, refused.json()["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_grant")


def test_other_sessions_go_on(browser, user, client_app):
    others = [OAuthClient(client_app.application, SECRET).start(user=owner) for owner in (user, UserFactory())]

    post(browser, sign_out_url(client_app.grant))

    assert [other.refresh().status_code for other in others] == [HTTPStatus.OK, HTTPStatus.OK]


def test_signal_tells_of_the_session(browser, user, session, django_capture_on_commit_callbacks):
    with heard(grant_revoked) as told, django_capture_on_commit_callbacks(execute=True):
        post(browser, sign_out_url(session))

    assert [(kwargs["grant"], kwargs["reason"], kwargs["by"]) for kwargs in told] == [(session, "user_request", user)]


def test_signing_out_twice_is_no_error_and_changes_nothing(browser, session):
    post(browser, sign_out_url(session))
    before = everything()

    response = post(browser, sign_out_url(session))

    assert answer(response) == (HTTPStatus.NO_CONTENT, b"")
    assert everything() == before


@pytest.mark.parametrize("arrange", [revoked, expired])
def test_session_that_is_over_already_is_no_error(browser, user, arrange):
    grant = arrange(user)

    assert answer(post(browser, sign_out_url(grant))) == (HTTPStatus.NO_CONTENT, b"")


def test_session_that_somebody_ends_at_the_same_moment_keeps_their_reason(browser, session):
    with rival_acts_after_a_look_at(Grant, lambda: revoke_grant(session, reason="breach")):
        response = post(browser, sign_out_url(session))

    assert answer(response) == (HTTPStatus.NO_CONTENT, b"")
    assert Grant.objects.get().revoked_reason == "breach"


@pytest.mark.parametrize("arrange", [of_another_user, waiting_for_its_code])
def test_session_of_another_user_or_none_yet_is_not_found(browser, user, arrange):
    grant = arrange(user)
    before = everything()

    response = post(browser, sign_out_url(grant))

    assert answer(response) == (HTTPStatus.NOT_FOUND, NOT_FOUND)
    assert everything() == before


def test_session_that_never_was_is_not_found(browser):
    response = post(browser, url("api_application_revoke", uuid.uuid4()))

    assert answer(response) == (HTTPStatus.NOT_FOUND, NOT_FOUND)


def test_signing_out_costs_four_statements(browser, user, session):
    make_sessions(user, 100)

    with CaptureQueriesContext(connection) as queries:
        post(browser, sign_out_url(session))

    assert statements(queries) == ["SELECT", "SELECT", "SELECT grant", "UPDATE grant"]


# Signing out of all.


@pytest.mark.parametrize("count", [0, 10, 1_000])
def test_user_signs_out_of_all_by_one_update_and_is_told_how_many_they_were(browser, user, count):
    make_sessions(user, count)
    GrantFactory(user=user, revoked=True)

    with CaptureQueriesContext(connection) as queries:
        response = post(browser, url("api_applications_revoke"))

    assert answer(response) == (HTTPStatus.OK, {"count": count})
    assert statements(queries) == ["SELECT", "SELECT", "UPDATE grant"]
    assert Grant.objects.filter(revoked_reason="user_request", revoked_by=user).count() == count


def test_signing_out_of_all_counts_what_waits_for_its_code(browser, user, session):
    waiting_for_its_code(user)

    assert answer(post(browser, url("api_applications_revoke"))) == (HTTPStatus.OK, {"count": 2})


def test_signing_out_of_all_leaves_other_users_alone(browser, client_app):
    other = OAuthClient(client_app.application, SECRET).start(user=UserFactory())

    post(browser, url("api_applications_revoke"))

    assert client_app.refresh().json()["error"] == "invalid_grant"
    assert other.refresh().status_code == HTTPStatus.OK


def test_signal_tells_of_all_sessions_once(browser, user, django_capture_on_commit_callbacks):
    make_sessions(user, 3)

    with heard(grants_revoked) as told, django_capture_on_commit_callbacks(execute=True):
        post(browser, url("api_applications_revoke"))

    [revocation_id] = set(Grant.objects.values_list("revocation_id", flat=True))
    assert [{name: value for name, value in kwargs.items() if name != "sender"} for kwargs in told] == [
        {
            "selector": Q(user=user),
            "count": 3,
            "reason": "user_request",
            "by": user,
            "revocation_id": revocation_id,
        }
    ]


# Who may.


@pytest.fixture(params=["api_applications", "api_application_revoke", "api_applications_revoke"])
def endpoint(request, session):
    """The method and address of each endpoint in turn, for a user with one session."""
    method = "GET" if request.param == "api_applications" else "POST"
    return method, url(request.param, *([session.public_id] if request.param == "api_application_revoke" else []))


@pytest.fixture(params=["api_application_revoke", "api_applications_revoke"])
def ending(request, session):
    """The address of each endpoint that ends something in turn."""
    return url(request.param, *([session.public_id] if request.param == "api_application_revoke" else []))


@pytest.mark.parametrize("slash", ["", "/"])
def test_endpoint_answers_with_and_without_a_slash(browser, endpoint, slash):
    method, address = endpoint

    assert browser.generic(method, address + slash).status_code in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}


def test_stranger_is_refused_and_nothing_has_changed(endpoint):
    before = everything()

    response = Client().generic(*endpoint)

    assert answer(response) == (HTTPStatus.FORBIDDEN, NOT_SIGNED_IN)
    assert everything() == before


def test_who_was_deactivated_is_refused(browser, user, endpoint):
    type(user).objects.update(is_active=False)
    before = everything()

    assert answer(browser.generic(*endpoint)) == (HTTPStatus.FORBIDDEN, NOT_SIGNED_IN)
    assert everything() == before


def test_token_of_an_application_is_no_session(client_app):
    headers = {"Authorization": f"Bearer {client_app.access_token}"}

    response = Client().get(url("api_applications"), headers=headers)

    assert answer(response) == (HTTPStatus.FORBIDDEN, NOT_SIGNED_IN)


def test_endpoint_works_where_all_pages_require_a_login(browser, endpoint, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]

    assert answer(Client().generic(*endpoint)) == (HTTPStatus.FORBIDDEN, NOT_SIGNED_IN)
    assert browser.generic(*endpoint).status_code in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}


def test_endpoint_is_refused_in_the_clear_and_nothing_has_changed(browser, endpoint, settings):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "REQUIRE_HTTPS": True}
    before = everything()

    response = browser.generic(*endpoint)

    assert answer(response) == (HTTPStatus.BAD_REQUEST, NOT_SECURE)
    assert everything() == before


def test_endpoint_answers_by_https(browser, endpoint, settings):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "REQUIRE_HTTPS": True}

    assert browser.generic(*endpoint, secure=True).status_code in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}


@pytest.fixture(params=[True, False], ids=["with the middleware", "without the middleware"])
def csrf_middleware(request, settings):
    if not request.param:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "csrf" not in name]


@pytest.mark.usefixtures("csrf_middleware")
@pytest.mark.parametrize("token", [None, "x" * 64], ids=["none", "another"])
def test_request_without_the_token_of_the_site_ends_nothing(user, ending, token):
    browser = signed_in(user, enforce_csrf_checks=True)
    browser.get(url("applications_revoke"))
    before = everything()

    response = post(browser, ending, headers={"X-CSRFToken": token} if token else {})

    status, body = answer(response)
    assert status == HTTPStatus.FORBIDDEN
    assert body["detail"].startswith("CSRF Failed: ")
    assert everything() == before


def test_request_with_the_token_of_the_site_is_accepted(user, ending):
    browser = signed_in(user, enforce_csrf_checks=True)
    token = token_of(browser.get(url("applications_revoke")))

    post(browser, ending, headers={"X-CSRFToken": token})

    assert Grant.objects.get().revoked_reason == "user_request"


# What is read and what is answered.


@pytest.mark.parametrize(
    ("body", "content_type"), [("", ""), ("", JSON), ("", FORM), ("{}", JSON), ('{"reason": "lost"}', JSON)]
)
def test_request_needs_no_body(browser, ending, body, content_type):
    browser.generic("POST", ending, body, content_type)

    assert Grant.objects.get().revoked_reason == "user_request"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("reason=lost", FORM, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        ("{}", "text/plain", HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        ("{", JSON, HTTPStatus.BAD_REQUEST),
        ("[]", JSON, HTTPStatus.BAD_REQUEST),
        ("null", JSON, HTTPStatus.BAD_REQUEST),
    ],
)
def test_body_that_is_no_json_object_ends_nothing(browser, ending, body, content_type, status):
    before = everything()

    response = browser.generic("POST", ending, body, content_type)

    assert answer(response)[0] == status
    assert everything() == before


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_end_nothing(browser, endpoint, method):
    before = everything()

    response = browser.generic(method, endpoint[1])

    assert answer(response) == (HTTPStatus.METHOD_NOT_ALLOWED, {"detail": f'Method "{method}" not allowed.'})
    assert everything() == before


def test_look_ends_nothing(browser, ending):
    before = everything()

    assert browser.get(ending).status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert everything() == before


@pytest.mark.parametrize("accept", ["text/html", "application/json; indent=8", "nonsense"])
def test_answer_is_json_whatever_is_accepted(browser, accept):
    response = browser.get(url("api_applications"), {"format": "api"}, headers={"Accept": accept})

    assert answer(response) == (HTTPStatus.OK, EMPTY_LIST)


@pytest.fixture
def peculiar_project(settings, monkeypatch):
    """A project whose defaults of DRF are all others. DRF reads most of them once, into these attributes."""
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


@pytest.mark.usefixtures("peculiar_project")
def test_defaults_of_the_project_change_no_list(browser, user):
    GrantFactory(user=user, created_at=datetime.now(UTC).replace(microsecond=0))
    GrantFactory(user=user)

    status, body = answer(browser.get(url("api_applications"), {"page": "1"}))

    assert (status, body["count"], len(body["results"])) == (HTTPStatus.OK, 2, 2)
    assert all(datetime.fromisoformat(result["started_at"]).tzinfo for result in body["results"])


@pytest.mark.usefixtures("peculiar_project")
def test_defaults_of_the_project_change_no_sign_out_and_no_refusal(browser, ending):
    assert answer(post(Client(), ending)) == (HTTPStatus.FORBIDDEN, NOT_SIGNED_IN)
    assert browser.generic("POST", ending, "{}", JSON).status_code in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}
    assert Grant.objects.get().revoked_reason == "user_request"


def test_endpoint_reads_from_the_database_that_is_written_to(browser, endpoint, settings):
    settings.DATABASE_ROUTERS = [LaggingReplica()]

    assert browser.generic(*endpoint).status_code in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic_requests", [False, True], ids=["without ATOMIC_REQUESTS", "with ATOMIC_REQUESTS"])
def test_sign_out_is_committed_and_told(browser, ending, monkeypatch, atomic_requests):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic_requests)

    with heard(grant_revoked) as one, heard(grants_revoked) as many:
        post(browser, ending)

    assert [kwargs["reason"] for kwargs in one + many] == ["user_request"]
    assert Grant.objects.get().revoked_reason == "user_request"


@pytest.mark.django_db(transaction=True)
def test_fault_is_told_in_json_and_logged_and_leaves_nothing_behind(browser, user, ending, monkeypatch, caplog):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    before = everything()

    def fail_after_a_write(execute, sql, params, many, context):
        if Grant._meta.db_table not in sql:
            return execute(sql, params, many, context)
        type(user).objects.update(last_name="written by the project in the same request")
        raise OperationalError("the database is away")

    with connection.execute_wrapper(fail_after_a_write), caplog.at_level(logging.ERROR, "django.request"):
        response = post(browser, ending)

    assert answer(response) == (HTTPStatus.SERVICE_UNAVAILABLE, FAULT)
    assert response.headers["Retry-After"] == "5"
    assert [record.getMessage() for record in caplog.records] == [f"Fault at a protocol endpoint: {ending}"]
    assert everything() == before
    assert type(user).objects.get().last_name == ""
