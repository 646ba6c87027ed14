from django.apps import AppConfig

from oauth_refresh.contrib.metrics.remote import observe
from oauth_refresh.resource_server.remote.configured import remote_tokens


class OAuthResourceServerMetricsConfig(AppConfig):
    name = "oauth_refresh.contrib.metrics.remote"
    label = "oauth_resource_server_metrics"

    def ready(self) -> None:
        observe(remote_tokens)
