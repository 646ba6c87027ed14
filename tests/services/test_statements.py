"""The SQL of a refresh on PostgreSQL stores and reads what the ORM would."""

from datetime import UTC, datetime
from http import HTTPStatus

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, DataError, connection, connections
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from oauth_refresh.errors import ConcurrentChange
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.services import statements
from oauth_refresh.services.tokens import Access, make_pair
from tests.database import database_snapshot
from tests.factories import AccessTokenFactory, GrantFactory, RefreshTokenFactory
from tests.members.models import Member, StaffUser

only_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="another database has no such statement")
pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)
CALLERS = {
    "IPv4": ClientInfo(address="192.0.2.7", user_agent="client/1"),
    "IPv6": ClientInfo(address="2001:db8::1", user_agent="Ünïcode ✓"),
    "nothing recorded": ClientInfo(),
    "text that is no SQL": ClientInfo(user_agent="'; DROP TABLE users; -- %s %(a)s {0} \\"),
}
COLUMNS = {
    "generation": 2,
    "access_floor": 2,
    "refreshed_at": NOW,
    "idle_expires_at": datetime(2026, 2, 1, tzinfo=UTC),
    "retry_slots": b"\x00\xff'\\%s",
    "retries": 0,
}


def values(model: type[Model]) -> list[dict]:
    """Return all rows, without the keys that the database makes, which differ."""
    rows = model.objects.order_by("pk").values()
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


def pair_of(grant, client_info, *, refreshable=True):
    advanced = statements.with_columns(grant, COLUMNS)
    access = Access(scope=("notes:read",))
    return make_pair(advanced, access=access, now=NOW, client_info=client_info, refreshable=refreshable).rows


@pytest.fixture
def grant(db):
    return GrantFactory(created_at=datetime(2025, 12, 1, tzinfo=UTC), idle_expires_at=datetime(2026, 1, 8, tzinfo=UTC))


@only_postgresql
@pytest.mark.parametrize("refreshable", [True, False], ids=["pair", "access token alone"])
@pytest.mark.parametrize("client_info", CALLERS.values(), ids=CALLERS)
def test_one_statement_stores_what_the_orm_would(grant, client_info, refreshable):
    rows = pair_of(grant, client_info, refreshable=refreshable)
    models = (Grant, RefreshToken, AccessToken)
    assert statements._advance(grant, COLUMNS, rows)
    by_the_orm = [values(model) for model in models]
    for model in (RefreshToken, AccessToken):
        model.objects.all().delete()
    Grant.objects.update(**{name: getattr(grant, name) for name in COLUMNS})
    for row in rows:
        row.pk = None

    statements.advance_grant(grant, COLUMNS, rows=rows)

    assert [values(model) for model in models] == by_the_orm


@pytest.mark.parametrize(
    "change",
    [{"generation": 2}, {"revoked_at": NOW, "revoked_reason": "lost device"}],
    ids=["advanced", "revoked"],
)
def test_nothing_is_written_for_a_grant_that_was_changed_meanwhile(grant, change):
    Grant.objects.update(**change)
    before = database_snapshot()

    with pytest.raises(ConcurrentChange):
        statements.advance_grant(grant, COLUMNS, rows=pair_of(grant, ClientInfo()))

    assert database_snapshot() == before
    assert not statements._advance(grant, COLUMNS, pair_of(grant, ClientInfo()))
    assert database_snapshot() == before


@only_postgresql
def test_text_that_is_too_long_is_refused_and_not_cut_off(grant):
    [refresh_token, access_token] = pair_of(grant, ClientInfo(user_agent="x" * 256))

    with pytest.raises(DataError):
        statements.advance_grant(grant, COLUMNS, rows=[refresh_token, access_token])


