"""Notices of revocations, and the feed that reads them: what a set is reported as, pages, and late commits."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import F, Q
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from oauth_refresh.models import Application, Grant, RevocationNotice
from oauth_refresh.models.revocation_notices import RECENT, DatabaseNow
from oauth_refresh.services import prune, revocation_feed, revoke_grant, revoke_grants
from oauth_refresh.services.revocation_feed import PAGE_SIZE
from tests.factories import ApplicationFactory, GrantFactory, RevocationNoticeFactory, UserFactory
from tests.feed import FeedReader
from tests.interference import error_after_insert
from tests.waiting import LONGEST_SECONDS

pytestmark = pytest.mark.django_db
EVERY_GRANT = Q(pk__gt=0)


@pytest.fixture
def reader():
    return FeedReader()


def entries():
    return [notice.entry for notice in RevocationNotice.objects.order_by("pk")]


def named(grants):
    return sorted(({"grant_id": str(grant.public_id)} for grant in grants), key=str)


SELECTORS = {
    "user": lambda grant: (Q(user=grant.user), {"sub": str(grant.user.pk)}),
    "key of a user": lambda grant: (Q(user=grant.user.pk), {"sub": str(grant.user.pk)}),
    "key of a user, as text": lambda grant: (Q(user=str(grant.user.pk)), {"sub": str(grant.user.pk)}),
    "application": lambda grant: (Q(application=grant.application), {"client_id": grant.application.client_id}),
    "key of an application": lambda grant: (
        Q(application=grant.application.pk),
        {"client_id": grant.application.client_id},
    ),
}


@pytest.mark.parametrize("case", SELECTORS.values(), ids=SELECTORS)
def test_set_of_one_owner_is_one_notice(case):
    grant = GrantFactory()
    GrantFactory.create_batch(2, user=grant.user, application=grant.application)
    selector, entry = case(grant)

    assert revoke_grants(selector, reason="breach").count == 3
    assert entries() == [entry]


NAMED = {
    "a user at an application": lambda grant: Q(user=grant.user, application=grant.application),
    "not of a user": lambda grant: ~Q(user=UserFactory()),
    "of no user": lambda grant: Q(user=None) | Q(pk=grant.pk),
    "without a user": lambda grant: Q(Q(pk=grant.pk)),
    "users by a query": lambda grant: Q(user=get_user_model().objects.filter(pk=grant.user.pk)[:1]),
    "a column": lambda grant: Q(pk=F("pk")),
}


@pytest.mark.parametrize("selector", NAMED.values(), ids=NAMED)
def test_grants_of_another_set_are_named(selector):
    grant = GrantFactory()

    revoke_grants(selector(grant), reason="breach")

    assert entries() == named([grant])


@pytest.mark.parametrize(("count", "expected"), [(100, "named"), (101, "everything")])
def test_more_than_a_hundred_grants_are_reported_as_everything(count, expected):
    user, application = UserFactory(), ApplicationFactory()
    grants = GrantFactory.create_batch(count, user=user, application=application)

    revoke_grants(EVERY_GRANT, reason="breach")

    assert sorted(entries(), key=str) == (named(grants) if expected == "named" else [{"all": True}])


def test_set_that_holds_no_grant_writes_no_notice():
    GrantFactory(revoked=True)

    revoke_grants(EVERY_GRANT, reason="breach")

    assert entries() == []


@pytest.mark.django_db(transaction=True)
def test_revocation_that_is_undone_leaves_no_notice():
    grant = GrantFactory()

    with transaction.atomic():
        revoke_grant(grant, reason="lost device")
        transaction.set_rollback(True)

    assert entries() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "revoke",
    [lambda grant: revoke_grant(grant, reason="x"), lambda grant: revoke_grants(Q(pk=grant.pk), reason="x")],
    ids=["one", "set"],
)
def test_revocation_whose_notice_cannot_be_written_is_undone(revoke):
    grant = GrantFactory()

    with error_after_insert(RevocationNotice), pytest.raises(LookupError):
        revoke(grant)

    assert Grant.objects.get().revoked_at is None
    assert entries() == []


@pytest.mark.django_db(transaction=True)
def test_transaction_of_the_project_cannot_keep_a_revocation_without_its_notice():
    grant = GrantFactory()

    with transaction.atomic(), error_after_insert(RevocationNotice), pytest.raises(LookupError):
        revoke_grant(grant, reason="lost device")

    assert Grant.objects.get().revoked_at is None


@pytest.mark.parametrize(
    "columns",
    [
        {"grant_id": None},
        {"sub": "42"},
        {"client_id": "notes"},
        {"everything": True},
        {"grant_id": None, "sub": "42", "client_id": "notes"},
    ],
)
def test_notice_names_exactly_one_thing(columns):
    with pytest.raises(IntegrityError), transaction.atomic():
        RevocationNoticeFactory(**columns)


def test_notice_says_what_it_names():
    named_grant = RevocationNoticeFactory()

    assert str(named_grant) == str({"grant_id": str(named_grant.grant_id)})


def test_notice_has_the_time_of_the_database(time_machine):
    """A web server whose clock is wrong would otherwise hide what others commit late."""
    time_machine.move_to("2001-01-01")
    revoke_grant(GrantFactory(), reason="lost device")

    assert not RevocationNotice.objects.settled().exists()
    assert RevocationNotice.objects.get().created_at - timezone.now() > timedelta(days=365)


def write_notices(count, **columns):
    columns = {"created_at": DatabaseNow(), "client_id": "notes", **columns}
    RevocationNotice.objects.bulk_create(RevocationNotice(**columns) for _number in range(count))


def let_time_pass(seconds):
    RevocationNotice.objects.update(created_at=F("created_at") - timedelta(seconds=seconds))


def test_recent_notices_are_sent_again_until_they_are_settled(reader):
    write_notices(3)

    assert [len(reader.read()) for _turn in range(2)] == [3, 3]
    let_time_pass(11)
    assert [len(reader.read()) for _turn in range(2)] == [3, 0]


def test_pages_come_to_an_end_although_all_notices_are_recent(reader):
    write_notices(2 * PAGE_SIZE + 500)

    assert len(reader.read()) == 2 * PAGE_SIZE + 500
    assert reader.pages == 3
    assert len(reader.read()) == 2 * PAGE_SIZE + 500
    let_time_pass(11)
    assert [len(reader.read()) for _turn in range(2)] == [2 * PAGE_SIZE + 500, 0]


def test_full_page_is_the_last_one_if_nothing_follows(reader):
    write_notices(PAGE_SIZE)

    assert reader.page()["more"] is False


@pytest.mark.parametrize("settled", [0, PAGE_SIZE // 2, PAGE_SIZE])
def test_notice_that_is_committed_between_two_pages_is_delivered(reader, settled):
    write_notices(settled, created_at=timezone.now() - timedelta(minutes=1))
    late = RevocationNoticeFactory(client_id="late", grant_id=None)
    RevocationNotice.objects.filter(pk=late.pk).delete()
    write_notices(2 * PAGE_SIZE)
    assert reader.page()["more"] is True
    late.save(force_insert=True)

    let_time_pass(11)  # what is read now looks settled; what was read before was not

    assert {"client_id": "late"} in reader.read() + reader.read()


def test_two_readers_with_one_credential_do_not_disturb_each_other(reader):
    other = FeedReader(authorization="")
    other.authorization = reader.authorization
    write_notices(PAGE_SIZE + 1)
    reader.page()

    assert len(other.read()) == PAGE_SIZE + 1
    assert len(reader.read()) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
@pytest.mark.parametrize("commits", [True, False], ids=["committed", "rolled back"])
def test_revocation_that_commits_after_later_ones_is_delivered(commits):
    reader, first, second = FeedReader(), GrantFactory(), GrantFactory()

    with revoked_in_an_open_transaction(first, commits=commits):
        revoke_grant(second, reason="lost device")
        seen = reader.read()

    assert seen == named([second])
    assert sorted(reader.read(), key=str) == named([first, second] if commits else [second])


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_revocation_that_commits_behind_thousands_of_later_ones_is_delivered():
    reader, first = FeedReader(), GrantFactory()

    with revoked_in_an_open_transaction(first, commits=True):
        write_notices(2 * PAGE_SIZE)
        seen = reader.page()["revocations"]
    rest = reader.read()

    assert named([first])[0] not in seen + rest
    assert named([first])[0] in reader.read()


@contextmanager
def revoked_in_an_open_transaction(grant, *, commits):
    """Revoke in another connection, whose transaction ends after the block."""
    revoked, may_end = Event(), Event()

    def revoke():
        try:
            with transaction.atomic():
                revoke_grant(grant, reason="lost device")
                revoked.set()
                assert may_end.wait(LONGEST_SECONDS)
                transaction.set_rollback(not commits)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(revoke)
        assert revoked.wait(LONGEST_SECONDS)
        try:
            yield
        finally:
            may_end.set()
            ended.result(LONGEST_SECONDS)


class World:
    """Revocations that begin, commit and are read in any order; numbers are taken when they begin."""

    def __init__(self):
        RevocationNotice.objects.all().delete()
        RevocationNoticeFactory(settled=True)
        self.reader = FeedReader()
        self.next_key = RevocationNotice.objects.latest("pk").pk + 1
        self.open, self.committed, self.sent = {}, set(), set()

    def begin(self):
        self.open[self.next_key] = 0
        self.next_key += 1

    def commit(self, which):
        if self.open:
            key = sorted(self.open)[which % len(self.open)]
            age = timedelta(seconds=self.open.pop(key))
            RevocationNotice.objects.bulk_create(
                [RevocationNotice(pk=key, sub=str(key), created_at=timezone.now() - age)]
            )
            self.committed.add(str(key))

    def wait(self, seconds):
        """Let time pass; what would be open for too long is rolled back."""
        let_time_pass(seconds)
        ages = {key: age + seconds for key, age in self.open.items()}
        self.open = {key: age for key, age in ages.items() if age < RECENT.total_seconds() - 1}

    def page(self):
        body = self.reader.page()
        self.sent |= {entry["sub"] for entry in body["revocations"]}
        return body


STEPS = st.one_of(
    st.tuples(st.just("begin")),
    st.tuples(st.just("commit"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.sampled_from([1, 4, 11])),
    st.tuples(st.just("page")),
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=10, max_size=60))
def test_every_committed_notice_is_sent_in_any_order_of_events(monkeypatch, steps):
    monkeypatch.setattr(revocation_feed, "PAGE_SIZE", 2)
    world = World()

    for name, *arguments in steps:
        getattr(world, name)(*arguments)
    while world.page()["more"]:
        pass
    while world.page()["more"]:  # the pass that may have begun before the last commits is over
        pass

    assert world.sent >= world.committed
    world.wait(11)
    world.reader.read()
    assert world.reader.read() == []


def test_prune_deletes_notices_that_are_older_than_a_day_except_the_newest():
    ages = [timedelta(days=3), timedelta(days=1, minutes=1), timedelta(hours=23)]
    old, older_than_a_day, young = (RevocationNoticeFactory(created_at=timezone.now() - age) for age in ages)

    assert prune(retain=timedelta(days=90)).revocation_notices == 2
    assert list(RevocationNotice.objects.all()) == [young]
    RevocationNotice.objects.update(created_at=timezone.now() - timedelta(days=90))
    assert prune(retain=timedelta(0), batch_size=1).revocation_notices == 0
    assert old.pk < older_than_a_day.pk < young.pk


def test_notices_are_pruned_in_batches():
    RevocationNoticeFactory.create_batch(5, created_at=timezone.now() - timedelta(days=2))

    assert prune(batch_size=2).revocation_notices == 4


def test_set_of_thousands_is_revoked_by_as_many_statements_as_one_of_a_few(django_assert_num_queries):
    application, user = ApplicationFactory(), UserFactory()
    for count in (200, 3_000):
        Grant.objects.bulk_create(GrantFactory.build(application=application, user=user) for _number in range(count))
        with django_assert_num_queries(2 if connection.in_atomic_block else 4):
            assert revoke_grants(EVERY_GRANT, reason="breach").count == count

    assert entries() == [{"all": True}] * 2
    assert Application.objects.count() == 1


def test_time_of_mariadb_is_read_in_utc_whatever_the_zone_of_the_session():
    sql, _parameters = DatabaseNow().as_mysql(None, connection)

    assert sql == "UTC_TIMESTAMP(6)"
