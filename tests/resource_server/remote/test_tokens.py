"""An API that checks tokens at a server elsewhere: what is asked, what is kept, and when it is dropped."""

import gc
import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from oauth_refresh.resource_server.remote import RemoteTokens, Unavailable, rare_log
from oauth_refresh.resource_server.remote import server as server_module
from oauth_refresh.resource_server.remote import tokens as tokens_module
from oauth_refresh.resource_server.remote.shared_calls import SharedCalls
from tests.feed_server import CLIENT_ID, METADATA, FeedServer, access_token
from tests.threads import run_together
from tests.waiting import LONGEST_SECONDS, wait_until

pytestmark = pytest.mark.slow
TOKEN, OTHER = access_token("one"), access_token("other")


def warm(tokens, *raws):
    """Check tokens, so that they are kept while the feed is fresh."""
    tokens.check(access_token("first"))
    wait_until(lambda: tokens.state()["feed_is_fresh"])
    for raw in raws or (TOKEN,):
        tokens.check(raw)


def is_refused_within_polls(tokens, raw):
    wait_until(lambda: tokens.check(raw) is None)
    return True


def read_once_more(tokens):
    """Wait for a reading of the feed that begins from now on."""
    polls = tokens.state()["polls"]
    wait_until(lambda: tokens.state()["polls"] >= polls + 2)


def test_token_is_introspected_once_and_answered_whole(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens)
    asked = feed_server.requests["/introspect"]

    token = tokens.check(TOKEN)

    assert feed_server.requests["/introspect"] == asked
    assert (token.sub, token.username, token.client_id) == ("42", "ada", "phone")
    assert (token.scopes, token.grant_id) == (("notes:read", "notes:write"), f"grant of {TOKEN}")
    assert token.expires_at > datetime.now(tz=UTC)


def test_state_can_be_written_to_a_health_check(feed_server, remote):
    tokens = remote(feed_server)
    before = tokens.state()
    warm(tokens)
    tokens.check(access_token("x"))

    assert before == {
        "feed_age": None,
        "feed_is_fresh": False,
        "credentials_are_refused": False,
        "active": 0,
        "inactive": 0,
        "polls": 0,
        "introspections": 0,
        "stale_refusals": 0,
        "unavailable": 0,
    }
    state = tokens.state()
    assert 0 <= state.pop("feed_age") < 60
    assert state.pop("polls") >= 1
    # The first answer may be from before the first cursor: then it is not kept, or asked for again.
    assert state.pop("active") in {1, 2}
    assert state.pop("introspections") in {3, 4}
    assert state == {
        "feed_is_fresh": True,
        "credentials_are_refused": False,
        "inactive": 1,
        "stale_refusals": 0,
        "unavailable": 0,
    }


@pytest.mark.parametrize(
    "entry", [{"grant_id": f"grant of {TOKEN}"}, {"sub": "42"}, {"client_id": "phone"}, {"all": True}, {"new": "kind"}]
)
def test_revocation_of_any_kind_is_noticed(feed_server, remote, entry):
    tokens = remote(feed_server)
    warm(tokens)
    feed_server.revoked.add(TOKEN)
    feed_server.notice(entry)

    assert is_refused_within_polls(tokens, TOKEN)


def test_revocation_leaves_the_tokens_of_others_in_memory(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens, TOKEN, OTHER)
    feed_server.revoke(TOKEN)
    assert is_refused_within_polls(tokens, TOKEN)
    asked = feed_server.requests["/introspect"]

    assert tokens.check(OTHER) is not None
    assert feed_server.requests["/introspect"] == asked


def test_ten_thousand_revocations_are_read_over_many_pages(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens, TOKEN, OTHER)
    feed_server.revoke(*(access_token(f"{number}") for number in range(10_000)), TOKEN)

    assert is_refused_within_polls(tokens, TOKEN)
    assert tokens.check(OTHER) is not None


