"""Reuse of a spent refresh token: the whole grant is revoked, although the answer is an error."""

import logging
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.core.handlers.base import BaseHandler
from django.db import connection
from django.http import HttpResponse
from django.urls import resolve, reverse

from oauth_refresh.errors import InvalidGrant
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import AccessToken, Grant, GrantEvent, RefreshToken
from oauth_refresh.services import refresh
from oauth_refresh.signals import grant_revoked, refresh_token_reused, tokens_issued
from tests.conftest import NOW
from tests.database import database_snapshot
from tests.factories import ApplicationFactory
from tests.interference import RAISE_DEADLOCK
from tests.oauth import OAuthClient
from tests.refusals import INVALID_GRANT, answer_of
from tests.signals import recorded

SPENT = "The refresh token was spent before."
HOME = ClientInfo(address="192.0.2.1", user_agent="notes/1.0")
THIEF = ClientInfo(address="192.0.2.66", user_agent="thief/1.0")


@pytest.fixture
def spent(client_app):
    """A spent refresh token, whose owner holds its successors."""
    token = client_app.refresh_token
    issued = refresh(client_app.application, raw_refresh_token=token, client_info=HOME)
    client_app.access_token, client_app.refresh_token = issued.access_token, issued.refresh_token
    return token


def present(application, token, *, caller=THIEF):
    with pytest.raises(InvalidGrant) as refusal:
        refresh(application, raw_refresh_token=token, client_info=caller)
    return refusal.value.reason


