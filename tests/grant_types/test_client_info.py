"""Where a request came from: the peer, or what trusted proxies say of it."""

import pytest
from django.test import RequestFactory

from oauth_refresh.grant_types.client_info import read_client_info
from oauth_refresh.models import ClientInfo


def info(**headers):
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
def test_only_what_trusted_proxies_appended_is_believed(settings, num_proxies, forwarded, address):
    settings.OAUTH_REFRESH = {"NUM_PROXIES": num_proxies}
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}

    assert info(**headers).address == address


def test_peer_without_an_address_has_none():
    request = RequestFactory().get("/", REMOTE_ADDR="")

    assert read_client_info(request).address is None


def test_user_agent_is_cut_and_made_printable():
    assert info(**{"User-Agent": "curl\x00\n" + "x" * 300}).user_agent == "curl  " + "x" * 249


def test_nothing_is_recorded_where_the_project_says_so(settings):
    settings.OAUTH_REFRESH = {"RECORD_CLIENT_INFO": False}

    assert info(**{"User-Agent": "curl"}) == ClientInfo(address=None, user_agent="")
