"""Database routers of a project."""

from typing import Any

from django.db.models import Model


class LaggingReplica:
    """Sends every read of the app's tables to another database, which does not exist."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        return "replica" if model._meta.app_label == "oauth_refresh" else None


class BrokenRouter:
    """Raises an error as soon as the app looks anything up."""

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        if model._meta.app_label == "oauth_refresh":
            raise LookupError
        return None


class TokensElsewhere:
    """Keeps the app's tables in a database of their own, ``tokens``."""

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        return "tokens" if model._meta.app_label == "oauth_refresh" else None

    db_for_read = db_for_write
