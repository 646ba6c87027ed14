"""No statement of a prune reads a whole table that grows with use: what the planner says, on large tables."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from oauth_refresh.models import (
    AccessToken,
    AuthorizationCode,
    Grant,
    GrantEvent,
    RefreshToken,
    RevocationNotice,
    UsedAssertion,
)
from oauth_refresh.services import prune
from tests.factories import (
    AccessTokenFactory,
    ApplicationFactory,
    AuthorizationCodeFactory,
    GrantEventFactory,
    GrantFactory,
    RefreshTokenFactory,
    RevocationNoticeFactory,
    UsedAssertionFactory,
    UserFactory,
)

ROWS, BATCH_SIZE = 2_000, 10
MODELS = (Grant, RefreshToken, AccessToken, AuthorizationCode, GrantEvent, UsedAssertion, RevocationNotice)

pytestmark = [
    pytest.mark.django_db(transaction=True),  # MariaDB commits before it analyses a table
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no statistics of a server's kind"),
]


@pytest.fixture
def large_tables():
    """Fill every table; each hundredth grant has expired."""
    now = timezone.now()
    long_ago, days = now - timedelta(days=100), timedelta(days=1)
    application, user = ApplicationFactory(), UserFactory()
    Grant.objects.bulk_create(
        GrantFactory.build(
            application=application,
            user=user,
            generation=5,
            created_at=long_ago,
            idle_expires_at=long_ago + days if number % 100 == 0 else now + days,
            expires_at=None,
        )
        for number in range(ROWS)
    )
    grants = list(Grant.objects.order_by("pk"))
    for generation in (1, 5):
        RefreshToken.objects.bulk_create(RefreshTokenFactory.build(grant=g, generation=generation) for g in grants)
    AccessToken.objects.bulk_create(AccessTokenFactory.build(grant=grant) for grant in grants)
    AuthorizationCode.objects.bulk_create(AuthorizationCodeFactory.build(grant=grant) for grant in grants)
    GrantEvent.objects.bulk_create(GrantEventFactory.build(grant=grant) for grant in grants)
    UsedAssertion.objects.bulk_create(UsedAssertionFactory.build(expires_at=long_ago) for _number in range(ROWS))
    RevocationNotice.objects.bulk_create(RevocationNoticeFactory.build(created_at=long_ago) for _number in range(ROWS))
    with connection.cursor() as cursor:
        for model in MODELS:
            keyword = "ANALYZE" if connection.vendor == "postgresql" else "ANALYZE TABLE"
            cursor.execute(f"{keyword} {model._meta.db_table}")
            if connection.vendor == "mysql":
                cursor.fetchall()


def full_scans(cursor, sql, params):
    """Return the tables of ours that a statement would read from end to end."""
    cursor.execute(f"EXPLAIN {'(FORMAT JSON) ' if connection.vendor == 'postgresql' else ''}{sql}", params)
    if connection.vendor == "postgresql":
        [(plan,)] = cursor.fetchall()
        plan = json.loads(plan) if isinstance(plan, str) else plan
        found = [node["Relation Name"] for node in nodes(plan[0]["Plan"]) if node["Node Type"] == "Seq Scan"]
    else:
        columns = [column[0] for column in cursor.description]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        found = [row["table"] for row in rows if row["type"] == "ALL" or "filesort" in (row.get("Extra") or "").lower()]
    return [table for table in found if table in {model._meta.db_table for model in MODELS}]


def nodes(plan):
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


def test_no_statement_reads_a_whole_table(large_tables):
    explained = {}

    def explain(execute, sql, params, many, context):
        if sql.startswith(("SELECT", "DELETE")) and "oauth_refresh_" in sql:
            with connection.connection.cursor() as cursor:
                scanned = full_scans(cursor, sql, params)
            explained.setdefault(sql, []).extend(scanned)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        pruned = prune(batch_size=BATCH_SIZE)

    assert (pruned.grants, pruned.refresh_tokens) == (ROWS // 100, ROWS + ROWS // 100)
    assert {sql.split()[0] for sql in explained} == {"SELECT", "DELETE"}
    assert len(explained) > 10
    assert {sql: tables for sql, tables in explained.items() if tables} == {}
