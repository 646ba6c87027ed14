"""Where a request came from, and what of it may be logged."""

import traceback

import pytest
from django.http import HttpResponseRedirect
from django.test import RequestFactory

from oauth_refresh.http import (
    ClientInfo,
    clear_local_variables,
    log_server_error,
    read_client_info,
    without_secrets,
)


def client_info(**headers):
    return read_client_info(RequestFactory().get("/", headers=headers))


@pytest.mark.parametrize(
    ("num_proxies", "forwarded", "address"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, None, "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (2, "192.0.2.66, 198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (2, "203.0.113.9", "203.0.113.9"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "unknown", None),
        (1, " , ", "127.0.0.1"),
    ],
)
def test_address_is_read_from_the_entries_of_trusted_proxies_only(oauth_settings, num_proxies, forwarded, address):
    oauth_settings(NUM_PROXIES=num_proxies)
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}

    assert client_info(**headers).address == address


NODES = [
    ("203.0.113.9", "203.0.113.9"),
    ("203.0.113.9:4711", "203.0.113.9"),
    ("203.0.113.9:_port", "203.0.113.9"),
    ("203.0.113.9:", "203.0.113.9"),
    ("2001:db8::1", "2001:db8::1"),
    ("2001:DB8:0::1", "2001:db8::1"),
    ("fe80::1%eth0", "fe80::1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:4711", "2001:db8::1"),
    ("[2001:db8::1]:_port", "2001:db8::1"),
    ("[fe80::1%25eth0]:4711", "fe80::1"),
    ('"203.0.113.9"', "203.0.113.9"),
    ('"203.0.113.9:4711"', "203.0.113.9"),
    ('"[2001:db8::1]:4711"', "2001:db8::1"),
    ("for=203.0.113.9", "203.0.113.9"),
    ('For="[2001:db8::1]:4711"', "2001:db8::1"),
    ("for=203.0.113.9;proto=https;by=198.51.100.1", "203.0.113.9"),
    (" 203.0.113.9 ", "203.0.113.9"),
    ("unknown", None),
    ("_hidden", None),
    ('for="_hidden"', None),
    ("_hidden:4711", None),
    ("unix:", None),
    ("unix:/run/site.sock", None),
    ("/run/site.sock", None),
    ("[2001:db8::1", None),
    ("[2001:db8::1]4711", None),
    ("[]", None),
    ('""', None),
    ("203.0.113.999", None),
    ("203.0.113.09", None),
    ("localhost", None),
    ("1", None),
    ("\N{DEVANAGARI DIGIT ONE}.1.1.1", None),
]


@pytest.mark.parametrize(("node", "address"), NODES)
def test_address_is_read_in_every_form_that_proxies_write(oauth_settings, node, address):
    oauth_settings(NUM_PROXIES=1)
    request = RequestFactory().get("/", headers={"X-Forwarded-For": f"192.0.2.66, {node}"})

    assert read_client_info(request).address == address


@pytest.mark.parametrize(("node", "address"), NODES)
def test_address_of_the_peer_is_read_in_the_same_forms(node, address):
    request = RequestFactory().get("/", REMOTE_ADDR=node)

    assert read_client_info(request).address == address


@pytest.mark.parametrize("peer", ["", None])
def test_missing_address_is_none(peer):
    request = RequestFactory().get("/", REMOTE_ADDR=peer)

    assert read_client_info(request).address is None


def test_server_may_leave_the_address_out():
    request = RequestFactory().get("/")
    del request.META["REMOTE_ADDR"]

    assert read_client_info(request).address is None


def test_user_agent_is_shortened_and_made_printable():
    assert client_info(**{"User-Agent": "curl\x00\n" + "x" * 300}).user_agent == "curl  " + "x" * 249


def test_nothing_is_recorded_without_record_client_info(oauth_settings):
    oauth_settings(RECORD_CLIENT_INFO=False)

    assert client_info(**{"User-Agent": "curl"}) == ClientInfo(address=None, user_agent="")


SECRETS = {
    "HTTP_AUTHORIZATION": "Bearer SECRET",
    "HTTP_PROXY_AUTHORIZATION": "Basic SECRET",
    "HTTP_COOKIE": "sessionid=SECRET",
    "CSRF_COOKIE": "SECRET",
    "HTTP_X_CSRFTOKEN": "SECRET",
    "QUERY_STRING": "client_secret=SECRET",
    "REDIRECT_QUERY_STRING": "client_secret=SECRET",
    "RAW_URI": "/token?client_secret=SECRET",
    "REQUEST_URI": "/token?client_secret=SECRET",
    "HTTP_X_ORIGINAL_URI": "/token?client_secret=SECRET",
    "HTTP_REFERER": "https://app.example/callback?code=SECRET",
}


def request_with_secrets():
    return RequestFactory().post("/token", {"code": "SECRET"}, **SECRETS, HTTP_USER_AGENT="curl")


def test_request_for_logs_holds_no_secret():
    cleaned = without_secrets(request_with_secrets())

    assert (cleaned.method, cleaned.path, cleaned.META["HTTP_USER_AGENT"]) == ("POST", "/token", "curl")
    assert "SECRET" not in repr(vars(cleaned))
    assert "wsgi.input" not in cleaned.META
    assert (cleaned.GET, cleaned.POST, cleaned.COOKIES) == ({}, {}, {})


def test_request_itself_is_not_changed():
    request = request_with_secrets()
    before = dict(request.META)

    without_secrets(request)

    assert before == request.META
    assert (request.GET["client_secret"], request.POST["code"]) == ("SECRET", "SECRET")
    assert request.COOKIES["sessionid"] == "SECRET"


def test_attributes_of_the_project_stay_readable_for_its_log_filters():
    request = request_with_secrets()
    request.user, request.tenant = "alice", 7

    cleaned = without_secrets(request)

    assert (cleaned.user, cleaned.tenant) == ("alice", 7)


def test_server_error_is_an_error_in_the_log_also_where_it_is_answered_by_a_redirect(caplog):
    log_server_error(ValueError("no"), request=RequestFactory().get("/"), response=HttpResponseRedirect("/elsewhere"))

    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_frames_of_a_group_of_errors_are_cleared():
    def fail():
        held = "SECRET"
        raise ValueError(len(held))

    try:
        fail()
    except ValueError as error:
        inner = error

    clear_local_variables(ExceptionGroup("several", [inner]))

    assert all("SECRET" not in repr(frame.f_locals) for frame, _line in traceback.walk_tb(inner.__traceback__))
