"""Sessions live, rotate and die as usual on partitioned tables, as docs/scaling.md says."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Max, Q

from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.services import Pruned, prune, revoke_grants
from tests.conftest import SECRET
from tests.factories import ApplicationFactory, RefreshTokenFactory, UserFactory
from tests.flows.server import ROOT
from tests.members.models import Footnote
from tests.oauth import OAuthClient

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
    """Run them inside the transaction of the test, which takes them back."""
    with connection.cursor() as cursor:
        cursor.cursor.execute(statements, prepare=False)  # several at once cannot be prepared
        return cursor.fetchall() if cursor.description else []


def partition_by_week():
    """Do without the foreign key of a project's, which cannot refer to a partitioned table of tokens."""
    [(name,)] = execute(
        f"SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = '{Footnote._meta.db_table}'::regclass"
    )
    execute(f"ALTER TABLE {Footnote._meta.db_table} DROP CONSTRAINT {name}")
    execute(BY_WEEK)


def partitions(model):
    """Return the partition that each row of a table lies in, the oldest row first."""
    rows = execute(f"SELECT tableoid::regclass::text FROM {model._meta.db_table} ORDER BY created_at, id")
    return [partition for (partition,) in rows]


def drop(partition):
    """Drop a week as the page says: the grants are locked first, as a refresh does it."""
    execute(f"SET CONSTRAINTS ALL IMMEDIATE; LOCK TABLE oauth_refresh_grant; DROP TABLE {partition}")


@pytest.fixture
def session(user, application, time_machine):
    """A session that began three weeks ago, on partitioned tables, and was refreshed in each week since."""
    partition_by_week()
    time_machine.move_to(NOW - 3 * WEEK, tick=False)
    client = OAuthClient(application, SECRET).start(user=user)
    client.spent = client.refresh_token
    for weeks in (2, 1, 0):
        time_machine.move_to(NOW - weeks * WEEK, tick=False)
        client.rotate()
    return client


@pytest.mark.parametrize("model", TOKENS)
def test_each_row_lies_in_the_partition_of_its_week_and_the_newest_lives(session, model):
    assert len(set(partitions(model))) == 4
    assert [row.is_live for row in model.objects.order_by("created_at")] == [False, False, False, True]


def test_week_of_which_every_token_has_expired_can_be_dropped_and_a_replay_still_sounds_the_alarm(session):
    assert RefreshToken.objects.filter(generation=1).aggregate(last=Max("expires_at"))["last"] < NOW
    drop(partitions(RefreshToken)[0])

    session.rotate()
    answer = session.refresh(session.spent)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def test_prune_and_deletion_reach_into_every_partition(session, user):
    assert prune(retain=timedelta(0)) == Pruned(refresh_tokens=2, access_tokens=3)
    assert [len(partitions(model)) for model in TOKENS] == [2, 1]

    user.delete()

    assert [partitions(model) for model in TOKENS] == [[], []]


def test_family_cannot_be_forked_within_a_week(session):
    with pytest.raises(IntegrityError), transaction.atomic():
        RefreshTokenFactory(grant=session.grant, generation=4, created_at=NOW)


def test_grants_spread_by_a_hash_of_their_key_live_and_die_as_usual():
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
