"""Checks of the database: the connection must commit by itself, and the tables must have transactions."""

from collections.abc import Collection
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.db import connections

from oauth_refresh.services.db import db_alias

_TABLES_WITHOUT_TRANSACTIONS = """
    SELECT t.table_name, t.engine
    FROM information_schema.tables t LEFT JOIN information_schema.engines e ON e.engine = t.engine
    WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' AND COALESCE(e.transactions, 'NO') <> 'YES'
    ORDER BY t.table_name
"""


def check_autocommit(**kwargs: Any) -> list[CheckMessage]:
    """Find a connection that does not commit by itself: tokens would be sent to the client and never stored."""
    connection = connections[db_alias()]
    if connection.settings_dict.get("AUTOCOMMIT", True):
        return []
    return [
        Error(
            f"AUTOCOMMIT is off for the database {connection.alias!r}, so every token request is answered with 503.",
            hint="Remove it from DATABASES: a token that is not committed would be unknown when it is used.",
            id="oauth_refresh.E020",
        )
    ]


def check_table_engines(*, databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Find tables of ours, or of users, that have no transactions: MyISAM and Aria on MariaDB and MySQL."""
    alias = db_alias()
    if alias not in (databases or ()) or connections[alias].vendor != "mysql":
        return []
    ours = {model._meta.db_table for model in apps.get_app_config("oauth_refresh").get_models()}
    ours.add(get_user_model()._meta.db_table)
    with connections[alias].cursor() as cursor:
        cursor.execute(_TABLES_WITHOUT_TRANSACTIONS)
        found = [f"{table} ({engine})" for table, engine in cursor.fetchall() if table in ours]
    if not found:
        return []
    return [
        Caution(
            f"These tables have no transactions: {', '.join(found)}.",
            hint="Run ALTER TABLE … ENGINE=InnoDB on each: a refresh that fails halfway leaves a grant without tokens.",
            id="oauth_refresh.W020",
        )
    ]
