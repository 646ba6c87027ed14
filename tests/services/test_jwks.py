"""Fetching key sets from a real HTTPS server that also misbehaves, within bounds of time and size."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from io import DEFAULT_BUFFER_SIZE
from threading import Thread

import pytest
from django.core.cache import cache

from oauth_refresh.jose import parse_jwt
from oauth_refresh.models import Application, GrantType, TrustedIssuer
from oauth_refresh.services.fetching import _MAXIMUM_RECEIVED, _TIMEOUT_SECONDS, _get, _PinnedHTTPSConnection
from oauth_refresh.services.jwks import KeysUnavailable, current_keys, fetch_jwks
from tests.factories import SECRET, ApplicationFactory, TrustedIssuerFactory
from tests.jwts import (
    EC_KEY,
    OTHER_KEY,
    KeyClient,
    client_assertion,
    client_claims,
    grant_claims,
    jwks,
    key_application,
    public,
    sign,
)
from tests.key_server import CHUNKED, MISBEHAVIOUR
from tests.oauth import OAuthClient, post_form
from tests.refusals import INVALID_CLIENT, INVALID_GRANT, answer_of
from tests.server import free_port

KEYS = {"keys": [public(EC_KEY, kid="old")]}
NEW_KEYS = {"keys": [public(OTHER_KEY, kid="new")]}
SHORT, LONG = 0.3, 60.0
"""Limits in seconds: to be waited for, and not to be reached on a slow machine either."""

NO_SET = "what was fetched is not a JWK set of a sensible size"
PRIVATE_ADDRESSES = [
    "https://127.0.0.1/keys",
    "https://127.1/keys",
    "https://2130706433/keys",
    "https://0x7f000001/keys",
    "https://0.0.0.0/keys",
    "https://localhost/keys",
    "https://10.0.0.1/keys",
    "https://172.16.0.1/keys",
    "https://192.168.0.1/keys",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1/keys",
    "https://[::1]/keys",
    "https://[::]/keys",
    "https://[::ffff:127.0.0.1]/keys",
    "https://[::ffff:10.0.0.1]/keys",
    "https://[fe80::1]/keys",
    "https://[fc00::1]/keys",
]
# Addresses that look public, and lead a packet to a private IPv4 address or to many hosts.
DISGUISED_ADDRESSES = [
    "https://[64:ff9b::7f00:1]/keys",
    "https://[2002:7f00:1::]/keys",
    "https://[::127.0.0.1]/keys",
    "https://224.0.0.1/keys",
    "https://[ff0e::1]/keys",
]
NO_ADDRESSES = [
    "http://127.0.0.1/keys",
    "https:///keys",
    "https://[::1/keys",
    "https://127.0.0.1:99999/keys",
    "https://127.0.0.1:x/keys",
    "https://127.0.0.1/a path",
    "https://127.0.0.1/a\r\nHost: other",
    f"https://{'a' * 64}.example/keys",
    "https://name.invalid/keys",
    "file:///etc/hostname",
    "ftp://127.0.0.1/keys",
    "",
]


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def private_addresses_are_allowed(oauth_settings):
    oauth_settings(JWKS_ALLOW_PRIVATE_ADDRESSES=True)


@pytest.fixture
def key_server(key_server):
    key_server.serve(KEYS)
    return key_server


@pytest.fixture
def set_limit(monkeypatch):
    """Return a function that sets how many seconds a request may take."""
    return lambda seconds: monkeypatch.setattr("oauth_refresh.services.fetching._TIMEOUT_SECONDS", seconds)


def keys_for(key_server, *, kid="old", path="/keys"):
    """Return the keys by which a JWT that names this key is to be verified."""
    return current_keys(parse_jwt(sign({}, kid=kid)), jwks=None, jwks_uri=key_server.origin + path)


def why_unavailable(uri):
    with pytest.raises(KeysUnavailable) as refusal:
        fetch_jwks(uri)
    return str(refusal.value)


# When keys are fetched.


def test_registered_keys_are_not_fetched():
    token = parse_jwt(sign({}))

    assert current_keys(token, jwks=KEYS, jwks_uri="") == KEYS
    assert current_keys(token, jwks=None, jwks_uri="") == {"keys": []}


def test_keys_are_fetched_once_and_cached(key_server):
    assert [keys_for(key_server) for _time in range(3)] == [KEYS] * 3
    assert key_server.paths == ["/keys"]


def test_each_address_has_its_own_keys(key_server):
    assert keys_for(key_server, path="/keys?of=a") == KEYS
    key_server.serve(NEW_KEYS)
    assert keys_for(key_server, path="/keys?of=b", kid="new") == NEW_KEYS

    assert key_server.paths == ["/keys?of=a", "/keys?of=b"]


def test_keys_are_fetched_again_when_the_cache_is_empty(key_server, oauth_settings):
    oauth_settings(JWKS_CACHE_LIFETIME=1)
    keys_for(key_server)
    cache.clear()

    assert keys_for(key_server) == KEYS
    assert len(key_server.paths) == 2


def test_unknown_key_is_fetched_at_most_once_a_minute(key_server, time_machine):
    time_machine.move_to(1_800_000_000)
    keys_for(key_server)
    key_server.serve(NEW_KEYS)

    assert [keys_for(key_server, kid="new") for _time in range(3)] == [KEYS] * 3
    time_machine.shift(61)
    assert [keys_for(key_server, kid="new") for _time in range(3)] == [NEW_KEYS] * 3
    assert key_server.paths == ["/keys", "/keys"]


def test_key_that_stays_unknown_costs_one_request_a_minute(key_server, time_machine):
    time_machine.move_to(1_800_000_000)
    for _minute in range(3):
        for _attempt in range(5):
            keys_for(key_server, kid="guessed")
        time_machine.shift(61)

    assert len(key_server.paths) == 3


def test_failed_attempt_is_repeated_at_most_once_a_minute(key_server, time_machine):
    time_machine.move_to(1_800_000_000)
    for _attempt in range(3):
        with pytest.raises(KeysUnavailable):
            keys_for(key_server, path="/fault")
    time_machine.shift(61)
    with pytest.raises(KeysUnavailable):
        keys_for(key_server, path="/fault")

    assert len(key_server.paths) == 2


def test_known_keys_survive_a_failure_of_their_server(key_server, time_machine):
    time_machine.move_to(1_800_000_000)
    keys_for(key_server)
    key_server.body = b"broken"
    time_machine.shift(61)

    with pytest.raises(KeysUnavailable):
        keys_for(key_server, kid="new")

    assert keys_for(key_server) == KEYS


def test_keys_with_a_short_cache_lifetime_are_fetched_again_within_the_minute(key_server, oauth_settings, time_machine):
    oauth_settings(JWKS_CACHE_LIFETIME=10)
    time_machine.move_to(1_800_000_000)
    keys_for(key_server)
    time_machine.shift(11)

    assert keys_for(key_server) == KEYS


# What can go wrong.

REASONS = {
    "/redirect": "ValueError",
    "/permanent-redirect": "ValueError",
    "/not-found": "ValueError",
    "/created": "ValueError",
    "/fault": "ValueError",
    "/another-protocol": "BadStatusLine",
    "/interim-answers": "OSError",
    "/tiny-chunks": "OSError",
    "/long-chunk-extensions": "OSError",
    "/trailers": "OSError",
    "/huge": "ValueError",
    "/broken-off": "JSONDecodeError",
    "/no-json": "JSONDecodeError",
    "/half-json": "JSONDecodeError",
    "/no-utf-8": "UnicodeDecodeError",
    "/empty": "JSONDecodeError",
    "/named-twice": "ValueError",
    "/nested-deep": "RecursionError",
    "/many-digits": "ValueError",
}
NO_SETS = ["/list", "/null", "/no-keys", "/keys-of-another-kind", "/too-many-keys"]


NEVER_ANSWERED = ["/silent", "/slow-headers", "/slow-body"]


def test_every_misbehaviour_is_tested():
    assert {*REASONS, *NO_SETS, *NEVER_ANSWERED} == set(MISBEHAVIOUR)


@pytest.mark.parametrize(("path", "reason"), REASONS.items())
def test_what_cannot_be_read_as_json_is_unavailable(key_server, path, reason):
    assert why_unavailable(key_server.origin + path) == f"the keys could not be fetched: {reason}"
    assert key_server.paths == [path]


def test_request_may_take_three_seconds():
    assert _TIMEOUT_SECONDS == 3


@pytest.mark.parametrize("path", NEVER_ANSWERED)
def test_server_that_never_ends_its_answer_is_given_up(key_server, set_limit, path):
    set_limit(SHORT)

    # A drop of a slow body that comes just at the limit is noticed by the reading thread, before the waiting one.
    assert why_unavailable(key_server.origin + path) in {
        "the keys could not be fetched: TimeoutError",
        "the keys could not be fetched: ValueError",
    }


@pytest.mark.parametrize("path", NO_SETS)
def test_answer_that_is_no_key_set_is_refused(key_server, path):
    assert why_unavailable(key_server.origin + path) == NO_SET


def test_hundred_keys_are_accepted(key_server):
    key_server.serve({"keys": KEYS["keys"] * 100})

    assert fetch_jwks(key_server.origin + "/keys") == {"keys": KEYS["keys"] * 100}


def test_chunked_answer_is_accepted(key_server, monkeypatch):
    chunk = json.dumps(KEYS).encode()
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(chunk), chunk)
    monkeypatch.setitem(MISBEHAVIOUR, "/keys", lambda handler: handler.wfile.write(CHUNKED + body))

    assert fetch_jwks(key_server.origin + "/keys") == KEYS


@pytest.mark.parametrize(
    ("beginning", "drop"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED + b"0\r\n", b"a:\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Drop: " + b"x" * 60_000 + b"\r\n"),
    ],
)
def test_little_is_read_of_a_server_that_floods_this_one(beginning, drop):
    ours, theirs = socket.socketpair()
    connection = _PinnedHTTPSConnection("auth.example")
    connection.sock = counting = CountingSocket(fileno=ours.detach())
    sender = Thread(target=_flood, args=(theirs, beginning, drop * (1_000_000 // len(drop))))
    sender.start()

    with pytest.raises((OSError, HTTPException)):
        _get(connection, "/keys", time.monotonic() + 60)

    assert 0 < counting.received <= _MAXIMUM_RECEIVED + DEFAULT_BUFFER_SIZE
    sender.join()


class CountingSocket(socket.socket):
    received = 0

    def recv_into(self, *args):
        count = super().recv_into(*args)
        self.received += count
        return count


def _flood(theirs, beginning, flood):
    with theirs, suppress(OSError):
        theirs.sendall(beginning + flood)


def test_slow_servers_do_not_hold_up_a_good_one(key_server, set_limit):
    set_limit(SHORT)
    with ThreadPoolExecutor(8) as pool:
        reasons = list(pool.map(why_unavailable, [key_server.origin + "/slow-headers"] * 8))
    set_limit(LONG)

    assert set(reasons) == {"the keys could not be fetched: TimeoutError"}
    assert fetch_jwks(key_server.origin + "/keys") == KEYS


def test_certificate_of_an_unknown_authority_is_refused(untrusted_key_server):
    reason = why_unavailable(untrusted_key_server.origin + "/keys")

    assert reason == "the keys could not be fetched: SSLCertVerificationError"
    assert untrusted_key_server.paths == []


def test_certificate_for_another_name_is_refused(key_server):
    reason = why_unavailable(key_server.origin.replace("127.0.0.1", "127.0.0.2") + "/keys")

    assert "could not be fetched" in reason
    assert key_server.paths == []


def test_certificate_does_not_hold_for_localhost(key_server):
    assert "could not be fetched" in why_unavailable(key_server.origin.replace("127.0.0.1", "localhost") + "/keys")
    assert key_server.paths == []


@pytest.mark.slow
def test_closed_port_is_refused(private_addresses_are_allowed):
    assert "ConnectionRefusedError" in why_unavailable(f"https://127.0.0.1:{free_port()}/keys")


@pytest.mark.parametrize("uri", NO_ADDRESSES, ids=repr)
def test_address_that_is_none_is_refused(private_addresses_are_allowed, uri):
    assert why_unavailable(uri).startswith("the keys could not be fetched: ")


@pytest.fixture
def no_connections(monkeypatch):
    """Record attempts to connect, and connect nowhere."""
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda sock, address: tried.append(address))
    return tried


@pytest.mark.parametrize("uri", [*PRIVATE_ADDRESSES, *DISGUISED_ADDRESSES])
def test_address_inside_our_network_is_not_even_connected_to(no_connections, uri):
    assert why_unavailable(uri) == "the keys could not be fetched: OSError"
    assert no_connections == []


# What the client sees.


@pytest.fixture
def key_client(user):
    application = key_application(jwks=None, jwks_uri="https://127.0.0.1/keys")
    return KeyClient(application).start(user=user)


@pytest.fixture
def present_assertion(user):
    """Return a function that presents an assertion of an issuer whose keys are to be fetched."""
    application = ApplicationFactory(raw_secret=SECRET, grant_types=GrantType.JWT_BEARER)
    issuer = TrustedIssuerFactory(jwks=None, jwks_uri="https://127.0.0.1/keys")

    def send():
        signed = sign(grant_claims(issuer, user))
        return OAuthClient(application, SECRET).token(grant_type=GrantType.JWT_BEARER, assertion=signed)

    return send


def test_client_and_issuer_are_verified_with_fetched_keys(key_client, present_assertion, key_server):
    key_server.serve(jwks(EC_KEY))
    for model in (Application, TrustedIssuer):
        model.objects.update(jwks_uri=key_server.origin + "/keys")

    assert key_client.refresh().status_code == HTTPStatus.OK
    assert present_assertion().status_code == HTTPStatus.OK
    assert key_server.paths == ["/keys"]


FAILING_PATHS = [*REASONS, *NO_SETS]


@pytest.mark.parametrize("path", FAILING_PATHS)
def test_client_whose_keys_are_unavailable_is_refused(key_client, key_server, path):
    Application.objects.update(jwks_uri=key_server.origin + path)

    assert answer_of(key_client.refresh()) == INVALID_CLIENT


@pytest.mark.parametrize("path", FAILING_PATHS)
def test_assertion_of_an_issuer_whose_keys_are_unavailable_is_refused(present_assertion, key_server, path):
    TrustedIssuer.objects.update(jwks_uri=key_server.origin + path)

    assert answer_of(present_assertion()) == INVALID_GRANT


def test_client_and_issuer_whose_keys_never_come_are_refused(key_client, present_assertion, key_server, set_limit):
    for model in (Application, TrustedIssuer):
        model.objects.update(jwks_uri=key_server.origin + "/silent")
    set_limit(SHORT)

    assert answer_of(key_client.refresh()) == INVALID_CLIENT
    assert answer_of(present_assertion()) == INVALID_GRANT


@pytest.mark.parametrize("uri", [*PRIVATE_ADDRESSES, *NO_ADDRESSES[:-1]], ids=repr)
def test_client_and_issuer_with_a_wrong_address_are_refused(key_client, present_assertion, uri):
    for model in (Application, TrustedIssuer):
        model.objects.update(jwks_uri=uri)

    assert answer_of(key_client.refresh()) == INVALID_CLIENT
    assert answer_of(present_assertion()) == INVALID_GRANT


def test_entries_that_are_no_keys_are_passed_over(key_client, key_server):
    key_server.serve({"keys": [None, 1, [], {"kty": []}, {"kty": "EC", "kid": []}, {"kty": "EC"}, public(EC_KEY)]})
    Application.objects.update(jwks_uri=key_server.origin + "/keys")
    signed = client_assertion(sign(client_claims(key_client.application.client_id), kid="mine"))

    response = post_form("token", {"grant_type": "client_credentials", **signed})

    assert response.status_code == HTTPStatus.OK
