from django.apps import AppConfig
from django.core.checks import Tags, register


class ExampleConfig(AppConfig):
    name = "example_project"

    def ready(self) -> None:
        from example_project.demo.checks import check_demonstration_is_gone  # noqa: PLC0415  models exist only now

        register(check_demonstration_is_gone, Tags.database)
