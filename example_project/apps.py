from django.apps import AppConfig
from django.core.checks import Tags, register


class ExampleConfig(AppConfig):
    name = "example_project"

    def ready(self) -> None:
        from example_project.demo.checks import check_no_demo_accounts  # noqa: PLC0415  models are loaded only now

        register(check_no_demo_accounts, Tags.database)
