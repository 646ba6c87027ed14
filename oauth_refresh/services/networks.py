"""Addresses and networks (RFC 4291, RFC 4632) as staff type them, and the rows and grants that came from them."""

from collections.abc import Iterator
from functools import reduce
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import islice, takewhile
from operator import or_
from typing import Any

from django.db import connections
from django.db.models import Exists, Model, OuterRef, Q

from oauth_refresh.models import Grant, GrantEvent, RefreshToken
from oauth_refresh.services.db import db_alias

Network = IPv4Network | IPv6Network

MOST_ADDRESSES = 10_000
"""How many stored addresses of one network are looked up on databases that have no type for addresses."""

MANY_REFRESHES = 20_000

_MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 addresses as a socket for both versions reports them (RFC 4291 §2.5.5.2)."""


class NetworkTooLarge(Exception):
    """The network has more stored addresses than ``MOST_ADDRESSES``."""


def parse_network(text: str) -> Network | None:
    """Return the network of ``192.0.2.1``, ``10.0.0.0/8``, ``[2001:db8::1]`` or ``2001:db8::/32``; else None.

    Bits behind the prefix are ignored, as in ``10.1.2.3/8``. An IPv4 address in the form of IPv6 becomes IPv4.
    """
    try:
        network = ip_network(text.strip().removeprefix("[").removesuffix("]"), strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - _MAPPED.prefixlen))
    return network


def describe_network(network: Network) -> str:
    """Return it as it can be typed: a single address without its prefix."""
    return str(network[0]) if network.num_addresses == 1 else str(network)


def came_from(model: type[Model], network: Network) -> Q:
    """Return the condition that the ``address`` of a row of ``model`` is in the network; an index serves it.

    A network takes one statement first: PostgreSQL compares addresses, but may have some of IPv4 in the form of IPv6.
    Other databases compare texts, so the stored addresses are read. Raises NetworkTooLarge if they are too many.
    """
    if network.num_addresses == 1:
        return Q(address__in=[first for first, _last in _ranges(network)])
    if connections[db_alias()].vendor == "postgresql":
        plain, *mapped = (Q(address__range=limits) for limits in _ranges(network))
        # Most sites store none of these, and an OR would keep the database from stopping early.
        used = [condition for condition in mapped if model._default_manager.filter(condition).exists()]
        return reduce(or_, used, plain)
    found = list(islice(_stored_addresses(model, network), MOST_ADDRESSES + 1))
    if len(found) > MOST_ADDRESSES:
        raise NetworkTooLarge
    return Q(address__in=found)


def touched_by(network: Network) -> Q:
    """Return the condition that a grant was started, refreshed or misused from the network. Raises as ``came_from``.

    Few refreshes lead to their grants by the index of addresses: a union, because a database cannot use the indexes of
    three tables for an OR. Of many, each grant is asked whether it has one, which is soon found.
    """
    started, refreshed, misused = (came_from(model, network) for model in (Grant, RefreshToken, GrantEvent))
    if RefreshToken.objects.filter(refreshed).order_by()[MANY_REFRESHES : MANY_REFRESHES + 1].exists():
        of_the_grant = {"grant": OuterRef("pk")}
        refreshes = RefreshToken.objects.filter(refreshed, **of_the_grant)
        return started | Exists(refreshes) | Exists(GrantEvent.objects.filter(misused, **of_the_grant))
    keys = Grant.objects.filter(started).order_by().values("pk")
    return Q(
        pk__in=keys.union(
            RefreshToken.objects.filter(refreshed).order_by().values("grant"),
            GrantEvent.objects.filter(misused).order_by().values("grant"),
        )
    )


def _ranges(network: Network) -> Iterator[tuple[str, str]]:
    """Yield the first and last address, for IPv4 also in the form of IPv6."""
    first, last = str(network[0]), str(network[-1])
    yield first, last
    if isinstance(network, IPv4Network):
        yield f"::ffff:{first}", f"::ffff:{last}"


def _stored_addresses(model: type[Model], network: Network) -> Iterator[str]:
    """Yield each address of the network that a row of ``model`` has, as it is stored."""
    candidates = Q()
    for text in _beginnings(network):  # an index can serve these
        candidates |= Q(address__istartswith=text)
    rows: Any = model._default_manager.exclude(address=None).filter(candidates)
    for text in rows.order_by().values_list("address", flat=True).distinct().iterator():
        address = ip_address(text)
        if address in network or (getattr(address, "ipv4_mapped", None) or address) in network:
            yield text


def _beginnings(network: Network) -> list[str]:
    """Return texts with one of which every address of the network begins; so may addresses that are not of it.

    Of IPv6 only up to the first group that is 0: from there on the text is shortened (RFC 5952 §4.2).
    """
    if isinstance(network, IPv4Network):
        octets = str(network[0]).split(".")[: min(3, network.prefixlen // 8)]
        text = "".join(f"{octet}." for octet in octets)
        return [text, f"::ffff:{text}"]
    groups = [int(group, 16) for group in network[0].exploded.split(":")][: min(7, network.prefixlen // 16)]
    return ["".join(f"{group:x}:" for group in takewhile(bool, groups))]
