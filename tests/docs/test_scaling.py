"""Grants are refreshed, revoked and pruned as usual on partitioned tables, as docs/scaling.md says."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Max, Q

from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.services import Pruned, prune, revoke_grants
from tests.factories import SECRET, ApplicationFactory, RefreshTokenFactory, UserFactory
from tests.members.models import Footnote
from tests.oauth import OAuthClient
from tests.server import ROOT

BY_WEEK = (ROOT / "benchmarks" / "partitions.sql").read_text()
GRANTS_BY_HASH = (ROOT / "benchmarks" / "hashed_grants.sql").read_text()
WEEK = timedelta(days=7)
NOW = datetime.now(tz=UTC)
TOKENS = (RefreshToken, AccessToken)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the statements are for PostgreSQL"),
]


def execute(statements):
    """Run them inside the transaction of the test, which is rolled back."""
    with connection.cursor() as cursor:
        cursor.cursor.execute(statements, prepare=False)  # several at once cannot be prepared
        return cursor.fetchall() if cursor.description else []


def partition_by_week():
    """Partition the tables, without the foreign key of a project: it cannot refer to a partitioned table of tokens."""
    [(name,)] = execute(
        f"SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = '{Footnote._meta.db_table}'::regclass"
    )
    execute(f"ALTER TABLE {Footnote._meta.db_table} DROP CONSTRAINT {name}")
    execute(BY_WEEK)


def partitions(model):
    """Return the partition of each row of a table, the oldest row first."""
    rows = execute(f"SELECT tableoid::regclass::text FROM {model._meta.db_table} ORDER BY created_at, id")
    return [partition for (partition,) in rows]


def drop(partition):
    """Drop a week as the page says: the grants are locked first, as a refresh does it."""
    execute(f"SET CONSTRAINTS ALL IMMEDIATE; LOCK TABLE oauth_refresh_grant; DROP TABLE {partition}")


@pytest.fixture
def weekly_client(user, application, time_machine):
    """A client whose grant started three weeks ago, on partitioned tables, and was refreshed in each week since."""
    partition_by_week()
    time_machine.move_to(NOW - 3 * WEEK, tick=False)
    client = OAuthClient(application, SECRET).start(user=user)
    client.spent = client.refresh_token
    for weeks in (2, 1, 0):
        time_machine.move_to(NOW - weeks * WEEK, tick=False)
        client.rotate()
    return client


@pytest.mark.parametrize("model", TOKENS)
def test_each_row_is_in_the_partition_of_its_week_and_the_newest_is_valid(weekly_client, model):
    assert len(set(partitions(model))) == 4
    assert [row.is_live for row in model.objects.order_by("created_at")] == [False, False, False, True]


def test_week_whose_tokens_all_expired_can_be_dropped_and_reuse_is_still_detected(weekly_client):
    assert RefreshToken.objects.filter(generation=1).aggregate(last=Max("expires_at"))["last"] < NOW
    drop(partitions(RefreshToken)[0])

    weekly_client.rotate()
    answer = weekly_client.refresh(weekly_client.spent)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def test_prune_and_deletion_reach_into_every_partition(weekly_client, user):
    assert prune(retain=timedelta(0)) == Pruned(refresh_tokens=2, access_tokens=3)
    assert [len(partitions(model)) for model in TOKENS] == [2, 1]

    user.delete()

    assert [partitions(model) for model in TOKENS] == [[], []]


def test_family_cannot_be_forked_within_a_week(weekly_client):
    with pytest.raises(IntegrityError), transaction.atomic():
        RefreshTokenFactory(grant=weekly_client.grant, generation=4, created_at=NOW)


def test_grants_partitioned_by_a_hash_of_their_key_work_as_usual():
    execute(GRANTS_BY_HASH)
    partition_by_week()
    user, application = UserFactory(), ApplicationFactory(raw_secret=SECRET)
    clients = [OAuthClient(application, SECRET).start(user=user) for _turn in range(20)]
    first, *others = clients
    spent = first.refresh_token

    for client in clients:
        client.rotate()
    assert first.refresh(spent).status_code == 400

    assert len(set(partitions(Grant))) > 1
    assert [grant.is_live for grant in Grant.objects.order_by("pk")] == [False] + [True] * len(others)
    assert revoke_grants(Q(user=user), reason="lost device").count == len(others)
    user.delete()
    assert not Grant.objects.exists()
