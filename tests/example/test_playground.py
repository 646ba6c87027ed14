"""Each button of the playground, in a browser without JavaScript: what the page says, and what the database holds."""

import pytest

WHOLE, NARROW = "notes:read notes:write", "notes:read"


def test_client_connects_by_authorization_code_of_somebody_who_signs_in(visitor, newest_grant):
    visitor.open("/").press("kind", "strict").press(None, None).press("decision", "allow")

    assert visitor.caption == "Connected: this is a session's first pair"
    assert newest_grant() == {
        "client_id": "playground",
        "generation": 1,
        "is_live": True,
        "reason": "",
        "events": [],
        "scopes": [WHOLE],
    }
    assert "code_challenge_method=S256" in visitor.text
    assert "code_verifier=" in visitor.text


@pytest.mark.parametrize(
    ("actions", "caption", "expected"),
    [
        (["read"], "The API answered", {"generation": 1}),
        (["write"], "The API took the note", {"generation": 1}),
        (["refresh"], "A new pair; the old one is dead", {"generation": 2}),
        (["narrow"], "A new pair, with a narrower access token", {"generation": 2, "scopes": [WHOLE, NARROW]}),
        (["narrow", "write"], "Refused: this access token may not write", {"generation": 2}),
        (["narrow", "refresh", "write"], "The API took the note", {"generation": 3, "scopes": [WHOLE, NARROW, WHOLE]}),
        (["steal"], "Nobody has noticed yet", {"generation": 2}),
        (["steal", "read"], "401: this access token is dead", {"generation": 2}),
        (["steal", "thief-read"], "The thief reads the notes", {"generation": 2}),
        (["steal", "thief-refresh"], "The thief goes on", {"generation": 3}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_session_lives_on(strict, newest_grant, actions, caption, expected):
    strict.act(*actions)

    assert strict.caption == caption
    grant = newest_grant()
    assert grant["is_live"]
    assert grant["events"] == []
    assert grant | expected == grant


@pytest.mark.parametrize(
    ("actions", "caption", "generation"),
    [
        (["refresh", "replay"], "Alarm: a spent token came back", 2),
        (["twice"], "Alarm: the client stole from itself", 2),
        (["lose"], "Alarm: a retry looks like a theft", 2),
        (["steal", "thief-refresh", "refresh"], "Alarm: the theft is noticed", 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_alarm_ends_the_session_of_the_strict_client(strict, newest_grant, actions, caption, generation):
    strict.act(*actions)

    assert strict.caption == caption
    grant = newest_grant()
    assert (grant["reason"], grant["events"], grant["generation"]) == ("reuse_detected", ["reused"], generation)
    assert "The session is over" in strict.text
    assert strict.act("read").caption == "Refused: the session is over"
    assert strict.can_press("kind", "strict")


def test_thief_is_left_with_nothing(strict):
    strict.act("steal", "refresh")

    assert strict.act("thief-read").caption == "The thief has nothing"
    assert strict.act("thief-refresh").caption == "The thief has nothing"


def test_revoking_ends_the_session_and_once_more_is_no_error(strict, newest_grant):
    assert strict.act("revoke").caption == "Signed out: the session is over"
    assert newest_grant()["reason"] == "client_request"
    assert strict.act("read").caption == "Refused: the session is over"
    assert strict.act("revoke").caption == "It was over already"


@pytest.mark.parametrize(
    ("actions", "caption", "events"),
    [
        (["lose"], "The very same pair came back", ["retried"]),
        (["twice"], "Both got the same pair", ["retried"]),
        (["refresh", "replay"], "Inside the window it counts as a retry", ["retried"]),
        (["steal", "refresh"], "The same pair went out once more", ["retried"]),
        (["lose", "replay", "replay", "replay"], "Refused, but no alarm", ["retried", "retried", "retried", "refused"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_retry_window_gives_out_the_same_pair_again(patient, newest_grant, actions, caption, events):
    patient.act(*actions)

    assert patient.caption == caption
    grant = newest_grant()
    assert grant["is_live"]
    assert (grant["client_id"], grant["generation"], grant["events"]) == ("playground-patient", 2, events)
    assert patient.act("read").caption == "The API answered"


def test_token_before_the_last_is_an_alarm_in_spite_of_the_window(patient, newest_grant):
    patient.act("refresh", "steal", "thief-refresh", "refresh")

    assert patient.caption == "Alarm: the theft is noticed"
    assert newest_grant()["events"] == ["reused"]


def test_title_of_the_page_tells_what_happened(strict):
    assert "<title>A new pair; the old one is dead (playground)</title>" in strict.act("refresh").text


def test_nothing_can_be_replayed_before_a_refresh(strict):
    assert not strict.can_press("action", "replay")
    assert "Refresh first, so that there is a spent one." in strict.text
    assert strict.act("refresh").can_press("action", "replay")


def test_page_draws_the_family_and_tells_its_signals(strict):
    strict.act("steal", "refresh")

    told = ["Token 1: spent", "Token 2: dead", "Token 1 came back", "The session is over"]
    assert [text for text in told if f"<strong>{text}</strong>" not in strict.text] == []
    assert '<code>refresh_token_reused</code> <span class="quiet">generation=1</span>' in strict.text
    assert '<code>grant_revoked</code> <span class="quiet">reason=reuse_detected</span>' in strict.text


def test_signal_tells_that_a_retry_came_from_another_program(patient):
    patient.act("steal", "refresh")

    assert '<code>refresh_retried</code> <span class="quiet">generation=1 same_caller=False</span>' in patient.text


def test_exchanges_are_shown_with_secrets_shortened_but_for_the_curl_line(strict):
    strict.act("refresh")

    shown = strict.text.partition('id="wire"')[2]
    assert "grant_type=refresh_token\n&refresh_token=ort_A" in shown
    assert "HTTP 200 OK" in shown
    assert "curl -H 'Accept: application/json' -H 'Authorization: Basic " in shown


def test_admin_sees_the_timeline_of_this_very_session(alone):
    alone.act("steal", "refresh").press("as", "admin")

    assert "/admin/oauth_refresh/grant/" in alone.page.url
    assert "A spent refresh token came back" in alone.text
    assert alone.open("/playground/").caption == "Alarm: the theft is noticed"


def test_user_sees_the_application(alone):
    alone.press("as", "admin").open("/playground/").press("as", "user")

    assert alone.page.url.endswith("/oauth/applications")
    assert "Notebook" in alone.text
    assert "You are signed in as <strong>demo</strong>" in alone.text


def test_client_can_forget_everything(strict, newest_grant):
    strict.press(None, None)

    assert "The client holds nothing yet" in strict.text
    assert newest_grant()["is_live"]