def test_revocation_between_an_introspection_and_its_answer_is_not_lost(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens, OTHER)
    ready, let_go = feed_server.hold("/introspect")
    raw = access_token("on_its_way")
    checked = []
    thread = threading.Thread(target=lambda: checked.append(tokens.check(raw)))
    thread.start()
    assert ready.wait(LONGEST_SECONDS)  # it was judged as active
    feed_server.revoke(raw)
    read_once_more(tokens)
    let_go.set()
    thread.join()

    assert (checked, tokens.check(raw)) == ([None], None)


def test_token_that_is_named_at_every_introspection_cannot_be_checked(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens, OTHER)
    checked = []
    raw = access_token("named")
    feed_server.notice({"grant_id": f"grant of {raw}"})  # the feed sends it again for ten seconds

    def check():
        with pytest.raises(Unavailable, match="each time"):
            tokens.check(raw)
        checked.append(raw)

    holds = [feed_server.hold("/introspect") for _attempt in range(3)]
    thread = threading.Thread(target=check)
    thread.start()
    for ready, let_go in holds:
        assert ready.wait(LONGEST_SECONDS)
        read_once_more(tokens)
        let_go.set()
    thread.join()

    assert checked == [raw]


def test_simultaneous_requests_of_a_token_share_one_introspection(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens, OTHER)
    asked = feed_server.requests["/introspect"]
    ready, let_go = feed_server.hold("/introspect")
    letting_go = threading.Thread(target=let_go_when_all_wait, args=(tokens, ready, let_go))
    letting_go.start()

    found = run_together(*[lambda: tokens.check(TOKEN)] * 20)

    letting_go.join()
    assert feed_server.requests["/introspect"] == asked + 1
    assert {token.grant_id for token in found} == {f"grant of {TOKEN}"}


def let_go_when_all_wait(tokens, ready, let_go):
    """Let the server answer once nineteen threads wait for the call that one of them makes."""
    assert ready.wait(LONGEST_SECONDS)
    (call,) = tokens._shared_calls._under_way.values()
    wait_until(lambda: len(call._condition._waiters) == 19)
    let_go.set()