@only_postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [Grant, RefreshToken, AccessToken])
def test_trigger_that_refuses_one_of_the_three_writes_leaves_nothing(client_app, model):
    before = database_snapshot()
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE 'refused'; END $$ LANGUAGE plpgsql")
        cursor.execute(f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION refuse()")

    try:
        with pytest.raises(DatabaseError):
            statements.advance_grant(client_app.grant, COLUMNS, rows=pair_of(client_app.grant, ClientInfo()))
        response = client_app.refresh()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER refuse ON {table}")
            cursor.execute("DROP FUNCTION refuse()")

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert database_snapshot() == before
    assert client_app.refresh().status_code == HTTPStatus.OK


def loaded(row: Model) -> dict:
    """Return the columns of a row that were read."""
    return {
        field.attname: vars(row)[field.attname] for field in row._meta.concrete_fields if field.attname in vars(row)
    }


@pytest.mark.parametrize("factory", [RefreshTokenFactory, AccessTokenFactory])
def test_look_up_reads_what_the_orm_would(factory, django_assert_num_queries):
    token = factory()
    factory()
    model = type(token)
    expected = model.objects.select_related("grant__application", "grant__user").get(pk=token.pk)

    with django_assert_num_queries(1):
        found = statements.find_by_digest(model, token.digest)
        chain = [found, found.grant, found.grant.application, found.grant.user]

    assert [loaded(row) for row in chain] == [
        loaded(row) for row in (expected, expected.grant, expected.grant.application, expected.grant.user)
    ]
    assert {(row._state.db, row._state.adding) for row in chain} == {("default", False)}
    assert found.grant.application.jwks == expected.grant.application.jwks


def test_look_up_leaves_columns_that_are_not_asked_for_until_they_are(django_assert_num_queries):
    token = AccessTokenFactory()

    with django_assert_num_queries(1):
        found = statements.find_by_digest(AccessToken, token.digest, unused=("grant__mac_key", "digest"))

    assert {"mac_key", "digest"}.isdisjoint({*loaded(found), *loaded(found.grant)})
    with django_assert_num_queries(2):
        assert (found.digest, bytes(found.grant.mac_key)) == (token.digest, bytes(token.grant.mac_key))


def test_look_up_of_a_grant_without_a_user_has_none():
    token = AccessTokenFactory(grant__user=None, grant__grant_type="client_credentials")

    assert statements.find_by_digest(AccessToken, token.digest).grant.user is None


def test_look_up_of_an_unknown_digest_finds_nothing(db):
    assert statements.find_by_digest(RefreshToken, "0" * 64) is None


def test_look_up_reads_json_columns_as_the_orm_does(db):
    keys = {"keys": [{"kty": "EC"}]}
    token = RefreshTokenFactory(grant__application__jwks=keys)

    assert statements.find_by_digest(RefreshToken, token.digest).grant.application.jwks == keys


@pytest.mark.parametrize(("model", "plain"), [(User, True), (StaffUser, True), (Member, False)])
def test_user_model_with_columns_in_two_tables_is_left_to_the_orm(model, plain):
    assert statements._has_plain_columns(model) is plain


def test_orm_reads_the_user_where_the_columns_are_not_plain(monkeypatch, django_assert_num_queries):
    token = RefreshTokenFactory()
    monkeypatch.setattr(statements, "_has_plain_columns", lambda model: False)

    with django_assert_num_queries(1):
        found = statements.find_by_digest(RefreshToken, token.digest)
        assert (found, found.grant.user) == (token, token.grant.user)


@pytest.fixture
def tokens_elsewhere(settings):
    """Open a second connection to the database under test, by the name that a router gives to the app's tables."""
    settings.DATABASE_ROUTERS = ["tests.routers.TokensElsewhere"]
    connections["tokens"] = type(connections["default"])(connection.settings_dict, alias="tokens")
    yield connections["tokens"]
    connections["tokens"].close()
    if connection.vendor == "postgresql":
        connections["tokens"].close_pool()  # its connections would keep the database from being dropped
    del connections["tokens"]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a database in memory has one connection")
@pytest.mark.django_db(transaction=True)
def test_refresh_is_made_in_the_database_that_the_router_names(client_app, tokens_elsewhere):
    with CaptureQueriesContext(connection) as elsewhere, CaptureQueriesContext(tokens_elsewhere) as here:
        response = client_app.refresh()

    assert response.status_code == HTTPStatus.OK
    assert (len(elsewhere), len(here)) == (0, 2 if connection.vendor == "postgresql" else 6)
