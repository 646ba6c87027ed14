"""What a host project does around the endpoints: middleware, receivers, admin, and a broken network."""

import logging
from contextlib import suppress
from http import HTTPStatus
from io import BytesIO
from itertools import chain, count

import pytest
from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, transaction
from django.db.models.signals import post_save, pre_delete
from django.middleware.csrf import get_token
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.views import APIView

from oauth_refresh.authorization_server.requests import read_parameters
from oauth_refresh.errors import InvalidRequest
from oauth_refresh.models import Grant, GrantEvent
from oauth_refresh.services import issue_tokens
from oauth_refresh.services.codes import issue_code
from oauth_refresh.signals import grant_revoked, grants_revoked, refresh_token_exchanged, refresh_token_reused
from tests.consent import consent_to
from tests.factories import UserFactory
from tests.interference import deadlock_once
from tests.members.models import StaffUser
from tests.oauth import FORM, post_form
from tests.reports import Reports
from tests.routers import BrokenRouter
from tests.signals import connected, recorded

MIDDLEWARE = "tests.flows.test_host_projects"
FAULT = {
    "error": "temporarily_unavailable",
    "error_description": "The server could not answer now. Try again.",
}


def creates_the_session(request):
    request.session.create()


def writes_the_session(request):
    request.session["seen"] = request.session.get("seen", 0) + 1
    request.session.save()


def flushes_the_session(request):
    request.session.flush()


def signs_out(request):
    logout(request)


def signs_in(request):
    user = UserFactory()
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")


def adds_a_message(request):
    messages.info(request, "Welcome back")


def reads_messages(request):
    list(messages.get_messages(request))


def reads_the_request(request):
    assert request.GET["secret"] == "in-the-query"
    assert request.COOKIES["theme"] == "dark"
    assert request.META["RAW_URI"] == "/token?secret=in-the-query"
    assert request.META["QUERY_STRING"] == "secret=in-the-query"
    assert "theme=dark" in request.META["HTTP_COOKIE"]
    assert request.user.is_anonymous or request.user.is_active


def asks_for_a_csrf_token(request):
    get_token(request)


AFTER_THE_VIEW = (
    creates_the_session,
    writes_the_session,
    flushes_the_session,
    signs_out,
    signs_in,
    adds_a_message,
    reads_messages,
    reads_the_request,
    asks_for_a_csrf_token,
)


def acts_after_the_view(get_response):
    """Middleware of a project, which runs ``acts_after_the_view.act`` after the view."""

    def middleware(request):
        response = get_response(request)
        acts_after_the_view.act(request)
        return response

    return middleware