def test_failure_reaches_all_who_share_the_introspection(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens, OTHER)
    feed_server.can("/introspect", b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
    ready, let_go = feed_server.hold("/introspect")
    letting_go = threading.Thread(target=let_go_when_all_wait, args=(tokens, ready, let_go))
    letting_go.start()

    def check():
        with pytest.raises(Unavailable, match="status 500") as error:
            tokens.check(TOKEN)
        return id(error.value)

    assert len(set(run_together(*[check] * 20))) == 20
    letting_go.join()


@pytest.mark.parametrize("raw", ["oat_short", access_token("a") + "a", "another", "", "with space", "\ud800", "oat_ü"])
def test_text_that_cannot_be_a_token_is_refused_without_a_request(feed_server, remote, raw):
    assert remote(feed_server).check(raw) is None
    assert feed_server.requests["/introspect"] == 0


def test_text_of_another_form_is_asked_about_where_foreign_tokens_are_accepted(feed_server, remote):
    feed_server.metadata["foreign_tokens_accepted"] = True

    assert remote(feed_server).check("another") is None
    assert feed_server.requests["/introspect"] == 1


def test_unknown_token_is_asked_about_once_in_seconds(feed_server, remote):
    tokens = remote(feed_server)

    assert [tokens.check(access_token("x")) for _attempt in range(5)] == [None] * 5
    assert feed_server.requests["/introspect"] == 1


def test_nothing_is_kept_where_the_age_is_zero(feed_server, remote):
    tokens = remote(feed_server, max_age=0)

    found = [tokens.check(raw) is None for raw in [TOKEN, TOKEN, access_token("x"), access_token("x")]]

    assert found == [False, False, True, True]
    # The feed is read once, to know that "not active" is about the token.
    assert (feed_server.requests["/introspect"], feed_server.requests["/revocations"]) == (4, 1)
    feed_server.revoke(TOKEN)
    assert tokens.check(TOKEN) is None


@pytest.mark.parametrize(("resource", "accepted"), [("https://api.example", True), ("https://other.example", False)])
def test_token_must_be_for_this_api(feed_server, remote, resource, accepted):
    feed_server.further = {"aud": ["https://api.example"]}

    assert (remote(feed_server, resource=resource).check(TOKEN) is not None) is accepted


@pytest.mark.parametrize("seconds", [-300, 0, 1])
def test_token_that_is_about_to_expire_is_not_kept(feed_server, remote, seconds):
    tokens = remote(feed_server)
    warm(tokens, OTHER)
    feed_server.lifetime = seconds
    asked = feed_server.requests["/introspect"]

    tokens.check(access_token("old")), tokens.check(access_token("old"))

    assert feed_server.requests["/introspect"] == asked + 2


def test_feed_that_begins_anew_drops_everything(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens)
    feed_server.revoked.add(TOKEN)  # its notice was pruned
    feed_server.can("/revocations", http(200, b'{"cursor": "9", "reset": true}'))

    assert is_refused_within_polls(tokens, TOKEN)


def test_refused_cursor_drops_everything_and_begins_anew(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens)
    feed_server.revoked.add(TOKEN)
    feed_server.can("/revocations", http(400, b'{"error": "invalid_request"}'))

    assert is_refused_within_polls(tokens, TOKEN)
    del feed_server.canned["/revocations"]
    warm(tokens, OTHER)
    feed_server.revoke(OTHER)
    assert is_refused_within_polls(tokens, OTHER)


def test_page_whose_cursor_does_not_advance_is_an_error(feed_server, remote, caplog):
    feed_server.can("/revocations", http(200, b'{"cursor": "9", "revocations": [], "more": true}'))
    tokens = remote(feed_server)
    tokens.check(TOKEN)

    wait_until(lambda: "its cursor has not changed" in caplog.text)
    assert not tokens.state()["feed_is_fresh"]


LINE = f"The authorization server refuses the credentials of the client {CLIENT_ID}, or it is not a resource server."


@pytest.mark.parametrize("max_age", [0, 30])
def test_client_that_is_no_resource_server_is_never_told_that_a_token_is_not_active(feed_server, remote, max_age):
    feed_server.can("/introspect", http(200, b'{"active": false}'))
    feed_server.can("/revocations", http(403, b'{"error": "unauthorized_client"}'))
    tokens = remote(feed_server, max_age=max_age)

    for _attempt in range(2):
        with pytest.raises(Unavailable):
            tokens.check(TOKEN)


def test_first_token_that_is_not_active_costs_one_reading_of_the_feed(feed_server, remote):
    tokens = remote(feed_server, max_age=0)

    assert [tokens.check(access_token("x")), tokens.check(access_token("x2"))] == [None, None]
    assert feed_server.requests["/revocations"] == 1


@pytest.mark.parametrize("path", ["/introspect", "/revocations"])
@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_refuse_no_token_and_are_logged_once(feed_server, remote, caplog, path, status):
    tokens = remote(feed_server)
    warm(tokens)
    feed_server.can(path, http(status, b'{"error": "invalid_client"}'))
    wait_until(lambda: path == "/introspect" or tokens.state()["credentials_are_refused"])

    for _attempt in range(3):
        with pytest.raises(Unavailable, match=f"status {status}"):
            tokens.check(OTHER)

    def errors():
        return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]

    wait_until(errors)  # the thread that reads the feed logs after it has noted the refusal
    assert errors() == [LINE]
    del feed_server.canned[path]
    wait_until(lambda: can_check(tokens))


def can_check(tokens):
    try:
        return tokens.check(TOKEN) is not None
    except Unavailable:
        return False


