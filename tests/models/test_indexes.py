"""Indexes and constraints of all models: named by hand, and none that a refresh would have to keep up to date."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauth_refresh.models import Grant
from oauth_refresh.services import authenticate_access_token
from oauth_refresh.services.rotation import changed_columns
from oauth_refresh.services.statements import with_columns
from tests.admin.many import many_rows
from tests.database import MODELS
from tests.factories import RefreshTokenFactory

NAMED_BY_DJANGO = re.compile(r"_[0-9a-f]{6,8}_(idx|uniq|fk.*)$")


def columns_changed_by_a_refresh():
    changed, columns = set(), [field.attname for field in Grant._meta.concrete_fields]
    for rotates in (True, False):
        token = RefreshTokenFactory()
        before = {column: getattr(token.grant, column) for column in columns}
        after = with_columns(
            token.grant, changed_columns(token.grant, rotates=rotates, slots=b"slots", now=timezone.now())
        )
        changed |= {column for column in columns if getattr(after, column) != before[column]}
    return changed


@pytest.mark.django_db
def test_no_index_holds_a_column_that_a_refresh_changes():
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Grant._meta.db_table).values()
    indexed = {column for index in found if index["index"] or index["unique"] for column in index["columns"]}

    assert {"application_id", "user_id", "created_at", "public_id"} <= indexed
    assert indexed.isdisjoint(columns_changed_by_a_refresh())


@pytest.mark.parametrize("model", MODELS)
def test_every_index_and_constraint_has_a_name_of_ours(model):
    names = [entry.name for entry in (*model._meta.indexes, *model._meta.constraints)]

    assert [name for name in names if not name.startswith("oauth_") or NAMED_BY_DJANGO.search(name)] == []


@pytest.mark.parametrize("model", MODELS)
def test_no_field_makes_an_index_without_a_name(model):
    implied = [field.name for field in model._meta.local_fields if field.db_index or field.unique]

    assert implied == [model._meta.pk.name]


@pytest.mark.parametrize("model", MODELS)
def test_every_foreign_key_leads_an_index_or_constraint(model):
    leading = {
        entry.fields[0] for entry in (*model._meta.indexes, *model._meta.constraints) if getattr(entry, "fields", ())
    }

    assert {field.name for field in model._meta.local_fields if field.remote_field} <= leading


def plan_of(sql):
    """Return how the database would run a statement, one step a line."""
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        if connection.vendor != "mysql":  # where it would commit
            cursor.execute("ANALYZE")
        cursor.execute(f"{explain} {sql}")
        return [" ".join(map(str, step)) for step in cursor.fetchall()]


WHOLE_TABLE = re.compile(r"\bSeq Scan\b|\bSCAN\b|\bALL\b")
"""PostgreSQL, SQLite, MariaDB."""


@pytest.mark.django_db
def test_request_to_an_api_reads_rows_by_indexes_only(client_app):
    many_rows(1000)
    with CaptureQueriesContext(connection) as queries:
        authenticate_access_token(client_app.access_token)

    (statement,) = [query["sql"] for query in queries]
    plan = plan_of(statement)

    assert [step for step in plan if WHOLE_TABLE.search(step)] == []
    assert any("digest" in step for step in plan)


@pytest.mark.django_db
def test_reading_whole_tables_would_be_noticed():
    many_rows(1000)

    plan = plan_of("SELECT * FROM oauth_refresh_accesstoken WHERE scope = 'x'")

    assert [step for step in plan if WHOLE_TABLE.search(step)] == plan[:1]
