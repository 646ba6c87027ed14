"""Statements that are compiled once do what the ORM would, with any values and as often as one likes."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken
from oauth_refresh.services.compiled import ConditionalUpdate, Lookup, insert
from oauth_refresh.services.lookup import find_access_token
from tests.factories import AccessTokenFactory, ApplicationFactory, GrantFactory, RefreshTokenFactory
from tests.interference import heard
from tests.jwts import EC_KEY, jwks

pytestmark = pytest.mark.django_db

RELATED = ("grant", "grant__user", "grant__application")


def columns(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.fixture
def grant():
    """A grant with something in every column."""
    application = ApplicationFactory(
        jwks=jwks(EC_KEY), access_token_lifetime=timedelta(minutes=5), rotate_refresh_tokens=True
    )
    return GrantFactory(
        application=application, refreshed=True, revoked=True, retry_salt=b"\x00\xff" * 16, address="2001:db8::1"
    )


@pytest.mark.parametrize("factory", [RefreshTokenFactory, AccessTokenFactory])
def test_row_that_was_looked_up_is_the_one_that_the_orm_reads(grant, factory):
    stored = factory(grant=grant)
    model = type(stored)
    expected = model.objects.select_related(*RELATED).get()

    found = Lookup(model, by="digest", related=RELATED).find(stored.digest)

    pairs = [
        (found, expected),
        (found.grant, expected.grant),
        (found.grant.user, expected.grant.user),
        (found.grant.application, expected.grant.application),
    ]
    for one, other in pairs:
        assert (one, columns(one), one._state.db, one._state.adding) == (other, columns(other), "default", False)


def test_look_up_costs_one_statement_with_all_that_it_leads_to(grant):
    token = RefreshTokenFactory(grant=grant)

    with CaptureQueriesContext(connection) as queries:
        found = Lookup(RefreshToken, by="digest", related=RELATED).find(token.digest)
        read = (found.grant.user.username, found.grant.application.name)

    assert read == (grant.user.username, grant.application.name)
    assert len(queries) == 1


def test_same_look_up_finds_one_row_after_another():
    lookup = Lookup(Application, by="client_id")
    first, second = ApplicationFactory.create_batch(2)

    assert [lookup.find(text) for text in (first.client_id, second.client_id, "nobody", first.client_id)] == [
        first,
        second,
        None,
        first,
    ]


def test_row_that_an_outer_join_does_not_find_is_none():
    token = RefreshTokenFactory(grant__without_user=True)

    found = Lookup(RefreshToken, by="digest", related=("grant", "grant__user")).find(token.digest)

    assert (found.grant.pk, found.grant.user) == (token.grant.pk, None)


def test_unused_columns_stay_in_the_database_until_they_are_asked_for(grant):
    raw = "oat_" + "A" * 43
    AccessTokenFactory(grant=grant, raw=raw)

    found = find_access_token(raw)

    assert found.grant.get_deferred_fields() == {"address", "mac_key", "retry_salt", "revoked_reason", "user_agent"}
    assert (found.grant.address, bytes(found.grant.retry_salt)) == ("2001:db8::1", b"\x00\xff" * 16)


@pytest.mark.parametrize("salt", [None, b"\x00\xff" * 16])
def test_row_is_written_while_it_is_as_it_was_read(salt):
    update = ConditionalUpdate(Grant.objects.unrevoked, unchanged=("id", "generation"))
    now = timezone.now()
    for grant in GrantFactory.create_batch(2):
        other = columns(Grant.objects.exclude(pk=grant.pk).first())

        assert update.run(grant, {"generation": 2, "retry_salt": salt, "refreshed_at": now})

        written = Grant.objects.get(pk=grant.pk)
        assert columns(written) == columns(grant) | {"generation": 2, "retry_salt": salt, "refreshed_at": now}
        assert columns(Grant.objects.exclude(pk=grant.pk).first()) == other


def test_null_is_written_over_a_value_and_a_value_over_null():
    update = ConditionalUpdate(Grant.objects.all, unchanged=("id",))
    grant = GrantFactory()

    stored = []
    for salt in (b"s" * 32, None, b"t" * 32):
        update.run(grant, {"retry_salt": salt})
        stored.append(Grant.objects.values_list("retry_salt", flat=True).get())

    assert [salt and bytes(salt) for salt in stored] == [b"s" * 32, None, b"t" * 32]


@pytest.mark.parametrize("change", [{"generation": 5}, {"revoked_at": timezone.now(), "revoked_reason": "lost"}])
def test_row_that_somebody_changed_is_left_as_it_is(change):
    update = ConditionalUpdate(Grant.objects.unrevoked, unchanged=("id", "generation"))
    grant = GrantFactory()
    Grant.objects.update(**change)

    assert not update.run(grant, {"generation": 2})
    assert Grant.objects.values(*change).get() == change


@pytest.mark.parametrize("factory", [RefreshTokenFactory, AccessTokenFactory])
def test_inserted_row_is_the_one_that_would_be_saved(grant, factory):
    for generation in (1, 2):
        row = factory.build(grant=grant, generation=generation)

        insert(row)

        stored = type(row).objects.get(generation=generation)
        assert columns(stored) == columns(row) | {"id": stored.pk}


@pytest.mark.parametrize("signal", [pre_save, post_save])
def test_insert_costs_one_statement_and_tells_nobody(grant, signal):
    row = AccessTokenFactory.build(grant=grant)

    with heard(signal) as told, CaptureQueriesContext(connection) as queries:
        insert(row)

    assert (told, len(queries), AccessToken.objects.count()) == ([], 1, 1)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL keeps what is prepared")
def test_statement_is_prepared_where_the_settings_ask_for_it(grant):
    stored = RefreshTokenFactory(grant=grant)
    look_up = Lookup(RefreshToken, by="digest").find
    for _time in range(3):
        look_up(stored.digest)

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT \"oauth_refresh_%'")
        [prepared] = cursor.fetchone()
    assert bool(prepared) is ("prepare_threshold" in connection.settings_dict["OPTIONS"])
