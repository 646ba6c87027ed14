from django.apps import AppConfig
from django.conf import settings

from example_project.playground.signal_log import connect_receivers


class PlaygroundConfig(AppConfig):
    name = "example_project.playground"

    def ready(self) -> None:
        if settings.DEBUG:
            connect_receivers()
