from django.apps import AppConfig
from django.core import checks

from oauth_refresh.contrib.metrics.checks import check_middleware


class OAuthMetricsConfig(AppConfig):
    name = "oauth_refresh.contrib.metrics"
    label = "oauth_refresh_metrics"

    def ready(self) -> None:
        from oauth_refresh.contrib.metrics import receivers  # noqa: PLC0415  models exist only now

        receivers.connect()
        checks.register(check_middleware)
