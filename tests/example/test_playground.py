"""Each button of the playground, in a browser without JavaScript: the caption, and the grant in the database."""

import pytest

from tests.feed_server import serving
from tests.server import far_api
from tests.waiting import wait_until

FULL, NARROW = "notes:read notes:write", "notes:read"


def test_client_connects_by_authorization_code_and_pkce(visitor, newest_grant):
    visitor.open("/").press("kind", "strict").press(None, None).press("decision", "allow")

    assert visitor.caption == "Connected: the client has its first tokens"
    assert newest_grant() == {
        "client_id": "playground",
        "generation": 1,
        "is_live": True,
        "reason": "",
        "events": [],
        "scopes": [FULL],
    }
    assert "code_challenge_method=S256" in visitor.text
    assert "code_verifier=" in visitor.text


@pytest.mark.parametrize(
    ("actions", "caption", "expected"),
    [
        (["read"], "The API responded", {"generation": 1}),
        (["write"], "The API saved the note", {"generation": 1}),
        (["tool"], "The MCP server responded", {"generation": 1}),
        (["steal", "tool"], "401: this access token is not valid", {"generation": 2}),
        (["refresh"], "New pair issued: the old tokens are invalid", {"generation": 2}),
        (["narrow"], "New pair issued, with a read-only access token", {"generation": 2, "scopes": [FULL, NARROW]}),
        (["narrow", "write"], "Refused: this access token may not write", {"generation": 2}),
        (["narrow", "refresh", "write"], "The API saved the note", {"generation": 3, "scopes": [FULL, NARROW, FULL]}),
        (["steal"], "The theft is not detected yet", {"generation": 2}),
        (["steal", "read"], "401: this access token is not valid", {"generation": 2}),
        (["steal", "thief-read"], "The thief reads the notes", {"generation": 2}),
        (["steal", "thief-refresh"], "The thief has the newest pair", {"generation": 3}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_grant_stays_active(strict, newest_grant, actions, caption, expected):
    strict.act(*actions)

    assert strict.caption == caption
    grant = newest_grant()
    assert grant["is_live"]
    assert grant["events"] == []
    assert grant | expected == grant


@pytest.mark.parametrize(
    ("actions", "caption", "generation"),
    [
        (["refresh", "replay"], "Reuse detected: the grant is revoked", 2),
        (["twice"], "Reuse detected: the client used one token twice", 2),
        (["lose"], "Reuse detected: a retry looks like a theft", 2),
        (["steal", "thief-refresh", "refresh"], "Reuse detected: the theft is discovered", 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_reuse_revokes_the_grant_without_a_retry_window(strict, newest_grant, actions, caption, generation):
    strict.act(*actions)

    assert strict.caption == caption
    grant = newest_grant()
    assert (grant["reason"], grant["events"], grant["generation"]) == ("reuse_detected", ["reused"], generation)
    assert "Grant revoked" in strict.text
    assert strict.act("read").caption == "Refused: the grant is no longer active"
    assert strict.can_press("kind", "strict")


def test_tokens_of_the_thief_are_refused_after_reuse(strict):
    strict.act("steal", "refresh")

    assert strict.act("thief-read").caption == "The thief's access token is refused"
    assert strict.act("thief-refresh").caption == "The thief's refresh token is refused"


def test_disconnecting_twice_is_not_an_error(strict, newest_grant):
    assert strict.act("revoke").caption == "Disconnected: the grant is revoked"
    assert newest_grant()["reason"] == "client_request"
    assert strict.act("read").caption == "Refused: the grant is no longer active"
    assert strict.act("revoke").caption == "The grant was already inactive"


@pytest.mark.parametrize(
    ("actions", "caption", "events"),
    [
        (["lose"], "The retry received the same pair", ["retried"]),
        (["twice"], "Both requests received the same pair", ["retried"]),
        (["refresh", "replay"], "Within the retry window this is a retry", ["retried"]),
        (["steal", "refresh"], "The server returned the current pair", ["retried"]),
        (
            ["lose", *["replay"] * 20],
            "Refused, but not treated as a theft",
            ["retried"] * 20,
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_retry_within_the_window_returns_the_same_pair(retrying, newest_grant, actions, caption, events):
    retrying.act(*actions)

    assert retrying.caption == caption
    grant = newest_grant()
    assert grant["is_live"]
    assert (grant["client_id"], grant["generation"], grant["events"]) == ("playground-retry", 2, events)
    assert retrying.act("read").caption == "The API responded"


def test_token_before_the_last_gets_the_current_pair_within_the_window(retrying, newest_grant):
    retrying.act("refresh", "steal", "thief-refresh", "refresh")

    assert retrying.caption == "The server returned the current pair"
    assert newest_grant()["events"] == ["retried"]


def test_command_is_shown_while_the_far_api_does_not_run(strict, newest_grant, far_port, site):
    for action in ("far", "watch"):
        assert strict.act(action).caption == "The far API does not respond"
        assert f"<code>python manage.py far_api --port {far_port} --issuer {site}</code>" in strict.text
    assert newest_grant()["is_live"]


def test_far_api_of_another_server_is_named_and_nothing_is_revoked(strict, newest_grant, far_port, site, database_url):
    with serving() as other, far_api(issuer=other.issuer, port=far_port, database_url=database_url):
        other.can("/introspect", b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"active": false}')
        page = b'{"cursor": "1", "revocations": [], "more": false}'
        other.can("/revocations", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))
        for action in ("far", "watch"):
            wait_until(lambda action=action: strict.act(action).caption != "The far API does not respond")
            assert strict.caption == "The far API asks another server"
            assert f"--issuer {site}</code>" in strict.text
    assert newest_grant()["is_live"]


def test_title_of_the_page_is_the_caption(strict):
    assert "<title>New pair issued: the old tokens are invalid (playground)</title>" in strict.act("refresh").text


def test_replay_is_disabled_before_a_refresh(strict):
    assert not strict.can_press("action", "replay")
    assert "Refresh first: no token is spent yet." in strict.text
    assert strict.act("refresh").can_press("action", "replay")


def test_page_shows_the_diagram_and_the_signals(strict):
    strict.act("steal", "refresh")

    rows = ["Token 1: spent", "Token 2: revoked", "Token 1 used again", "Grant revoked"]
    assert [text for text in rows if f"<strong>{text}</strong>" not in strict.text] == []
    assert '<code>refresh_token_reused</code> <span class="quiet">generation=1 same_caller=False</span>' in strict.text
    assert '<code>grant_revoked</code> <span class="quiet">reason=reuse_detected</span>' in strict.text


def test_signal_of_a_retry_by_another_program_says_so(retrying):
    retrying.act("steal", "refresh")

    assert '<code>refresh_retried</code> <span class="quiet">generation=1 same_caller=False</span>' in retrying.text


def test_requests_are_shown_with_shortened_secrets_and_a_curl_command(strict):
    strict.act("refresh")

    shown = strict.text.partition('id="http-log"')[2]
    assert "grant_type=refresh_token\n&refresh_token=ort_A" in shown
    assert "HTTP 200 OK" in shown
    assert "curl -H 'Accept: application/json' -H 'Authorization: Basic " in shown


def test_admin_page_of_the_grant_shows_the_thief(own_sign_in):
    own_sign_in.act("steal", "refresh").press("as", "admin")

    assert "/admin/oauth_refresh/grant/" in own_sign_in.page.url
    assert "Thief/6.6" in own_sign_in.text
    assert own_sign_in.open("/playground/").caption == "Reuse detected: the theft is discovered"


def test_user_page_lists_the_application(own_sign_in):
    own_sign_in.press("as", "admin").open("/playground/").press("as", "user")

    assert own_sign_in.page.url.endswith("/oauth/applications")
    assert "Notebook" in own_sign_in.text
    assert "<strong>demo</strong>" in own_sign_in.text


def test_client_can_delete_its_tokens_without_revoking_them(strict, newest_grant):
    strict.press(None, None)

    assert "The client is not connected" in strict.text
    assert newest_grant()["is_live"]
