"""The drawing of a session: which rows it has, and what is connected."""

from datetime import timedelta

import pytest
from django.utils import timezone

from example_project.playground.family import ROW, TOP, family, find_grant
from example_project.playground.holding import OWNER, THIEF
from oauth_refresh.models import OPERATOR, ClientInfo
from oauth_refresh.services import issue_tokens, refresh, revoke_grant

CLIENT, STRANGER = ClientInfo(user_agent=OWNER), ClientInfo(user_agent=THIEF)


@pytest.fixture
def issued(application, user):
    return issue_tokens(application, user=user, grant_type=OPERATOR, scope="notes:read", client_info=CLIENT)


def refreshed(application, issued, *callers):
    """Refresh once for each caller, and return what the last one got."""
    for caller in callers:
        issued = refresh(application, raw_refresh_token=issued.refresh_token, client_info=caller)
    return issued


def drawn(issued):
    return family(find_grant(issued.refresh_token))


def titles(drawing):
    return [row.title for row in drawing.rows]


def test_session_begins_with_one_live_token_and_no_line(issued):
    drawing = drawn(issued)

    assert titles(drawing) == ["Token 1: live"]
    assert drawing.rows[0].detail == "yours, may read"
    assert (drawing.lines, drawing.is_live, drawing.has_thief) == ([], True, False)
    assert drawing.height == TOP + ROW


@pytest.mark.django_db(transaction=True)
def test_each_refresh_adds_a_row_below(application, issued):
    drawing = drawn(refreshed(application, issued, *[CLIENT] * 4))

    assert titles(drawing) == ["Token 1: spent", "Token 2: spent", "Token 3: spent", "Token 4: spent", "Token 5: live"]
    assert [dot.y for dot in drawing.dots] == [TOP + ROW // 2 + ROW * row for row in range(5)]
    assert [line.kind for line in drawing.lines] == ["next"] * 4


@pytest.mark.django_db(transaction=True)
def test_long_family_leaves_out_its_middle(application, issued):
    drawing = drawn(refreshed(application, issued, *[CLIENT] * 14))

    assert titles(drawing)[:3] == ["Token 1: spent", "9 more, all spent", "Token 11: spent"]
    assert len(drawing.rows) == 7
    assert [line.kind for line in drawing.lines] == ["next"] * 6


@pytest.mark.django_db(transaction=True)
def test_thief_has_a_lane_and_the_alarm_points_at_the_token_that_came_back(application, issued):
    newest = refreshed(application, issued, STRANGER)
    with pytest.raises(Exception, match="spent"):
        refresh(application, raw_refresh_token=issued.refresh_token, client_info=CLIENT)

    drawing = drawn(newest)

    assert titles(drawing) == ["Token 1: spent", "Token 2: dead", "Token 1 came back", "The session is over"]
    assert [row.is_thiefs for row in drawing.rows] == [False, True, False, False]
    assert [line.kind for line in drawing.lines] == ["next", "alarm", "end"]
    owner, thief, alarm, _end = drawing.dots
    assert thief.x > owner.x == alarm.x
    assert drawing.lines[1].path.startswith(f"M{owner.x} {owner.y} ")
    assert drawing.lines[1].path.endswith(f" {alarm.x} {alarm.y}")


@pytest.mark.django_db(transaction=True)
def test_token_that_came_back_is_drawn_however_long_the_family(application, issued):
    third = refreshed(application, issued, CLIENT, CLIENT)
    newest = refreshed(application, third, *[CLIENT] * 12)
    with pytest.raises(Exception, match="spent"):
        refresh(application, raw_refresh_token=third.refresh_token, client_info=CLIENT)

    assert "Token 3: spent" in titles(drawn(newest))


@pytest.mark.django_db(transaction=True)
def test_retries_are_rows_without_an_alarm(application, issued):
    application.retry_window = timedelta(seconds=30)
    application.save()
    refreshed(application, issued, CLIENT)
    again = refreshed(application, issued, CLIENT)

    drawing = drawn(again)

    assert titles(drawing) == ["Token 1: spent", "Token 2: live", "Token 1 sent again"]
    assert [line.kind for line in drawing.lines] == ["next", "event"]


def test_deliberate_end_says_why(issued):
    revoke_grant(issued.grant, reason="laptop lost")

    last = drawn(issued).rows[-1]

    assert (last.kind, last.title, last.detail) == ("revoked", "The session is over", "laptop lost")


def test_session_that_expired_is_over(issued):
    long_ago = timezone.now() - timedelta(days=1)
    grant = find_grant(issued.refresh_token)
    grant.created_at, grant.idle_expires_at = long_ago - timedelta(days=1), long_ago
    grant.save()

    drawing = drawn(issued)

    assert titles(drawing) == ["Token 1: dead", "The session is over"]
    assert drawing.rows[-1].detail == "expired"


@pytest.mark.django_db
def test_unknown_token_has_no_family():
    assert find_grant("ort_unknown") is None
