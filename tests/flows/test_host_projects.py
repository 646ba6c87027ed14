"""What a host project does around the endpoints: middleware, receivers, admin, and a broken network."""

import logging
from contextlib import suppress
from http import HTTPStatus
from io import BytesIO

import pytest
from django.contrib import messages
from django.db import DatabaseError, connection, transaction
from django.db.models.signals import post_save, pre_delete
from django.test import RequestFactory
from django.urls import reverse

from oauth_refresh.api.forms import read_parameters
from oauth_refresh.errors import InvalidRequest
from oauth_refresh.models import NO_CLIENT_INFO, Grant, GrantEvent
from oauth_refresh.services import issue_tokens
from oauth_refresh.services.codes import Consent, issue_code
from oauth_refresh.signals import grant_revoked, grants_revoked, refresh_token_exchanged, refresh_token_reused
from tests.factories import UserFactory
from tests.interference import connected, fails_once, heard
from tests.members.models import StaffUser
from tests.oauth import FORM, post_form
from tests.test_leaks import Reports

MIDDLEWARE = "tests.flows.test_host_projects"
FAULT = {
    "error": "temporarily_unavailable",
    "error_description": "The server could not answer now. Try again.",
}


def reads_and_writes_the_session(get_response):
    def middleware(request):
        response = get_response(request)
        request.session["seen"] = request.session.get("seen", 0) + 1
        request.session.save()
        return response

    return middleware


@pytest.mark.parametrize("save_every_request", [False, True])
def test_middleware_that_uses_the_session_afterwards_breaks_nothing(client_app, settings, save_every_request):
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        f"{MIDDLEWARE}.reads_and_writes_the_session",
    ]
    settings.SESSION_SAVE_EVERY_REQUEST = save_every_request

    response = client_app.refresh()

    assert response.status_code == HTTPStatus.OK
    assert response.cookies == {}


def adds_a_message(get_response):
    def middleware(request):
        messages.info(request, "Welcome back")
        return get_response(request)

    return middleware


def test_message_for_a_browser_is_not_sent_to_a_client(client_app, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{MIDDLEWARE}.adds_a_message"]

    response = client_app.refresh()

    assert response.status_code == HTTPStatus.OK
    assert response.cookies == {}


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
    with heard(grants_revoked) as told, django_capture_on_commit_callbacks(execute=True):
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
    with fails_once(f"INSERT INTO {connection.ops.quote_name(table)}") as tried:
        if table == "oauth_refresh_grant":
            issue_tokens(application, user=user, grant_type="password")
        else:
            issue_code(
                Consent(
                    application=application,
                    user=user,
                    scope=("notes:read",),
                    redirect_uri="",
                    code_challenge="",
                    consented=True,
                    client_info=NO_CLIENT_INFO,
                )
            )

    assert len(tried) == 2
    assert Grant.objects.count() == 1
