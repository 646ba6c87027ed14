"""The diagram of a grant: its rows, and the lines between them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from example_project.playground.client_state import CLIENT_AGENT, THIEF_AGENT
from example_project.playground.grant_diagram import ROW, TOP, diagram_of, find_grant
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import STAFF
from oauth_refresh.services import issue_tokens, refresh, revoke_grant

CLIENT, THIEF = ClientInfo(user_agent=CLIENT_AGENT), ClientInfo(user_agent=THIEF_AGENT)


@pytest.fixture
def issued(application, user):
    return issue_tokens(application, user=user, grant_type=STAFF, scope="notes:read", client_info=CLIENT)


def refreshed(application, issued, *callers):
    """Refresh once for each caller, and return the last pair."""
    for caller in callers:
        issued = refresh(application, raw_refresh_token=issued.refresh_token, client_info=caller)
    return issued


def diagram(issued):
    return diagram_of(find_grant(issued.refresh_token))


def titles(shown):
    return [row.title for row in shown.rows]


def test_new_grant_has_one_active_token_and_no_line(issued):
    shown = diagram(issued)

    assert titles(shown) == ["Token 1: active"]
    assert shown.rows[0].detail == "client: read"
    assert (shown.lines, shown.state, shown.has_thief) == ([], "active", False)
    assert shown.height == TOP + ROW


@pytest.mark.django_db(transaction=True)
def test_each_refresh_adds_a_row_below(application, issued):
    shown = diagram(refreshed(application, issued, *[CLIENT] * 4))

    assert titles(shown) == ["Token 1: spent", "Token 2: spent", "Token 3: spent", "Token 4: spent", "Token 5: active"]
    assert [dot.y for dot in shown.dots] == [TOP + ROW // 2 + ROW * row for row in range(5)]
    assert [line.kind for line in shown.lines] == ["next"] * 4


@pytest.mark.django_db(transaction=True)
def test_many_tokens_are_shown_without_those_in_the_middle(application, issued):
    shown = diagram(refreshed(application, issued, *[CLIENT] * 14))

    assert titles(shown)[:3] == ["Token 1: spent", "9 more tokens, all spent", "Token 11: spent"]
    assert len(shown.rows) == 7
    assert [line.kind for line in shown.lines] == ["next"] * 6


@pytest.mark.django_db(transaction=True)
def test_thief_has_a_lane_and_reuse_a_line_from_the_spent_token(application, issued):
    newest = refreshed(application, issued, THIEF)
    with pytest.raises(Exception, match="spent"):
        refresh(application, raw_refresh_token=issued.refresh_token, client_info=CLIENT)

    shown = diagram(newest)

    assert titles(shown) == ["Token 1: spent", "Token 2: revoked", "Token 1 used again", "Grant revoked"]
    assert [row.is_thief for row in shown.rows] == [False, True, False, False]
    assert [line.kind for line in shown.lines] == ["next", "reuse", "end"]
    client, thief, reuse, _end = shown.dots
    assert thief.x > client.x == reuse.x
    assert shown.lines[1].path.startswith(f"M{client.x} {client.y} ")
    assert shown.lines[1].path.endswith(f" {reuse.x} {reuse.y}")


@pytest.mark.django_db(transaction=True)
def test_reused_token_is_shown_among_many_tokens(application, issued):
    third = refreshed(application, issued, CLIENT, CLIENT)
    newest = refreshed(application, third, *[CLIENT] * 12)
    with pytest.raises(Exception, match="spent"):
        refresh(application, raw_refresh_token=third.refresh_token, client_info=CLIENT)

    assert "Token 3: spent" in titles(diagram(newest))


@pytest.mark.django_db(transaction=True)
def test_retry_is_a_row_of_its_own_kind(application, issued):
    application.retry_window = timedelta(seconds=30)
    application.save()
    refreshed(application, issued, CLIENT)
    again = refreshed(application, issued, CLIENT)

    shown = diagram(again)

    assert titles(shown) == ["Token 1: spent", "Token 2: active", "Token 1 sent again"]
    assert [line.kind for line in shown.lines] == ["next", "retry"]


def test_revoked_grant_shows_the_reason(issued):
    revoke_grant(issued.grant, reason="laptop lost")

    last = diagram(issued).rows[-1]

    assert (last.kind, last.title, last.detail) == ("end", "Grant revoked", "laptop lost")


def test_expired_grant_ends_with_a_row(issued):
    long_ago = timezone.now() - timedelta(days=1)
    grant = find_grant(issued.refresh_token)
    grant.created_at, grant.idle_expires_at = long_ago - timedelta(days=1), long_ago
    grant.save()

    shown = diagram(issued)

    assert titles(shown) == ["Token 1: expired", "Grant expired"]
    assert shown.rows[-1].detail == "its lifetime is over"


@pytest.mark.django_db
def test_unknown_token_has_no_grant():
    assert find_grant("ort_unknown") is None
