"""The pages where a user signs an application out, or all of them."""

import uuid
from datetime import UTC, datetime
from http import HTTPStatus

import pytest
import time_machine
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from oauth_refresh.models import Application, Grant
from oauth_refresh.services import revoke_grant
from oauth_refresh.signals import grant_revoked, grants_revoked
from tests.conftest import SECRET
from tests.factories import GrantFactory, UserFactory
from tests.interference import everything, heard, rival_acts_after_a_look_at
from tests.oauth import OAuthClient
from tests.sessions import (
    begun_with_another_password,
    expired,
    make_sessions,
    of_an_inactive_application,
    of_another_user,
    revoked,
    waiting_for_its_code,
)
from tests.test_budgets import statements
from tests.web.pages import assert_back_at_the_list, sign_out_url, signed_in, text_of, url

# Signing out of one session.


def test_user_is_asked_first_and_nothing_has_changed(user):
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False):
        session = GrantFactory(user=user, application__name="Notebook", address="192.0.2.7")
        before = everything()
        response = signed_in(user).get(sign_out_url(session))

    assert response.status_code == HTTPStatus.OK
    assert text_of(response) == (
        "Sign out of Notebook? "
        "Allowed to Read your notes Write your notes Last active just now Started March 1, 2026, noon UTC "
        "From 192.0.2.7 "
        "This session ends at once. Others of the same application go on. "
        "Sign out Cancel"
    )
    assert everything() == before


