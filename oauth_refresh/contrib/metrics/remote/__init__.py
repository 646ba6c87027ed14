"""Optional: metrics of an API on another machine, by OpenTelemetry's API: how old its feed is, and what it costs.

It needs neither our models nor Django: ``observe`` is enough. As an app it observes the ``RemoteTokens`` that are made
of ``OAUTH_RESOURCE_SERVER``.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial

from opentelemetry.metrics import CallbackOptions, Observation, get_meter

from oauth_refresh import __version__
from oauth_refresh.resource_server.remote import RemoteTokens

_GAUGES = {
    "feed_age": ("s", "Seconds since the last successful reading of the feed began."),
    "feed_is_fresh": ("", "1 while kept answers count; 0 while each request is introspected."),
    "credentials_are_refused": ("", "1 while the authorization server refuses the credentials of this API."),
}
_COUNTERS = {
    "introspections": ("{request}", "Tokens that were introspected."),
    "stale_refusals": ("{answer}", "Kept answers that were not used, because the feed was not fresh."),
    "unavailable": ("{token}", "Tokens that could not be checked, so that the request was answered with 503."),
}
_observed: dict[str, Callable[[], RemoteTokens]] = {}


def observe(find: Callable[[], RemoteTokens], *, api: str = "default") -> None:
    """Report the ``state()`` of what ``find`` returns, whenever metrics are collected, with the attribute ``api``.

    A second call with the same ``api`` replaces the first. ``find`` is called in the thread that collects.
    """
    _create_instruments()
    _observed[api] = find


@cache  # an instrument that is created twice is reported twice
def _create_instruments() -> None:
    meter = get_meter("oauth_refresh", __version__)
    for key, (unit, description) in _GAUGES.items():
        meter.create_observable_gauge(
            f"oauth_refresh.remote.{key}", [partial(_observations, key)], unit=unit, description=description
        )
    for key, (unit, description) in _COUNTERS.items():
        meter.create_observable_counter(
            f"oauth_refresh.remote.{key}", [partial(_observations, key)], unit=unit, description=description
        )


def _observations(key: str, options: CallbackOptions) -> Iterator[Observation]:
    """Yield the value for each API. It has no ``feed_age`` before the first reading."""
    for api, find in _observed.items():
        if (value := find().state()[key]) is not None:
            yield Observation(float(value), {"api": api})
