"""``docs/monitoring/`` and the page about it: every metric that they name is one that a scrape shows."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from tests.docs.pages import DOCS
from tests.server import ROOT

ALERTS, DASHBOARD, PAGE = (
    DOCS / path for path in ("monitoring/alerts.yml", "monitoring/dashboard.json", "how-to/monitor.md")
)
METRIC = re.compile(r"\boauth_refresh_(?!metrics\b)[a-z_]+")

PROGRAM = """
import re
from pathlib import Path
from urllib.request import urlopen

import django
from django.conf import settings

apps = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "oauth_refresh"]
settings.configure(INSTALLED_APPS=[*apps, "oauth_refresh.contrib.metrics"], SECRET_KEY="x")
django.setup()

page = Path("docs/how-to/monitor.md").read_text()
block = re.search(r"<!-- run by a test -->\\n```python\\n(.*?)```", page, re.DOTALL)[1]
exec(block.replace("9464", "0").replace("start_http_server(", "exporter, _ = start_http_server("))

from oauth_refresh.contrib.metrics import instruments
from oauth_refresh.contrib.metrics.remote import observe
from oauth_refresh.resource_server.remote import RemoteTokens
from tests.feed_server import access_token, serving
from tests.waiting import wait_until

instruments.grants_started.add(1, {"grant_type": "password"})
instruments.refreshes.add(1, {"outcome": "rotated"})
instruments.reuses.add(1, {"likely_cause": "theft"})
instruments.grants_revoked.add(1, {"reason": "other"})
instruments.requests_refused.add(1, {"endpoint": "token", "error": "invalid_grant", "status": 400})
with serving() as server:
    tokens = RemoteTokens(**server.settings())
    observe(lambda: tokens)
    tokens.check(access_token("one"))
    wait_until(lambda: tokens.state()["feed_age"] is not None)
    print(urlopen(f"http://127.0.0.1:{exporter.server_port}/metrics").read().decode())
    tokens.close()
"""
"""The exporter as the page sets it up, scraped over HTTP, with one of everything counted."""


@pytest.fixture(scope="module")
def scraped():
    """The names and labels of all time series of a process that is set up as the page says."""
    pytest.importorskip("opentelemetry.exporter.prometheus", reason="The extra test is not installed.")
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return dict(re.findall(r"^(oauth_refresh_\w+)\{(.*?)\} ", run.stdout, re.MULTILINE))


def expressions(text):
    return [rule["expr"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


@pytest.mark.slow
def test_every_metric_of_the_alerts_is_exported(scraped):
    named = {name for text in expressions(ALERTS.read_text()) for name in METRIC.findall(text)}

    assert named
    assert named - set(scraped) == set()


@pytest.mark.slow
def test_every_metric_of_the_dashboard_is_exported(scraped):
    panels = json.loads(DASHBOARD.read_text())["panels"]
    named = {name for panel in panels for target in panel["targets"] for name in METRIC.findall(target["expr"])}

    assert named == set(scraped)


@pytest.mark.slow
def test_every_exported_metric_is_on_the_page_and_no_other(scraped):
    assert set(METRIC.findall(PAGE.read_text())) == set(scraped)


@pytest.mark.slow
def test_every_label_that_alerts_and_dashboard_group_by_is_exported(scraped):
    labels = {label for text in scraped.values() for label in re.findall(r'(\w+)="', text)} | {"instance"}
    texts = ALERTS.read_text() + DASHBOARD.read_text()
    grouped = {label for group in re.findall(r"by \((.*?)\)", texts) for label in group.split(", ")}

    assert grouped
    assert grouped - labels == set()


def test_every_alert_has_a_test_for_promtool():
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    tests = yaml.safe_load((DOCS / "monitoring" / "alerts_test.yml").read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")}

    assert fired == {rule["alert"] for rule in rules}


def test_panels_of_the_dashboard_do_not_overlap():
    cells = [
        (x, y)
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