def test_user_signs_out_and_the_application_can_refresh_no_more(browser, user, client_app):
    response = browser.post(sign_out_url(client_app.grant))

    assert_back_at_the_list(browser, response, f"The session of {client_app.application} was signed out.")
    grant = Grant.objects.get()
    assert (grant.revoked_reason, grant.revoked_by) == ("user_request", user)
    refused = client_app.refresh()
    assert (refused.status_code, refused.json()["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_grant")


def test_other_sessions_go_on(browser, user, client_app):
    others = [OAuthClient(client_app.application, SECRET).start(user=owner) for owner in (user, UserFactory())]

    browser.post(sign_out_url(client_app.grant))

    assert [other.refresh().status_code for other in others] == [HTTPStatus.OK, HTTPStatus.OK]


def test_signal_tells_of_the_session(browser, user, session, django_capture_on_commit_callbacks):
    with heard(grant_revoked) as told, django_capture_on_commit_callbacks(execute=True):
        browser.post(sign_out_url(session))

    assert [(kwargs["grant"], kwargs["reason"], kwargs["by"]) for kwargs in told] == [(session, "user_request", user)]


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("arrange", [revoked, expired, of_an_inactive_application, begun_with_another_password])
def test_session_that_is_over_already_is_no_error(browser, user, arrange, method):
    grant = arrange(user)

    response = getattr(browser, method)(sign_out_url(grant))

    assert_back_at_the_list(browser, response, f"The session of {grant.application} was already signed out.")


@pytest.mark.parametrize("method", ["get", "post"])
def test_reason_why_a_session_ended_first_is_kept(browser, user, method):
    grant = GrantFactory(user=user, revoked=True)
    before = everything()

    getattr(browser, method)(sign_out_url(grant))

    assert everything() == before


def test_session_that_cannot_be_used_now_is_ended_for_good(browser, user):
    grant = GrantFactory(user=user, application__is_active=False)

    browser.post(sign_out_url(grant))
    Application.objects.update(is_active=True)

    assert not Grant.objects.get().is_live


def test_session_that_somebody_ends_at_the_same_moment_keeps_their_reason(browser, session):
    with rival_acts_after_a_look_at(Grant, lambda: revoke_grant(session, reason="breach")):
        response = browser.post(sign_out_url(session))

    assert_back_at_the_list(browser, response, "The session of Notebook was already signed out.")
    assert Grant.objects.get().revoked_reason == "breach"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("arrange", [of_another_user, waiting_for_its_code])
def test_session_of_another_user_or_none_yet_is_not_found(browser, user, arrange, method):
    arrange(user)
    before = everything()

    response = getattr(browser, method)(sign_out_url(Grant.objects.get()))

    assert response.status_code == HTTPStatus.NOT_FOUND
    assert everything() == before


@pytest.mark.parametrize("method", ["get", "post"])
def test_session_that_never_was_is_not_found(browser, method):
    response = getattr(browser, method)(url("application_revoke", uuid.uuid4()))

    assert response.status_code == HTTPStatus.NOT_FOUND


def test_signing_out_costs_four_statements(browser, user, session):
    make_sessions(user, 100)

    with CaptureQueriesContext(connection) as queries:
        browser.post(sign_out_url(session))

    assert statements(queries) == ["SELECT", "SELECT", "SELECT grant", "UPDATE grant"]


# Signing out of all.


@pytest.mark.parametrize(("count", "said"), [(1, "1 session ends at once."), (30, "30 sessions end at once.")])
def test_user_is_asked_before_all_sessions_end(browser, user, count, said):
    make_sessions(user, count)
    before = everything()

    response = browser.get(url("applications_revoke"))

    assert text_of(response) == (
        "Sign out of all applications? "
        f"{said} You can sign in to each application again at any time. Sign out of all Cancel"
    )
    assert everything() == before


@pytest.mark.parametrize(("count", "said"), [(1, "1 session was signed out."), (30, "30 sessions were signed out.")])
def test_user_signs_out_of_all_and_is_told_how_many_they_were(browser, user, count, said):
    make_sessions(user, count)

    response = browser.post(url("applications_revoke"))

    assert_back_at_the_list(browser, response, said)
    assert set(Grant.objects.values_list("revoked_reason", "revoked_by")) == {("user_request", user.pk)}


def test_signing_out_of_all_ends_what_the_list_does_not_show(browser, user):
    waiting_for_its_code(user)
    of_an_inactive_application(user)
    begun_with_another_password(user)

    response = browser.post(url("applications_revoke"))

    assert_back_at_the_list(browser, response, "3 sessions were signed out.")
    assert not Grant.objects.unrevoked().exists()


def test_signing_out_of_all_leaves_other_users_alone(browser, client_app):
    other = OAuthClient(client_app.application, SECRET).start(user=UserFactory())

    browser.post(url("applications_revoke"))

    assert client_app.refresh().json()["error"] == "invalid_grant"
    assert other.refresh().status_code == HTTPStatus.OK


def test_signal_tells_of_all_sessions_once(browser, user, django_capture_on_commit_callbacks):
    make_sessions(user, 3)

    with heard(grants_revoked) as told, django_capture_on_commit_callbacks(execute=True):
        browser.post(url("applications_revoke"))

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


@pytest.mark.parametrize("method", ["get", "post"])
def test_who_is_signed_out_of_all_already_is_told_so(browser, user, method):
    revoked(user)

    response = getattr(browser, method)(url("applications_revoke"))

    assert_back_at_the_list(browser, response, "You were already signed out of all applications.")


@pytest.mark.parametrize("count", [10, 1_000])
def test_signing_out_of_all_costs_one_update_however_many_sessions_there_are(browser, user, count):
    make_sessions(user, count)

    with CaptureQueriesContext(connection) as queries:
        browser.post(url("applications_revoke"))

    assert statements(queries) == ["SELECT", "SELECT", "UPDATE grant"]
    assert not Grant.objects.unrevoked().exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic_requests", [False, True], ids=["without ATOMIC_REQUESTS", "with ATOMIC_REQUESTS"])
@pytest.mark.parametrize("name", ["application_revoke", "applications_revoke"])
def test_sign_out_is_committed_and_told(browser, session, monkeypatch, atomic_requests, name):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic_requests)
    signal, args = {
        "application_revoke": (grant_revoked, [session.public_id]),
        "applications_revoke": (grants_revoked, []),
    }[name]

    with heard(signal) as told:
        browser.post(url(name, *args))

    assert [kwargs["reason"] for kwargs in told] == ["user_request"]
    assert Grant.objects.get().revoked_reason == "user_request"