@pytest.fixture(params=[False, True], ids=["without ATOMIC_REQUESTS", "with ATOMIC_REQUESTS"])
def atomic_requests(request, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", request.param)
    return request.param


def test_reuse_revokes_every_token_of_the_grant(client_app, spent):
    assert present(client_app.application, spent) == SPENT

    assert (RefreshToken.objects.count(), RefreshToken.objects.live().count()) == (2, 0)
    assert (AccessToken.objects.count(), AccessToken.objects.live().count()) == (2, 0)
    assert answer_of(client_app.refresh()) == INVALID_GRANT


def test_reuse_leaves_other_grants_of_the_same_user_and_application_alone(client_app, spent, user):
    other = OAuthClient(client_app.application, client_app.secret).start(user=user)

    present(client_app.application, spent)

    assert list(Grant.objects.live()) == [other.grant]


def test_reuse_is_recorded_with_its_caller_and_how_long_ago_the_token_was_spent(stopped_clock, client_app, spent):
    stopped_clock.shift(3600.25)

    present(client_app.application, spent)

    assert list(GrantEvent.objects.values()) == [
        {
            "id": GrantEvent.objects.get().pk,
            "grant_id": client_app.grant.pk,
            "kind": "reused",
            "generation": 1,
            "at": NOW + timedelta(seconds=3600.25),
            "address": "192.0.2.66",
            "user_agent": "thief/1.0",
            "seconds_since_spent": 3600.25,
            "same_caller": False,
        }
    ]


CONCURRENT = "Its client most likely refreshed twice at once: give the application a retry window."
THEFT = "Treat it as theft."


@pytest.mark.parametrize(
    "case",
    [
        (HOME, 0, f"0 seconds after it was spent, by the same caller. {CONCURRENT}"),
        (HOME, 59.4, f"59 seconds after it was spent, by the same caller. {CONCURRENT}"),
        (HOME, -30, f"-30 seconds after it was spent, by the same caller. {CONCURRENT}"),
        (HOME, 60, f"60 seconds after it was spent, by the same caller. {THEFT}"),
        (THIEF, 2, f"2 seconds after it was spent, by another caller. {THEFT}"),
        (ClientInfo(), 2, f"2 seconds after it was spent, by an unknown caller. {THEFT}"),
    ],
)
def test_reuse_is_logged_as_a_warning_that_says_what_it_means(caplog, stopped_clock, client_app, spent, case):
    caller, seconds, sentences = case
    stopped_clock.shift(seconds)

    present(client_app.application, spent, caller=caller)

    assert (
        "oauth_refresh.services.rotation",
        logging.WARNING,
        f"Refresh token 1 of grant {client_app.grant.public_id} was used again {sentences}",
    ) in caplog.record_tuples


def test_reuse_of_a_token_whose_successor_was_deleted_says_nothing_of_time_and_caller(caplog, client_app, spent):
    client_app.rotate()
    RefreshToken.objects.filter(generation=2).delete()

    present(client_app.application, spent)

    assert list(GrantEvent.objects.values_list("seconds_since_spent", "same_caller")) == [(None, None)]
    assert (
        f"Refresh token 1 of grant {client_app.grant.public_id} was used again after it was spent, by an unknown "
        f"caller. {THEFT}"
    ) in caplog.messages


def test_reuse_sends_signals_after_commit(stopped_clock, client_app, spent, django_capture_on_commit_callbacks):
    grant = Grant.objects.get()

    with (
        recorded(refresh_token_reused) as reused,
        recorded(grant_revoked) as revoked,
        recorded(tokens_issued) as issued,
        django_capture_on_commit_callbacks(execute=True),
    ):
        present(client_app.application, spent)
        sent_before_commit = [*reused, *revoked]

    assert sent_before_commit == []
    assert reused == [
        {"grant": grant, "generation": 1, "client_info": THIEF, "seconds_since_spent": 0, "same_caller": False}
    ]
    assert revoked == [{"grant": grant, "reason": "reuse_detected", "by": None}]
    assert issued == []


def test_second_reuse_sends_no_second_signal(client_app, spent):
    present(client_app.application, spent)
    before = database_snapshot()

    assert present(client_app.application, spent) == "The grant is revoked."

    assert database_snapshot() == before


def test_spent_token_from_another_application_revokes_nothing(spent):
    before = database_snapshot()

    assert present(ApplicationFactory(), spent) == "The refresh token was issued to another application."

    assert database_snapshot() == before


@pytest.mark.parametrize("case", [(True, None, True), (True, False, False), (False, None, False), (False, True, True)])
def test_application_may_decide_whether_reuse_revokes(oauth_settings, client_app, spent, case):
    of_project, own, revokes = case
    oauth_settings(REVOKE_ON_REUSE=of_project)
    client_app.application.revoke_on_reuse = own

    assert present(client_app.application, spent) == SPENT

    assert (Grant.objects.get().revoked_at is not None) is revokes
    assert GrantEvent.objects.get().kind == "reused"


def test_project_may_log_reuse_without_revoking_the_grant(
    oauth_settings, client_app, spent, django_capture_on_commit_callbacks
):
    oauth_settings(REVOKE_ON_REUSE=False)

    with recorded(refresh_token_reused) as reused, django_capture_on_commit_callbacks(execute=True):
        assert present(client_app.application, spent) == SPENT

    assert len(reused) == 1
    assert GrantEvent.objects.count() == 1
    assert client_app.refresh().status_code == HTTPStatus.OK


def test_reuse_after_rotation_was_switched_off_revokes_too(client_app, spent):
    client_app.application.rotate_refresh_tokens = False

    assert present(client_app.application, spent) == SPENT

    assert Grant.objects.get().revoked_reason == "reuse_detected"


@pytest.mark.django_db(transaction=True)
def test_reuse_revokes_although_the_answer_is_an_error(atomic_requests, client_app):
    spent = client_app.refresh_token
    client_app.rotate()

    replay = client_app.refresh(spent)

    assert answer_of(replay) == INVALID_GRANT
    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert GrantEvent.objects.get().kind == "reused"


@pytest.mark.parametrize("endpoint", ["token", "revoke"])
def test_protocol_view_is_not_wrapped_in_a_transaction(atomic_requests, endpoint):
    def ordinary_view(request):
        return HttpResponse()

    handler, view = BaseHandler(), resolve(reverse(f"oauth_refresh:{endpoint}")).func

    assert (handler.make_view_atomic(ordinary_view) is not ordinary_view) is atomic_requests
    assert handler.make_view_atomic(view) is view


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no deadlocks, and no statement to simulate one")
def test_reuse_revokes_although_a_deadlock_rolls_back(client_app):
    spent = client_app.refresh_token
    client_app.rotate()
    deadlocks = [RAISE_DEADLOCK[connection.vendor]]

    def break_a_deadlock(execute, sql, params, many, context):
        if deadlocks and sql.startswith("UPDATE"):
            return execute(deadlocks.pop(), None, many, context)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(break_a_deadlock):
        assert present(client_app.application, spent) == SPENT

    assert Grant.objects.get().revoked_reason == "reuse_detected"
