"""What an API on another machine reports of its feed, as Prometheus reads it."""

import pytest
from django.test import modify_settings

from oauth_refresh.resource_server.remote import Unavailable, configured
from tests.feed_server import access_token
from tests.waiting import wait_until

pytest.importorskip("opentelemetry.exporter.prometheus", reason="The extra test is not installed.")

from oauth_refresh.contrib.metrics.remote import observe
from tests.prometheus import scrape

pytestmark = pytest.mark.slow
METRICS = (
    "feed_age_seconds",
    "feed_is_fresh",
    "credentials_are_refused",
    "introspections_total",
    "stale_refusals_total",
    "unavailable_total",
)


@pytest.fixture(autouse=True)
def nothing_else_is_observed(monkeypatch):
    monkeypatch.setattr("oauth_refresh.contrib.metrics.remote._observed", {})


@pytest.fixture
def api(feed_server, settings):
    """The ``RemoteTokens`` of the project's setting."""
    given = feed_server.settings(poll_interval=0.05, max_lag=60, timeout=30)
    settings.OAUTH_RESOURCE_SERVER = {name.upper(): value for name, value in given.items()}
    yield configured.remote_tokens()
    configured._InUse.tokens.close()
    configured._InUse.tokens = None


def shown(api):
    """Return the value of each metric that is shown for an API."""
    series = scrape()
    names = {name: f'oauth_refresh_remote_{name}{{api="{api}"}}' for name in METRICS}
    return {name: series[full] for name, full in names.items() if full in series}


def test_api_that_was_not_called_yet_has_no_age_of_its_feed(feed_server, remote):
    tokens = remote(feed_server)

    observe(lambda: tokens, api="notes")

    assert shown("notes") == {
        "feed_is_fresh": 0,
        "credentials_are_refused": 0,
        "introspections_total": 0,
        "stale_refusals_total": 0,
        "unavailable_total": 0,
    }


def test_age_of_the_feed_and_introspections_are_shown(feed_server, remote):
    tokens = remote(feed_server)
    observe(lambda: tokens, api="notes")

    tokens.check(access_token("one"))
    wait_until(lambda: tokens.state()["feed_is_fresh"])

    values = shown("notes")
    assert 0 <= values.pop("feed_age_seconds") < 60
    assert values == {
        "feed_is_fresh": 1,
        "credentials_are_refused": 0,
        "introspections_total": tokens.state()["introspections"],
        "stale_refusals_total": 0,
        "unavailable_total": 0,
    }
    assert values["introspections_total"] >= 1


def test_refused_credentials_are_shown(feed_server, remote):
    feed_server.secrets = ["another"]
    tokens = remote(feed_server)
    observe(lambda: tokens, api="notes")

    with pytest.raises(Unavailable):
        tokens.check(access_token("one"))
    wait_until(lambda: tokens.state()["credentials_are_refused"])

    assert shown("notes")["credentials_are_refused"] == 1
    assert shown("notes")["unavailable_total"] == 1


def test_each_api_of_a_process_is_shown(feed_server, remote):
    first, second = remote(feed_server), remote(feed_server)
    observe(lambda: first, api="first")
    observe(lambda: second, api="second")

    first.check(access_token("one"))

    assert shown("first")["introspections_total"] >= 1
    assert shown("second")["introspections_total"] == 0


def test_app_observes_the_api_of_the_settings(api):
    with modify_settings(INSTALLED_APPS={"append": "oauth_refresh.contrib.metrics.remote"}):
        api.check(access_token("one"))

    assert shown("default")["introspections_total"] >= 1