@pytest.fixture(params=AFTER_THE_VIEW, ids=[act.__name__ for act in AFTER_THE_VIEW])
def middleware_after_the_view(request, settings, monkeypatch):
    """Each kind of middleware in turn."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{MIDDLEWARE}.acts_after_the_view"]
    monkeypatch.setattr(acts_after_the_view, "act", request.param, raising=False)


@pytest.fixture(params=[False, True], ids=["changed sessions are saved", "every session is saved"])
def saved_sessions(request, settings):
    settings.SESSION_SAVE_EVERY_REQUEST = request.param


@pytest.fixture(params=[False, True], ids=["anonymous", "signed in"])
def post(request, client_app, user):
    """Return how to send a request from a browser with cookies, as gunicorn passes it on, with a query string."""
    browser = Client(raise_request_exception=False)
    if request.param:
        browser.force_login(user)
    browser.cookies["theme"] = "dark"

    def post(endpoint, **parameters):
        return post_form(
            endpoint,
            parameters,
            authorization=client_app.authorization,
            client=browser,
            QUERY_STRING="secret=in-the-query",
            RAW_URI="/token?secret=in-the-query",
        )

    return post


def assert_unchanged(response):
    assert response.status_code == HTTPStatus.OK
    assert response.cookies == {}
    assert "Set-Cookie" not in response.headers


@pytest.mark.usefixtures("middleware_after_the_view", "saved_sessions")
def test_refresh_succeeds_with_any_middleware_after_the_view(client_app, post, settings):
    response = post("token", grant_type="refresh_token", refresh_token=client_app.refresh_token)

    assert_unchanged(response)
    settings.MIDDLEWARE = []
    assert client_app.refresh(response.json()["refresh_token"]).status_code == HTTPStatus.OK


@pytest.mark.usefixtures("middleware_after_the_view", "saved_sessions")
def test_revocation_succeeds_with_any_middleware_after_the_view(client_app, post):
    response = post("revoke", token=client_app.refresh_token)

    assert_unchanged(response)
    assert Grant.objects.get().revoked_reason == "client_request"


@pytest.mark.usefixtures("middleware_after_the_view", "saved_sessions")
def test_introspection_succeeds_with_any_middleware_after_the_view(client_app, post):
    response = post("introspect", token=client_app.access_token)

    assert_unchanged(response)
    assert response.json()["active"] is True


def refresh_by(browser, client_app):
    form = {"grant_type": "refresh_token", "refresh_token": client_app.refresh_token}
    return post_form("token", form, authorization=client_app.authorization, client=browser)


def deletes_the_session_elsewhere(request):
    request.session["seen"] = True
    Session.objects.all().delete()


def sets_cookies(request, response):
    response.set_cookie("theme", "light", max_age=60, samesite="Lax")
    response.cookies["theme"]["samesite"] = "None"
    response.cookies["other"] = "1"
    response.delete_cookie("old")


def acts_on_the_response(get_response):
    """Middleware of a project that sets cookies in several ways."""

    def middleware(request):
        response = get_response(request)
        sets_cookies(request, response)
        return response

    return middleware


@pytest.mark.parametrize("save_every_request", [False, True])
@pytest.mark.parametrize("engine", ["db", "cached_db"])
def test_session_that_is_deleted_meanwhile_costs_no_tokens(
    client_app, settings, monkeypatch, save_every_request, engine
):
    user = client_app.grant.user
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_SAVE_EVERY_REQUEST = save_every_request
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{MIDDLEWARE}.acts_after_the_view"]
    monkeypatch.setattr(acts_after_the_view, "act", deletes_the_session_elsewhere, raising=False)
    browser = Client(raise_request_exception=False)
    browser.force_login(user)

    response = refresh_by(browser, client_app)

    assert_unchanged(response)


def test_session_store_that_is_down_costs_no_tokens(client_app, settings, caplog):
    settings.CACHES = {"default": {"BACKEND": "tests.broken_cache.BrokenCache"}}
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    settings.SESSION_SAVE_EVERY_REQUEST = True
    browser = Client(raise_request_exception=False)
    browser.cookies["sessionid"] = "x" * 32

    response = refresh_by(browser, client_app)

    assert_unchanged(response)


def test_key_of_a_new_session_that_is_taken_is_left_to_django(client_app, settings, monkeypatch):
    """``create()`` saves under another key then, for which it needs the exception."""
    keys = chain(["taken-session-key"] * 2, (f"free-session-key-{number}" for number in count()))
    Session.objects.create(session_key="taken-session-key", session_data="", expire_date=timezone.now())
    monkeypatch.setattr(SessionStore, "_get_new_session_key", lambda self: next(keys))
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{MIDDLEWARE}.acts_after_the_view"]
    monkeypatch.setattr(acts_after_the_view, "act", creates_the_session, raising=False)

    assert_unchanged(client_app.refresh())

    assert Session.objects.filter(session_key__startswith="free-session-key").exists()


def test_cookies_that_middleware_sets_are_not_sent(client_app, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{MIDDLEWARE}.acts_on_the_response"]

    assert_unchanged(client_app.refresh())


class HTMLRenderer(BaseRenderer):
    media_type = "text/html"


class ProjectNegotiation(DefaultContentNegotiation):
    def select_renderer(self, request, renderers, format_suffix=None):
        return HTMLRenderer(), "text/html"


@pytest.mark.parametrize("accept", ["text/html", "application/json; indent=4", "nonsense"])
def test_negotiation_of_the_project_changes_no_answer(client_app, monkeypatch, accept):
    form = {"grant_type": "refresh_token", "refresh_token": "nonsense"}
    monkeypatch.setattr(APIView, "content_negotiation_class", ProjectNegotiation)

    response = post_form("token", form, authorization=client_app.authorization, headers={"Accept": accept})

    assert response.headers["Content-Type"] == "application/json"
    assert response.content.startswith(b'{"error":"invalid_grant"')


def compares_the_environment(get_response):
    """Middleware that keeps the server's environment from before and after the view."""

    def middleware(request):
        before = dict(request.META)
        response = get_response(request)
        compares_the_environment.seen = before, dict(request.META)
        return response

    return middleware


