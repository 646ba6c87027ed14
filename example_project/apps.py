from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import Tags, register
from django.core.management import call_command
from django.db.models.signals import post_migrate

from example_project.settings import CACHE_TABLE


class ExampleConfig(AppConfig):
    name = "example_project"

    def ready(self) -> None:
        from example_project.demo.checks import check_no_demo_accounts  # noqa: PLC0415  models are loaded only now

        register(check_no_demo_accounts, Tags.database)
        # Django sends post_migrate for apps with models only, and this one has none.
        post_migrate.connect(create_cache_table, sender=apps.get_app_config("notes"))


def create_cache_table(using: str, **kwargs: Any) -> None:
    """Create the table of the cache unless it exists, also while another cache is configured."""
    call_command("createcachetable", CACHE_TABLE, database=using, verbosity=0)
