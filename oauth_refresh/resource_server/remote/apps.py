"""An app for the system checks of ``OAUTH_RESOURCE_SERVER``. It has no models, and needs none of ours."""

from django.apps import AppConfig
from django.core import checks

from oauth_refresh.resource_server.remote.checks import check_resource_server


class OAuthResourceServerConfig(AppConfig):
    name = "oauth_refresh.resource_server.remote"
    label = "oauth_resource_server"

    def ready(self) -> None:
        checks.register(check_resource_server, checks.Tags.security)
