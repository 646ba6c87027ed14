from oauth2_provider.models import AbstractApplication


class OldTablesElsewhere:
    """A router of a project that keeps the tables of django-oauth-toolkit in another database."""

    def db_for_write(self, model, **hints):
        return "other" if issubclass(model, AbstractApplication) else None