def bad_secret(client_app, settings):
    client_app.secret = "a-wrong-secret-of-more-than-22-characters"


def broken_database(client_app, settings):
    settings.DATABASE_ROUTERS = [BrokenRouter()]


@pytest.mark.parametrize(
    ("arrange", "status"),
    [
        (None, HTTPStatus.OK),
        (bad_secret, HTTPStatus.UNAUTHORIZED),
        (broken_database, HTTPStatus.SERVICE_UNAVAILABLE),
    ],
)
def test_environment_of_the_server_is_not_changed(client_app, post, settings, arrange, status):
    """Afterwards gunicorn writes its access log from the environment, and fails without ``RAW_URI``."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{MIDDLEWARE}.compares_the_environment"]
    if arrange is not None:
        arrange(client_app, settings)

    for endpoint in ("token", "revoke", "introspect"):
        response = post(endpoint, grant_type="client_credentials", token=client_app.access_token)

        before, after = compares_the_environment.seen
        assert response.status_code == status
        assert after == before
        assert after["RAW_URI"] == "/token?secret=in-the-query"


def test_endpoints_work_where_every_page_needs_a_login(client_app, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]

    assert client_app.refresh().status_code == HTTPStatus.OK


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("signal", "sender"), [(refresh_token_exchanged, Grant), (post_save, GrantEvent)])
def test_receiver_that_hides_a_database_error_cannot_undo_a_decision_unseen(client_app, signal, sender):
    spent = client_app.refresh_token
    client_app.rotate()

    def hide(**kwargs):
        if kwargs["sender"] is sender:
            with suppress(DatabaseError), transaction.atomic(savepoint=False):
                UserFactory(username=client_app.grant.user.username)

    with connected(signal, hide):
        response = client_app.refresh(spent if sender is GrantEvent else None)

    assert (response.status_code, response.json()) == (HTTPStatus.SERVICE_UNAVAILABLE, FAULT)
    assert client_app.refresh(spent).status_code == HTTPStatus.BAD_REQUEST
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def test_receivers_are_told_of_a_grant_that_is_over(client_app, django_capture_on_commit_callbacks):
    spent, told = client_app.refresh_token, []
    client_app.rotate()

    def save_back(grant, **kwargs):
        told.append((grant.is_live, grant.revoked_reason))
        grant.save()

    with (
        connected(refresh_token_reused, save_back),
        connected(grant_revoked, save_back),
        django_capture_on_commit_callbacks(execute=True),
    ):
        client_app.refresh(spent)

    assert told == [(False, "reuse_detected")] * 2
    assert not Grant.objects.live().exists()


def test_endpoints_work_without_any_middleware(client_app, settings):
    settings.MIDDLEWARE = []

    assert client_app.refresh().status_code == HTTPStatus.OK


class BrokenConnection(BytesIO):
    def read(self, *args):
        raise OSError("the client went away")


def test_body_of_a_broken_connection_is_refused():
    request = RequestFactory().post("/", "grant_type=refresh_token", content_type=FORM)
    request._stream = BrokenConnection()

    with pytest.raises(InvalidRequest, match=r"The body could not be read\."):
        read_parameters(request)


def test_body_that_was_cut_off_is_refused():
    body = "grant_type=refresh_token&refresh_token=ort_whole"
    request = RequestFactory().post("/", body, content_type=FORM)
    request.META["CONTENT_LENGTH"] = str(len(body) + len("&scope=notes:read"))

    with pytest.raises(InvalidRequest, match=r"The body is shorter than announced\."):
        read_parameters(request)


@pytest.fixture
def reports():
    """Collect what would be mailed to the administrators."""
    handler = Reports()
    handler.setLevel(logging.ERROR)
    logging.getLogger("django.request").addHandler(handler)
    yield handler
    logging.getLogger("django.request").removeHandler(handler)


def test_error_report_holds_neither_query_nor_body(client_app, reports):
    def fail(**kwargs):
        raise RuntimeError("the database is on fire")

    with connected(refresh_token_exchanged, fail):
        response = post_form(
            "token",
            f"grant_type=refresh_token&refresh_token={client_app.refresh_token}&BAREKEYSECRET",
            authorization=client_app.authorization,
            QUERY_STRING="client_secret=SECRETINQUERY",
            RAW_URI="/token?client_secret=SECRETINQUERY",
            REQUEST_URI="/token?client_secret=SECRETINQUERY",
        )

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    mail = "".join(reports.mails)
    assert "the database is on fire" in mail
    assert [secret for secret in ("SECRETINQUERY", "BAREKEYSECRET", client_app.refresh_token) if secret in mail] == []


@pytest.mark.parametrize("which", ["user", "application"])
def test_superuser_can_delete_whoever_had_sessions(client, client_app, which):
    row = client_app.grant.user if which == "user" else client_app.application
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_delete", args=[row.pk])

    response = client.post(url, {"post": "yes"})

    assert response.status_code == HTTPStatus.FOUND
    assert not Grant.objects.exists()


def test_nobody_can_delete_a_grant_by_itself(client, client_app):
    client.force_login(UserFactory(is_staff=True, is_superuser=True))

    response = client.post(reverse("admin:oauth_refresh_grant_delete", args=[client_app.grant.pk]), {"post": "yes"})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert Grant.objects.exists()


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("application", "secret_digest__startswith"),
        ("grant", "password_fingerprint__startswith"),
        ("grant", "mac_key__isnull"),
        ("refreshtoken", "digest__startswith"),
        ("accesstoken", "grant__mac_key__isnull"),
    ],
)
def test_address_bar_is_no_oracle_for_digests(client, client_app, model, lookup):
    client.force_login(UserFactory(is_staff=True, is_superuser=True))

    response = client.get(reverse(f"admin:oauth_refresh_{model}_changelist"), {lookup: "a"})

    assert response.status_code == HTTPStatus.BAD_REQUEST


def test_refresh_that_races_the_deletion_of_its_user_loses(client_app):
    user = client_app.grant.user

    def refresh_meanwhile(instance, **kwargs):
        if isinstance(instance, type(user)):
            answers.append(client_app.refresh().status_code)

    answers = []
    with connected(pre_delete, refresh_meanwhile):
        user.delete()

    assert answers == [HTTPStatus.BAD_REQUEST]
    assert not Grant.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL turns COMMIT into ROLLBACK by itself")
def test_error_of_a_bare_cursor_cannot_undo_a_revocation_unseen(client_app):
    spent = client_app.refresh_token
    client_app.rotate()

    def hide(sender, **kwargs):
        if sender is GrantEvent:
            with suppress(DatabaseError), connection.cursor() as cursor:
                cursor.execute("select 1/0")

    with connected(post_save, hide):
        assert client_app.refresh(spent).status_code == HTTPStatus.SERVICE_UNAVAILABLE

    assert client_app.refresh(spent).status_code == HTTPStatus.BAD_REQUEST
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def test_deletion_through_a_proxy_revokes_first_too(client_app, django_capture_on_commit_callbacks):
    with recorded(grants_revoked) as told, django_capture_on_commit_callbacks(execute=True):
        StaffUser.objects.get(pk=client_app.grant.user_id).delete()

    assert [carried["reason"] for carried in told] == ["user_deleted"]


def test_users_may_be_ordered_by_what_cannot_be_locked(application, user, monkeypatch):
    monkeypatch.setattr(type(user)._meta, "ordering", ["groups__name", "pk"])

    issued = issue_tokens(application, user=user, grant_type="password")

    assert issued.grant.user == user


def test_causes_that_run_in_a_circle_are_logged_and_answered(client_app):
    def fail(**kwargs):
        one, other = RuntimeError("one"), RuntimeError("other")
        one.__cause__, other.__cause__ = other, one
        raise one

    with connected(refresh_token_exchanged, fail):
        assert client_app.refresh().status_code == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", ["oauth_refresh_grant", "oauth_refresh_authorizationcode"])
def test_start_of_a_session_is_tried_once_more_after_a_deadlock(application, user, table):
    with deadlock_once(f"INSERT INTO {connection.ops.quote_name(table)}") as tried:
        if table == "oauth_refresh_grant":
            issue_tokens(application, user=user, grant_type="password")
        else:
            issue_code(consent_to(application, user, redirect_uri="", code_challenge=""))

    assert len(tried) == 2
    assert Grant.objects.count() == 1
