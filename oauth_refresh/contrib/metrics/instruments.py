"""The counters. They count nothing until the project sets up an SDK of OpenTelemetry (``set_meter_provider``).

No attribute names a user, a client or a token: metrics are often readable by more people than the database, and each
value of an attribute is one more time series.
"""

from opentelemetry.metrics import get_meter

from oauth_refresh import __version__

METER = get_meter("oauth_refresh", __version__)

grants_started = METER.create_counter(
    "oauth_refresh.grants.started", unit="{grant}", description="Grants that were started, by grant_type."
)
refreshes = METER.create_counter(
    "oauth_refresh.refreshes",
    unit="{refresh}",
    description="Refreshes that were answered with tokens, by outcome: rotated, kept (no rotation), repeated.",
)
reuses = METER.create_counter(
    "oauth_refresh.reuses",
    unit="{reuse}",
    description="Spent refresh tokens that their own client presented again, by likely_cause.",
)
grants_revoked = METER.create_counter(
    "oauth_refresh.grants.revoked", unit="{grant}", description="Grants that were revoked, by reason."
)
requests_refused = METER.create_counter(
    "oauth_refresh.requests.refused",
    unit="{request}",
    description="Requests of clients that were not served, by endpoint, error and status.",
)
