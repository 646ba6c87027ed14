"""Addresses and networks as staff type them, and the rows that came from them."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from oauth_refresh.models import Grant, GrantEvent, RefreshToken
from oauth_refresh.services import networks
from oauth_refresh.services.networks import NetworkTooLarge, came_from, describe_network, parse_network, touched_by
from tests.factories import GrantEventFactory, GrantFactory, RefreshTokenFactory

TYPED = {
    "192.0.2.1": IPv4Network("192.0.2.1"),
    " 192.0.2.1 ": IPv4Network("192.0.2.1"),
    "10.0.0.0/8": IPv4Network("10.0.0.0/8"),
    "10.1.2.3/8": IPv4Network("10.0.0.0/8"),
    "10.0.0.0/255.0.0.0": IPv4Network("10.0.0.0/8"),
    "0.0.0.0/0": IPv4Network("0.0.0.0/0"),
    "2001:db8::1": IPv6Network("2001:db8::1"),
    "[2001:DB8::1]": IPv6Network("2001:db8::1"),
    "2001:db8::/32": IPv6Network("2001:db8::/32"),
    "::ffff:192.0.2.1": IPv4Network("192.0.2.1"),
    "::ffff:10.0.0.0/104": IPv4Network("10.0.0.0/8"),
    "::/0": IPv6Network("::/0"),
}


@pytest.mark.parametrize(("text", "network"), TYPED.items(), ids=TYPED)
def test_address_or_network_is_understood(text, network):
    assert parse_network(text) == network


@pytest.mark.parametrize(
    "text",
    ["", " ", "nonsense", "192.0.2", "192.0.2.256", "10.0.0.0/33", "10.0.0.0/-1", "2001:db8::/129", "::1::", "1",
     "10.0.0.0/8/8",
     "192.0.2.1:80", "٣.0.0.1", "1.1.1.1\0", "fe80::1%eth0/64/", "0x7f.1", "a" * 10_000],
)  # fmt: skip
def test_any_other_text_is_no_network(text):
    assert parse_network(text) is None


@pytest.mark.parametrize("text", ["192.0.2.1", "10.0.0.0/8", "2001:db8::1", "2001:db8::/32"])
def test_description_can_be_typed_again(text):
    assert describe_network(parse_network(text)) == text


STORED = [
    *("10.0.0.0", "10.0.0.1", "10.255.255.255", "9.255.255.255", "11.0.0.0", "100.0.0.1", "192.0.2.1", "192.0.2.10"),
    *("192.0.2.128", "192.0.2.127", "::ffff:10.9.9.9", "::ffff:192.0.2.1", "::1", "::a00:1"),
    *("2001:db8::1", "2001:db8:0:1::", "2001:db8:1::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::1"),
    *("2001:0:0:1::1", "2001::1", "2001:0:1::", "fe80::1", "fe80::1:2:3:4", "fe80::1:1:2:3:4", "febf::1", "fec0::1"),
]
NETWORKS = [
    *("192.0.2.1", "10.0.0.0/8", "10.0.0.0/31", "192.0.2.128/25", "0.0.0.0/0", "8.0.0.0/6"),
    *("2001:db8::1", "2001:db8::/32", "2001:db8::/33", "2001::/16", "2001::/32", "2001::/48", "fe80::/10", "fe80::/64"),
    *("::/0", "::/96", "::1", "2001:db8:0:1::", "203.0.113.0/24"),
]


@pytest.fixture
def stored(db):
    for address in STORED:
        RefreshTokenFactory(address=address)
    RefreshTokenFactory(address=None)


def is_in(address, network):
    """Whether the address is in the network, or is one of IPv4 in the form of IPv6 that is."""
    mapped = getattr(address, "ipv4_mapped", None)
    return address in network or (mapped is not None and mapped in network)


@pytest.mark.parametrize("by_texts", [False, True], ids=["as the database compares", "by their texts"])
@pytest.mark.parametrize("text", NETWORKS)
def test_rows_of_a_network_are_those_whose_address_is_in_it(request, stored, text, by_texts):
    if by_texts:
        request.getfixturevalue("compares_texts")
    found = RefreshToken.objects.filter(came_from(RefreshToken, parse_network(text))).values_list("address", flat=True)

    expected = {ip_address(stored) for stored in STORED if is_in(ip_address(stored), ip_network(text))}
    assert {ip_address(one) for one in found} == expected
    assert len(found) == len(expected)


ADDRESSES = st.one_of(
    st.ip_addresses(v=4), st.ip_addresses(v=6), st.sampled_from([ip_address(text) for text in STORED])
)


@given(address=ADDRESSES, length=st.integers(0, 128))
def test_text_of_an_address_begins_as_those_of_every_network_around_it(address, length):
    """What narrows the texts that are read on databases without a type for addresses leaves none out."""
    network = ip_network((address, min(length, address.max_prefixlen)), strict=False)

    assert any(str(address).startswith(text) for text in networks._beginnings(network))


def test_network_with_too_many_stored_addresses_is_refused(stored, compares_texts, monkeypatch):
    monkeypatch.setattr(networks, "MOST_ADDRESSES", 3)

    assert came_from(RefreshToken, parse_network("10.0.0.0/30")) is not None
    with pytest.raises(NetworkTooLarge):
        came_from(RefreshToken, parse_network("10.0.0.0/8"))


def test_other_databases_read_the_stored_addresses_by_one_statement(stored, compares_texts):
    with CaptureQueriesContext(connection) as queries:
        came_from(RefreshToken, parse_network("10.0.0.0/8"))

    assert len(queries) == 1


@pytest.mark.parametrize("many", [0, networks.MANY_REFRESHES])
def test_grants_that_a_network_touched_were_started_refreshed_or_misused_from_there(db, monkeypatch, many):
    monkeypatch.setattr(networks, "MANY_REFRESHES", many)
    started = GrantFactory(address="10.0.0.1")
    refreshed = RefreshTokenFactory(address="10.0.0.2").grant
    misused = GrantEventFactory(address="10.0.0.3").grant
    twice = GrantEventFactory(grant=GrantFactory(address="10.0.0.4"), address="10.0.0.5").grant
    for factory in (GrantFactory, RefreshTokenFactory, GrantEventFactory):
        factory(address="11.0.0.1")

    found = Grant.objects.filter(touched_by(parse_network("10.0.0.0/8")))

    assert set(found) == {started, refreshed, misused, twice}
    assert found.count() == 4


@pytest.mark.parametrize("model", [Grant, RefreshToken, GrantEvent])
def test_address_is_indexed(model):
    assert ["address"] in [index.fields for index in model._meta.indexes]
