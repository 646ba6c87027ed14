"""Tokens of another server, over HTTP: its clients go on with what they hold, and theft is noticed as with ours."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from oauth_refresh.models import AccessToken, Application, Grant, GrantEvent, RefreshToken
from oauth_refresh.services import prune
from tests.database import database_snapshot
from tests.factories import SECRET, ApplicationFactory
from tests.foreign import ACCESS, CURRENT, SPENT, access_token, move_in
from tests.oauth import OAuthClient, post_form, read_issued
from tests.refusals import INVALID_GRANT, UNAVAILABLE, answer_of, read_refusal
from tests.threads import run_together

DAY = timedelta(days=1)
VIEWS = ["notes", "plain", "plain_async", "plain_class"]
WRONG_TEXTS = {
    "NUL": "Lq3nY8mTz0bVx2cKj5hG\x00dSa9pWoE",
    "not ASCII": "Lq3nY8mTz0bVx2cKj5hGf7dSa9pWö",
    "a line break": "Lq3nY8mTz0bVx2cKj5hGf7dSa9pW\n",
    "10,000 characters": "x" * 10_000,
    "our form": "ort_" + "A" * 92,
    "our prefix": "ort_x",
    "the prefix of another kind": "oat_" + "A" * 43,
}


@pytest.fixture
def holder(application):
    """A client that holds the tokens of a session of the other server."""
    return OAuthClient(application, SECRET, access_token=ACCESS, refresh_token=CURRENT)


def call(view, raw):
    return Client(raise_request_exception=False).get(reverse(view), headers={"Authorization": f"Bearer {raw}"})


def verify(raw):
    return call("oauth_refresh:verify", raw)


# Sessions that were moved.


def test_client_refreshes_with_the_token_that_it_holds(moved, holder):
    body = read_issued(holder.refresh())

    assert body["refresh_token"].startswith("ort_")
    grant = Grant.objects.get()
    assert (grant.generation, grant.access_floor, grant.imported_generation, grant.revoked_at) == (4, 4, 3, None)


def test_client_goes_on_with_our_tokens(moved, holder):
    holder.rotate()
    holder.rotate()

    assert call("notes", holder.access_token).status_code == HTTPStatus.OK


def test_no_importer_is_asked_about_what_was_moved(other_server, moved, holder):
    call("notes", ACCESS)
    holder.refresh()
    holder.refresh(SPENT[0])
    holder.revoke(ACCESS)

    assert other_server.asked == []


@pytest.mark.parametrize("view", VIEWS)
def test_access_token_of_the_other_server_is_accepted(moved, view, user, application):
    response = call(view, ACCESS)

    assert response.status_code == HTTPStatus.OK
    assert response.json() == {
        "user": user.get_username(),
        "client": application.client_id,
        "grant": str(moved.public_id),
        "scopes": ["notes:read", "notes:write"],
    }


@pytest.mark.parametrize("view", VIEWS)
def test_access_token_of_the_other_server_is_replaced_by_a_refresh(moved, holder, view):
    holder.refresh()

    assert call(view, ACCESS).status_code == HTTPStatus.UNAUTHORIZED


def test_expired_access_token_of_the_other_server_is_refused(other_server, application, user):
    move_in(application, user, access_tokens=[access_token(lifetime=-DAY)])

    assert call("notes", ACCESS).status_code == HTTPStatus.UNAUTHORIZED


def test_gateway_may_verify_an_access_token_of_the_other_server(moved):
    assert verify(ACCESS).status_code == HTTPStatus.NO_CONTENT


@pytest.mark.parametrize("token", [CURRENT, ACCESS])
def test_token_of_the_other_server_is_active_at_introspection(moved, holder, token):
    body = post_form("introspect", {"token": token}, authorization=holder.authorization).json()

    assert (body["active"], body["grant_id"]) == (True, str(moved.public_id))


def test_spent_token_of_the_other_server_is_inactive_at_introspection(moved, holder):
    response = post_form("introspect", {"token": SPENT[0]}, authorization=holder.authorization)

    assert response.json() == {"active": False}


@pytest.mark.parametrize("token", [CURRENT, *SPENT, ACCESS])
def test_any_token_of_the_other_server_revokes_the_grant(moved, holder, token):
    assert answer_of(holder.revoke(token)) == (HTTPStatus.OK, {})

    assert Grant.objects.get().revoked_reason == "client_request"
    assert answer_of(holder.refresh()) == INVALID_GRANT
    assert call("notes", ACCESS).status_code == HTTPStatus.UNAUTHORIZED


def test_access_token_of_the_other_server_may_be_revoked_alone(oauth_settings, moved, holder):
    oauth_settings(REVOKE_GRANT_WITH_ACCESS_TOKEN=False)

    holder.revoke(ACCESS)

    assert call("notes", ACCESS).status_code == HTTPStatus.UNAUTHORIZED
    read_issued(holder.refresh())


# Theft.


@pytest.mark.parametrize(("token", "generation"), [(SPENT[0], 1), (SPENT[1], 2)])
@pytest.mark.parametrize("window", [timedelta(0), timedelta(seconds=30)])
def test_token_that_the_other_server_spent_is_an_alarm(moved, holder, token, generation, window):
    """Also inside a retry window: the other server did not say when it was spent."""
    Application.objects.update(retry_window=window)

    assert read_refusal(holder.refresh(token)) == INVALID_GRANT

    event = GrantEvent.objects.get()
    assert (event.kind, event.generation, event.seconds_since_spent) == ("reused", generation, None)
    assert event.same_caller is None
    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert answer_of(holder.refresh()) == INVALID_GRANT


def test_token_of_the_other_server_that_we_spent_is_an_alarm(stopped_clock, moved, holder):
    holder.refresh()
    stopped_clock.shift(60)

    assert read_refusal(holder.refresh()) == INVALID_GRANT

    event = GrantEvent.objects.get()
    assert (event.kind, event.generation, event.seconds_since_spent, event.same_caller) == ("reused", 3, 60, True)
    assert Grant.objects.get().revoked_reason == "reuse_detected"


@pytest.mark.parametrize("token", [*SPENT, CURRENT])
def test_replay_after_prune_is_an_alarm(stopped_clock, moved, holder, token):
    for _week in range(8):
        holder.rotate()
        stopped_clock.shift(7 * DAY)
    holder.rotate()
    assert prune().refresh_tokens > 0

    assert read_refusal(holder.refresh(token)) == INVALID_GRANT

    assert GrantEvent.objects.get().kind == "reused"
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def test_prune_deletes_the_tokens_of_the_other_server_with_their_grant(stopped_clock, moved):
    stopped_clock.shift(46 * DAY)

    counted = prune(dry_run=True)

    assert prune() == counted
    assert (counted.grants, counted.refresh_tokens, counted.access_tokens) == (1, 3, 1)
    assert not RefreshToken.objects.exists()


def test_retry_window_covers_the_first_refresh_here(oauth_settings, moved, holder):
    oauth_settings(RETRY_WINDOW=30)
    first = read_issued(holder.refresh())

    again = read_issued(holder.refresh())

    assert (again["access_token"], again["refresh_token"]) == (first["access_token"], first["refresh_token"])
    assert GrantEvent.objects.get().kind == "retried"


def test_sibling_that_is_late_gets_the_current_pair_for_the_token_of_the_other_server(oauth_settings, moved, holder):
    oauth_settings(RETRY_WINDOW=30)
    sibling = OAuthClient(holder.application, SECRET, refresh_token=CURRENT)
    holder.rotate()
    holder.rotate()
    current = holder.rotate()

    late = read_issued(sibling.refresh())

    assert (late["access_token"], late["refresh_token"]) == (current["access_token"], current["refresh_token"])
    assert Grant.objects.get().revoked_at is None


def test_application_without_rotation_keeps_the_token_of_the_other_server(moved, holder, application):
    Application.objects.update(rotate_refresh_tokens=False)

    body = holder.rotate()

    assert body["refresh_token"] == CURRENT
    assert holder.rotate()["refresh_token"] == CURRENT


@pytest.mark.parametrize("token", [CURRENT, SPENT[0]])
def test_token_of_another_client_is_refused_and_changes_nothing(moved, token):
    thief = OAuthClient(ApplicationFactory(raw_secret=SECRET), SECRET)
    before = database_snapshot()

    assert read_refusal(thief.refresh(token)) == INVALID_GRANT
    assert read_refusal(thief.revoke(token)) == INVALID_GRANT
    assert database_snapshot() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda: User.objects.update(is_active=False),
        lambda: Application.objects.update(scope="SANDBOX"),
        lambda: Grant.objects.update(revoked_at="2026-01-01T00:00Z", revoked_reason="staff"),
    ],
    ids=["user deactivated", "scope withdrawn", "grant revoked"],
)
def test_session_that_was_moved_is_refused_as_ours_are(moved, holder, change):
    change()

    assert holder.refresh().status_code == HTTPStatus.BAD_REQUEST
    assert Grant.objects.get().generation == 3


# Sessions that are moved when one of their tokens is presented.


def test_refresh_moves_the_session(other_server, application, user, holder):
    other_server.hold(application, user)

    read_issued(holder.refresh())

    assert Grant.objects.get().generation == 4
    assert other_server.asked == [CURRENT]


def test_spent_token_moves_the_session_and_raises_the_alarm(other_server, application, user, holder):
    other_server.hold(application, user)

    assert read_refusal(holder.refresh(SPENT[0])) == INVALID_GRANT

    assert GrantEvent.objects.get().kind == "reused"
    assert answer_of(holder.refresh()) == INVALID_GRANT


@pytest.mark.parametrize("token", [CURRENT, SPENT[0], ACCESS])
def test_revocation_moves_the_session_and_revokes_it(other_server, application, user, holder, token):
    other_server.hold(application, user)

    assert answer_of(holder.revoke(token)) == (HTTPStatus.OK, {})

    assert Grant.objects.get().revoked_reason == "client_request"
    assert other_server.asked == [token]


@pytest.mark.parametrize("view", [*VIEWS, "oauth_refresh:verify"])
def test_protected_view_moves_the_session(other_server, application, user, view):
    other_server.hold(application, user)

    assert call(view, ACCESS).status_code in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}
    assert Grant.objects.get().generation == 3


def test_introspection_moves_the_session(other_server, application, user, holder):
    other_server.hold(application, user)

    body = post_form("introspect", {"token": ACCESS}, authorization=holder.authorization).json()

    assert (body["active"], body["grant_id"]) == (True, str(Grant.objects.get().public_id))
    assert other_server.asked == [ACCESS]


def test_session_that_another_process_moves_meanwhile_is_found(other_server, application, user, holder):
    """The importer itself found nothing, and says so."""
    other_server.hold(application, user)
    other_server.sessions = dict.fromkeys([CURRENT], other_server.sessions[CURRENT])
    move, other_server.sessions[CURRENT] = other_server.sessions[CURRENT], lambda: (move(), None)[1]

    read_issued(holder.refresh())


def test_unknown_text_is_refused_after_the_importers_were_asked(other_server, holder):
    assert read_refusal(holder.refresh("unknown")) == INVALID_GRANT
    assert answer_of(holder.revoke("unknown")) == (HTTPStatus.OK, {})
    assert call("notes", "unknown").status_code == HTTPStatus.UNAUTHORIZED
    assert verify("unknown").status_code == HTTPStatus.UNAUTHORIZED

    assert other_server.asked == ["unknown"] * 4


def test_client_that_does_not_authenticate_moves_nothing(other_server, application, user, holder):
    other_server.hold(application, user)
    holder.secret = "a-wrong-secret-of-more-than-22-characters"

    assert holder.refresh().status_code == HTTPStatus.UNAUTHORIZED
    assert holder.revoke(ACCESS).status_code == HTTPStatus.UNAUTHORIZED

    assert other_server.asked == []
    assert not Grant.objects.exists()


def test_wrong_client_with_a_right_token_ends_nothing(other_server, application, user, holder):
    other_server.hold(application, user)
    thief = OAuthClient(ApplicationFactory(raw_secret=SECRET), SECRET)

    assert read_refusal(thief.refresh(CURRENT)) == INVALID_GRANT

    read_issued(holder.refresh())


def test_session_that_cannot_be_moved_stays_where_it_is(other_server, application, user, holder, caplog):
    caplog.set_level("INFO", "oauth_refresh")
    User.objects.update(is_active=False)
    other_server.hold(application, user)

    assert read_refusal(holder.refresh()) == INVALID_GRANT

    assert not Grant.objects.exists()
    assert list(other_server.sessions) == [CURRENT, *SPENT, ACCESS]
    reason = "A session of another server was not imported: A grant cannot start: user inactive."
    assert reason in caplog.messages


@pytest.mark.parametrize("raw", WRONG_TEXTS.values(), ids=WRONG_TEXTS)
def test_text_that_is_no_token_of_another_server_is_asked_of_no_importer(other_server, holder, raw):
    assert read_refusal(holder.refresh(raw)) == INVALID_GRANT
    assert answer_of(holder.revoke(raw)) == (HTTPStatus.OK, {})

    assert other_server.asked == []


def test_nothing_is_asked_about_tokens_of_ours(other_server, client_app):
    spent = client_app.refresh_token
    client_app.rotate()
    call("notes", client_app.access_token)
    client_app.refresh(spent)
    client_app.revoke(client_app.access_token)

    assert other_server.asked == []


# Without FOREIGN_TOKENS.


def test_token_of_another_server_is_unknown_where_none_is_accepted(application, user, holder):
    move_in(application, user)
    before = database_snapshot()

    assert read_refusal(holder.refresh()) == INVALID_GRANT
    assert read_refusal(holder.refresh(SPENT[0])) == INVALID_GRANT
    assert call("notes", ACCESS).status_code == HTTPStatus.UNAUTHORIZED
    assert database_snapshot() == before


# Errors of an importer.


@pytest.fixture
def faulty(other_server, oauth_settings, application, user):
    """An importer that fails before it moves the session."""
    other_server.hold(application, user)
    oauth_settings(FOREIGN_TOKENS=["tests.foreign.fail_then_adopt"])


def test_error_of_an_importer_is_503_at_the_endpoints(faulty, holder):
    assert answer_of(holder.refresh()) == UNAVAILABLE
    assert answer_of(holder.revoke(CURRENT)) == UNAVAILABLE
    assert answer_of(post_form("introspect", {"token": ACCESS}, authorization=holder.authorization)) == UNAVAILABLE
    assert verify(ACCESS).status_code == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize("view", VIEWS)
def test_error_of_an_importer_is_503_at_a_protected_view(faulty, view):
    response = call(view, ACCESS)

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert response.headers["Retry-After"] == "5"


def test_error_of_an_importer_loses_no_session(faulty, oauth_settings, holder):
    assert answer_of(holder.refresh()) == UNAVAILABLE
    oauth_settings(FOREIGN_TOKENS=["tests.foreign.adopt"])

    read_issued(holder.refresh())


# Races.


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_two_requests_with_one_token_at_once_make_one_grant(other_server, oauth_settings, application, user):
    oauth_settings(RETRY_WINDOW=30)
    other_server.hold(application, user)
    clients = [OAuthClient(application, SECRET, refresh_token=CURRENT) for _number in range(4)]

    bodies = run_together(*[lambda client=client: read_issued(client.refresh()) for client in clients])

    assert len({body["refresh_token"] for body in bodies}) == 1
    assert Grant.objects.get().generation == 4
    assert list(RefreshToken.objects.order_by("generation").values_list("generation", flat=True)) == [1, 2, 3, 4]
    assert AccessToken.objects.count() == 2
