"""Replace what makes a refresh cost two statements on PostgreSQL."""

from django.apps import AppConfig


class SevenStatements(AppConfig):
    name = "benchmarks.sites.seven_statements_app"
    path = __file__

    def ready(self) -> None:
        from oauth_refresh.authorization_server import views  # noqa: PLC0415  needs the models
        from oauth_refresh.services import rotation, statements  # noqa: PLC0415  as above

        views.find_traded_token = lambda parameters: None
        rotation.needs_transaction = lambda: True
        statements._advance_by_one_statement = statements._advance  # noqa: SLF001  the other of two ways
