"""What OpenTelemetry's Prometheus exporter shows of this process. Needs the SDK and the exporter: the extra "test"."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

_OF_THE_EXPORTER = {"otel_scope_name", "otel_scope_version", "otel_scope_schema_url"}

set_meter_provider(MeterProvider([PrometheusMetricReader()]))  # one for the process: it cannot be replaced


def scrape() -> dict[str, float]:
    """Return each time series of ours, such as ``oauth_refresh_refreshes_total{outcome="rotated"}``, with its value."""
    families = text_string_to_metric_families(generate_latest(REGISTRY).decode())
    samples = [sample for family in families for sample in family.samples]
    return {
        f"{sample.name}{_labels(sample.labels)}": sample.value
        for sample in samples
        if sample.name.startswith("oauth_refresh_")
    }


def _labels(labels: dict[str, str]) -> str:
    own = [f'{name}="{value}"' for name, value in sorted(labels.items()) if name not in _OF_THE_EXPORTER]
    return f"{{{','.join(own)}}}" if own else ""


@contextmanager
def counted() -> Iterator[dict[str, float]]:
    """Yield a dict that holds, after the block, by how much each time series has grown."""
    before, grown = scrape(), dict[str, float]()
    yield grown
    after = scrape()
    grown.update({name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)})
