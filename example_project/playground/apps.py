from django.apps import AppConfig
from django.conf import settings

from example_project.playground.heard import listen


class PlaygroundConfig(AppConfig):
    name = "example_project.playground"

    def ready(self) -> None:
        if settings.DEBUG:
            listen()