def test_failure_is_logged_again_after_a_pause(feed_server, remote, caplog, monkeypatch):
    tokens = remote(feed_server, max_age=0)
    feed_server.can("/introspect", b"")
    monkeypatch.setattr(rare_log, "PAUSE_SECONDS", -1)

    for _attempt in range(2):
        with pytest.raises(Unavailable):
            tokens.check(TOKEN)

    assert [record.getMessage() for record in caplog.records] == [
        "A token cannot be checked: No answer of the authorization server: RemoteProtocolError."
    ] * 2


def http(status, body):
    """Return a whole response."""
    head = f"HTTP/1.1 {status} Some\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


FAILURES = {
    "500": [http(500, b"")],
    "503 in JSON": [http(503, b'{"active": true}')],
    "a redirect": [b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"],
    "nothing": [b""],
    "half a head": [b"HTTP/1.1 200 O"],
    "another protocol": [b"SSH-2.0-OpenSSH_9.2\r\n"],
    "HTML": [http(200, b"<html>Welcome</html>")],
    "half a JSON": [http(200, b'{"active": tr')],
    "less than announced": [http(200, b'{"active": false}').replace(b"Content-Length: 17", b"Content-Length: 99")],
    "wrong types": [http(200, b'{"active": "yes", "cursor": 7}')],
    "a list": [http(200, b"[]")],
    "no end": [b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (5 << 20)],
    "compressed": [http(200, b"\x1f\x8b\x08\x00")],
}


@pytest.mark.parametrize("answer", FAILURES.values(), ids=FAILURES)
def test_failing_feed_makes_each_request_introspect(feed_server, remote, answer):
    tokens = remote(feed_server)
    warm(tokens)
    feed_server.canned["/revocations"] = answer
    feed_server.revoked.add(TOKEN)
    polled = feed_server.requests["/revocations"]
    wait_until(lambda: feed_server.requests["/revocations"] >= polled + 2)
    tokens._memory._polled_at -= 3600  # as after an hour

    asked = feed_server.requests["/introspect"]
    assert [tokens.check(TOKEN), tokens.check(OTHER) is not None, tokens.check(OTHER) is not None] == [None, True, True]
    assert feed_server.requests["/introspect"] == asked + 3
    assert not tokens.state()["feed_is_fresh"]


@pytest.mark.parametrize("answer", FAILURES.values(), ids=FAILURES)
def test_failing_introspection_neither_accepts_nor_refuses_a_token(feed_server, remote, answer):
    tokens = remote(feed_server)
    warm(tokens)
    feed_server.canned["/introspect"] = answer

    with pytest.raises(Unavailable):
        tokens.check(OTHER)
    assert tokens.check(TOKEN) is not None  # the feed is fresh, so what is kept still counts
    del feed_server.canned["/introspect"]
    assert tokens.check(OTHER) is not None


@pytest.mark.parametrize("answer", FAILURES.values(), ids=FAILURES)
def test_token_cannot_be_checked_before_the_metadata_were_read(feed_server, remote, answer):
    tokens = remote(feed_server)
    feed_server.canned[METADATA] = answer

    with pytest.raises(Unavailable):
        tokens.check(TOKEN)
    assert feed_server.requests["/introspect"] == 0
    del feed_server.canned[METADATA]
    wait_until(lambda: is_answered(tokens))  # the feed's thread may still be reading the former answer, for both


def is_answered(tokens):
    """Whether the token is known to be active; False while nothing is known."""
    with suppress(Unavailable):
        return tokens.check(TOKEN) is not None
    return False


def test_metadata_are_read_again_and_the_former_ones_are_used_if_that_fails(feed_server, remote, monkeypatch):
    monkeypatch.setattr(server_module, "METADATA_SECONDS", 0)
    monkeypatch.setattr(server_module, "METADATA_RETRY_SECONDS", 0)
    tokens = remote(feed_server, max_age=0)
    assert tokens.check("another") is None

    feed_server.metadata["foreign_tokens_accepted"] = True
    tokens.check("another")
    assert feed_server.requests["/introspect"] == 1
    feed_server.can(METADATA, b"")
    tokens.check("another")
    assert feed_server.requests["/introspect"] == 2


def test_issuer_with_a_path_has_its_metadata_behind_the_well_known_address(feed_server, remote):
    feed_server.metadata["issuer"] = issuer = f"{feed_server.issuer}/tenant/"
    tokens = remote(feed_server, issuer=issuer, max_age=0)
    with pytest.raises(Unavailable):
        tokens.check(TOKEN)

    assert feed_server.requests[f"{METADATA}/tenant"] == 1


def test_answer_that_takes_too_long_is_an_error(feed_server, remote):
    tokens = remote(feed_server, timeout=0.5)
    _ready, let_go = feed_server.hold("/introspect")

    with pytest.raises(Unavailable, match=r"ReadTimeout|took too long"):
        tokens.check(TOKEN)
    let_go.set()


def test_answer_that_comes_in_drops_takes_too_long(remote):
    server = DroppingServer()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    tokens = remote(server, timeout=1, max_age=0)

    with pytest.raises(Unavailable, match="took too long"):
        tokens.check(TOKEN)

    server.http.shutdown()
    server.http.server_close()


class DroppingServer(FeedServer):
    """It sends its answers about tokens byte by byte."""

    def handle(self, request, body):
        if request.path != "/introspect":
            super().handle(request, body)
            return
        request.close_connection = True
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _byte in range(200):
            try:
                request.wfile.write(b" ")
                request.wfile.flush()
            except OSError:
                return
            threading.Event().wait(0.02)


def test_connection_that_the_server_has_closed_meanwhile_is_made_anew(feed_server, remote):
    tokens = remote(feed_server, max_age=0)
    tokens.check(TOKEN)
    feed_server.canned["/introspect"] = CannedOnce(feed_server)

    assert tokens.check(TOKEN) is not None
    assert feed_server.requests["/introspect"] == 3


class CannedOnce(list):
    """No bytes, and from the next request on the usual answers."""

    def __init__(self, server):
        super().__init__()
        self.server = server

    def __iter__(self):
        self.server.canned.clear()
        return super().__iter__()


def test_credentials_are_sent_to_the_endpoints_only_and_encoded(feed_server, remote):
    tokens = remote(feed_server)
    tokens.check(TOKEN)

    sent = [headers.get("Authorization") for headers in feed_server.headers]
    assert sent[0] is None  # the metadata
    assert sent[1].startswith("Basic ")


def test_thread_ends_when_it_is_closed_and_does_not_start_again(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens)
    tokens.close()

    assert not tokens._feed._thread.is_alive()
    with pytest.raises(Unavailable):
        tokens.check(OTHER)
    assert not tokens._feed._thread.is_alive()


def test_thread_ends_when_nothing_uses_it(feed_server):
    tokens = RemoteTokens(**feed_server.settings(poll_interval=0.02))
    tokens.check(TOKEN)
    feed = tokens._feed
    client = tokens._server
    del tokens
    gc.collect()

    feed.join(30)
    assert not feed._thread.is_alive()
    client.close()


def test_process_that_was_forked_uses_nothing_of_its_parent(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens)
    feed, server = tokens._feed, tokens._server

    tokens_module._begin_in_child()  # what the interpreter calls

    assert (tokens.state()["polls"], tokens.state()["active"]) == (0, 0)
    warm(tokens)
    assert tokens._feed is not feed
    feed.stop()
    feed.join(LONGEST_SECONDS)
    server.close()


def test_wait_for_another_thread_is_limited():
    calls, ready, let_go = SharedCalls(longest=0.01), threading.Event(), threading.Event()
    thread = threading.Thread(target=calls.run, args=("key", lambda: (ready.set(), let_go.wait(LONGEST_SECONDS))))
    thread.start()
    assert ready.wait(LONGEST_SECONDS)

    with pytest.raises(Unavailable, match="for too long"):
        calls.run("key", int)
    let_go.set()
    thread.join()


def test_thread_that_has_ended_is_started_again(feed_server, remote):
    tokens = remote(feed_server)
    tokens._feed._thread = threading.Thread(target=int)  # never started, as after a crash
    warm(tokens)

    assert tokens._feed._thread.is_alive()


def test_thread_that_the_system_does_not_allow_is_started_by_a_later_request(feed_server, remote):
    tokens = remote(feed_server)
    size = threading.stack_size(1 << 46)  # there is not so much
    try:
        tokens._feed.start()
    finally:
        threading.stack_size(size)
    tokens._feed.join(LONGEST_SECONDS)
    assert not tokens._feed._thread.is_alive()

    warm(tokens)

    assert tokens.state()["feed_is_fresh"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_has_ended_while_the_credentials_were_refused_is_started_again(feed_server, remote):
    tokens = remote(feed_server)
    warm(tokens)
    secrets, feed_server.secrets = feed_server.secrets, []
    wait_until(lambda: tokens.state()["credentials_are_refused"])
    tokens._feed._server, server = None, tokens._feed._server  # any error that is not expected ends the thread
    tokens._feed.join(LONGEST_SECONDS)
    tokens._feed._server, feed_server.secrets = server, secrets

    with pytest.raises(Unavailable):
        tokens.check(TOKEN)

    wait_until(lambda: not tokens.state()["credentials_are_refused"])
    assert tokens.check(TOKEN) is not None


@pytest.mark.parametrize("address", ["http://127.0.0.1/\ud800", "http://xn--/", f"http://{'a' * 64}/"])
def test_address_that_cannot_be_used_is_an_error(feed_server, remote, address):
    feed_server.metadata["introspection_endpoint"] = address

    with pytest.raises(Unavailable, match="No answer"):
        remote(feed_server).check(TOKEN)


def test_cursor_that_cannot_be_sent_ends_no_thread(feed_server, remote, caplog):
    tokens = remote(feed_server)
    feed_server.can("/revocations", http(200, b'{"cursor": "\\ud800", "revocations": [], "more": false}'))
    tokens.check(TOKEN)
    wait_until(lambda: "The feed of revocations cannot be read: No answer" in caplog.text)

    assert tokens._feed._thread.is_alive()
    feed_server.canned.clear()
    warm(tokens)


def test_missing_certificates_are_an_error(feed_server, remote, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/missing")

    with pytest.raises(Unavailable, match="FileNotFoundError"):
        remote(feed_server).check(TOKEN)


def test_simultaneous_first_requests_start_one_thread(feed_server, remote):
    tokens = remote(feed_server)

    run_together(*[lambda: tokens.check(TOKEN)] * 10)

    assert sum(thread.name == "oauth_refresh feed" for thread in threading.enumerate()) == 1


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"issuer": "auth.example"}, "issuer: write the issuer URL of the authorization server"),
        ({"issuer": "https://auth.example?tenant=1"}, "issuer: "),
        ({"issuer": "https://["}, "issuer: "),
        ({"issuer": " https://auth.example"}, "issuer: "),
        ({"issuer": None}, "issuer: "),
        ({"client_id": ""}, "client_id: write the client ID of this API"),
        ({"client_secret": None}, "client_secret: "),
        ({"resource": ""}, "resource: "),
        ({"max_age": -1}, "max_age: write a number of seconds, 0 to keep nothing"),
        ({"max_age": float("inf")}, "max_age: "),
        ({"poll_interval": 0}, "poll_interval: write a number of seconds above 0"),
        ({"max_lag": "2"}, "max_lag: "),
        ({"timeout": True}, "timeout: "),
        ({"poll_interval": 2}, "poll_interval: write less than max_lag"),
    ],
)
def test_argument_that_cannot_be_used_is_named(changed, problem):
    usable = {"issuer": "https://auth.example", "client_id": "billing", "client_secret": "secret"}

    with pytest.raises(ValueError, match=problem):
        RemoteTokens(**usable | changed)
