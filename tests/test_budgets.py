"""What each operation may cost in statements, BEGIN and COMMIT included, and in rows written."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from oauth_refresh.models import AccessToken, Grant, RefreshToken, RevocationNotice
from oauth_refresh.services import issue_tokens, prune, revoke_grant, revoke_grants
from oauth_refresh.signals import refresh_token_exchanged
from tests.factories import (
    SECRET,
    AccessTokenFactory,
    ApplicationFactory,
    GrantFactory,
    RefreshTokenFactory,
    RevocationNoticeFactory,
)
from tests.feed import FeedReader
from tests.foreign import ACCESS, CURRENT, move_in
from tests.interference import run_after_token_lookup
from tests.oauth import OAuthClient, post_form
from tests.queries import statements, written
from tests.signals import connected

pytestmark = pytest.mark.django_db(transaction=True)


class ForbiddenHasher(MD5PasswordHasher):
    """A password hasher that must not be called."""

    def encode(self, password, salt):
        raise AssertionError

    def verify(self, password, encoded):
        raise AssertionError


BY_ONE_STATEMENT = ["WITH grant"]
BY_THREE = ["BEGIN", "UPDATE grant", "INSERT refreshtoken", "INSERT accesstoken", "COMMIT"]
REVOCATION = ["BEGIN", "UPDATE grant", "INSERT revocationnotice", "COMMIT"]
ROTATION = BY_ONE_STATEMENT if connection.vendor == "postgresql" else BY_THREE
"""How a refresh is written: PostgreSQL has one statement for it, which is a transaction of its own."""


@pytest.fixture
def queries():
    return CaptureQueriesContext(connection)


def test_refresh_costs_two_statements_on_postgresql_and_six_elsewhere(client_app, queries):
    with queries:
        client_app.rotate()

    assert statements(queries) == ["SELECT refreshtoken", *ROTATION]


def test_refresh_with_a_receiver_of_the_project_is_one_transaction(client_app, queries):
    with connected(refresh_token_exchanged, lambda **kwargs: None), queries:
        client_app.rotate()

    assert statements(queries) == [
        "SELECT refreshtoken",
        *(["BEGIN", "WITH grant", "COMMIT"] if ROTATION == BY_ONE_STATEMENT else BY_THREE),
    ]


def test_refresh_that_names_another_client_costs_one_statement_more(client_app, queries):
    other = OAuthClient(ApplicationFactory(raw_secret=SECRET), SECRET)

    with queries:
        response = other.refresh(client_app.refresh_token)

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert statements(queries) == ["SELECT refreshtoken", "SELECT application"]


def test_noise_at_the_token_endpoint_costs_the_look_up_of_its_client_alone(client_app, queries):
    with queries:
        client_app.refresh("nonsense")

    assert statements(queries) == ["SELECT application"]


def test_first_refresh_with_a_token_of_another_server_costs_no_more(other_server, application, user, queries):
    move_in(application, user)
    client = OAuthClient(application, SECRET, refresh_token=CURRENT)

    with queries:
        client.rotate()

    assert statements(queries) == ["SELECT refreshtoken", *ROTATION]


def test_refresh_costs_no_more_while_tokens_of_another_server_are_accepted(other_server, client_app, queries):
    with queries:
        client_app.rotate()

    assert statements(queries) == ["SELECT refreshtoken", *ROTATION]


def test_noise_costs_three_look_ups_more_while_tokens_of_another_server_are_accepted(other_server, client_app, queries):
    """Before the client is authenticated, then once more, and after the importers were asked."""
    with queries:
        client_app.refresh("nonsense")

    assert statements(queries) == ["SELECT refreshtoken", "SELECT application", *["SELECT refreshtoken"] * 2]


def test_refresh_reads_token_grant_user_and_application_by_one_statement(client_app, queries):
    with queries:
        client_app.rotate()

    joined = queries.captured_queries[0]["sql"]
    tables = ("oauth_refresh_refreshtoken", "oauth_refresh_grant", "auth_user", "oauth_refresh_application")
    assert all(table in joined for table in tables)


def test_refresh_by_a_public_client_costs_no_more(public_client, queries):
    with queries:
        public_client.rotate()

    assert statements(queries) == ["SELECT refreshtoken", *ROTATION]


def test_later_refresh_costs_what_the_first_did(client_app, queries):
    for _turn in range(5):
        client_app.rotate()

    with queries:
        client_app.rotate()

    assert statements(queries) == ["SELECT refreshtoken", *ROTATION]


def test_refresh_writes_three_rows(client_app, queries):
    others = [GrantFactory(application=client_app.application, user=client_app.grant.user), GrantFactory()]
    before = list(Grant.objects.exclude(pk=client_app.grant.pk).order_by("pk").values())

    with queries:
        client_app.rotate()

    assert written(queries) == [one for one in ROTATION if one not in {"BEGIN", "COMMIT"}]
    assert (RefreshToken.objects.count(), AccessToken.objects.count()) == (2, 2)
    assert list(Grant.objects.filter(pk__in=[grant.pk for grant in others]).order_by("pk").values()) == before


def test_refresh_without_rotation_costs_no_more(client_app, application, queries):
    type(application).objects.update(rotate_refresh_tokens=False)

    with queries:
        client_app.rotate()

    assert statements(queries) == [
        "SELECT refreshtoken",
        *[statement for statement in ROTATION if statement != "INSERT refreshtoken"],
    ]


def test_refresh_asks_no_password_hasher(settings, client_app):
    settings.PASSWORD_HASHERS = ["tests.test_budgets.ForbiddenHasher"]

    client_app.rotate()


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_revocation_by_the_client_costs_six_statements(client_app, queries, kind):
    token = getattr(client_app, kind)

    with queries:
        client_app.revoke(token)

    assert statements(queries) == ["SELECT application", f"SELECT {kind.replace('_', '')}", *REVOCATION]


@pytest.mark.parametrize("public", [False, True], ids=["confidential", "public"])
def test_start_of_a_grant_costs_seven_statements(user, queries, public):
    application = ApplicationFactory(raw_secret=SECRET, public=public)

    with queries:
        issue_tokens(application, user=user, grant_type="password")

    assert statements(queries) == [
        "BEGIN",
        "SELECT application",
        "SELECT",  # the user
        "INSERT grant",
        "INSERT refreshtoken",
        "INSERT accesstoken",
        "COMMIT",
    ]


@pytest.mark.parametrize("view", ["notes", "plain", "plain_async", "plain_class"])
def test_authenticated_request_of_an_api_costs_one_statement(client_app, queries, view):
    with queries:
        response = Client().get(reverse(view), headers={"Authorization": f"Bearer {client_app.access_token}"})

    assert response.status_code == HTTPStatus.OK
    assert statements(queries) == ["SELECT accesstoken"]


def test_access_token_of_another_server_costs_an_api_one_statement(other_server, application, user, queries):
    move_in(application, user)

    with queries:
        response = Client().get(reverse("notes"), headers={"Authorization": f"Bearer {ACCESS}"})

    assert response.status_code == HTTPStatus.OK
    assert statements(queries) == ["SELECT accesstoken"]


@pytest.mark.parametrize("raw", ["oat_short", "ort_" + "A" * 92, "a b", "x" * 4_097, "a\x00b"])
def test_what_is_no_token_costs_an_api_nothing_while_those_of_another_server_are_accepted(other_server, queries, raw):
    with queries:
        Client().get(reverse("notes"), headers={"Authorization": f"Bearer {raw}"})

    assert statements(queries) == []


@pytest.mark.parametrize("raw", ["garbage", "oat_short", "ort_" + "A" * 92, "a b"])
def test_malformed_token_at_an_api_costs_nothing(client_app, queries, raw):
    with queries:
        Client().get(reverse("notes"), headers={"Authorization": f"Bearer {raw}"})

    assert statements(queries) == []


def test_api_reads_no_secret_and_no_long_column(client_app, queries):
    with queries:
        Client().get(reverse("notes"), headers={"Authorization": f"Bearer {client_app.access_token}"})

    columns = queries.captured_queries[0]["sql"].partition(" FROM ")[0]
    unused = ("mac_key", "secret_digest", "jwks", "redirect_uris", '"digest"', "user_agent")
    assert not [name for name in unused if name in columns]


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_introspection_costs_two_statements(client_app, queries, kind):
    raw = getattr(client_app, kind)

    with queries:
        response = post_form("introspect", {"token": raw}, authorization=client_app.authorization)

    assert response.json()["active"] is True
    assert statements(queries) == ["SELECT application", f"SELECT {kind.replace('_', '')}"]


def test_revocation_of_an_unknown_token_costs_no_more_than_its_look_up(client_app, queries):
    with queries:
        client_app.revoke("nonsense")

    assert statements(queries) == ["SELECT application"]


def test_reuse_costs_seven_statements(client_app, queries):
    spent = client_app.refresh_token
    client_app.rotate()

    with queries:
        client_app.refresh(spent)

    assert statements(queries) == [
        "SELECT refreshtoken",
        "SELECT refreshtoken",  # the tokens that were issued since: when it was spent, and by whom
        "BEGIN",
        "UPDATE grant",
        "INSERT revocationnotice",
        "INSERT grantevent",
        "COMMIT",
    ]


def test_reuse_of_a_pruned_token_costs_at_most_twelve_statements(client_app, queries):
    spent = client_app.refresh_token
    client_app.rotate()
    RefreshToken.objects.filter(generation=1).delete()

    with queries:
        client_app.refresh(spent)

    assert len(queries) <= 12


def test_retry_after_a_lost_response_costs_seven_statements(settings, oauth_settings, client_app, queries):
    oauth_settings(RETRY_WINDOW=30)
    settings.SECRET_KEY_FALLBACKS = ["an old key", "an older one"]
    predecessor = client_app.refresh_token
    client_app.rotate()

    with queries:
        client_app.refresh(predecessor)

    assert statements(queries) == [
        "SELECT refreshtoken",
        "SELECT refreshtoken",
        "SELECT accesstoken",
        "BEGIN",
        "UPDATE grant",
        "INSERT grantevent",
        "COMMIT",
    ]


def test_refresh_whose_response_may_be_asked_for_again_costs_no_more(oauth_settings, client_app, queries):
    oauth_settings(RETRY_WINDOW=30)

    with queries:
        client_app.rotate()

    assert statements(queries) == ["SELECT refreshtoken", *ROTATION]


def test_losing_a_race_costs_at_most_twelve_statements(client_app, queries):
    winner = CaptureQueriesContext(connection)

    def win():
        with winner:
            client_app.refresh()

    with run_after_token_lookup(win), queries:
        client_app.refresh()

    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert len(queries) - len(winner) <= 12


def test_losing_a_race_inside_the_retry_window_costs_at_most_twelve_statements(oauth_settings, client_app, queries):
    oauth_settings(RETRY_WINDOW=30)
    winner = CaptureQueriesContext(connection)

    def win():
        with winner:
            client_app.refresh()

    with run_after_token_lookup(win), queries:
        response = client_app.refresh()

    assert response.status_code == HTTPStatus.OK
    assert len(queries) - len(winner) <= 12


def test_retry_over_the_limit_costs_two_statements(oauth_settings, client_app, queries):
    oauth_settings(RETRY_WINDOW=30, RETRY_LIMIT=0)
    predecessor = client_app.refresh_token
    client_app.rotate()

    with queries:
        response = client_app.refresh(predecessor)

    assert response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert statements(queries) == ["SELECT refreshtoken", "SELECT refreshtoken"]


def test_refused_retry_costs_at_most_twelve_statements(oauth_settings, client_app, queries):
    oauth_settings(RETRY_WINDOW=30)
    predecessor = client_app.refresh_token
    client_app.rotate()

    with queries:
        response = client_app.refresh(predecessor, scope="notes:read")

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert len(queries) <= 12


def test_token_that_is_eight_refreshes_old_costs_no_more_than_the_last_one(oauth_settings, client_app, queries):
    oauth_settings(RETRY_WINDOW=30)
    oldest = client_app.refresh_token
    for _turn in range(8):
        client_app.rotate()

    with queries:
        response = client_app.refresh(oldest)

    assert response.status_code == HTTPStatus.OK
    assert len(queries) == 7


def test_replaced_access_token_costs_an_api_one_statement(oauth_settings, client_app, queries):
    oauth_settings(RETRY_WINDOW=30)
    replaced = client_app.access_token
    client_app.rotate()

    with queries:
        response = Client().get(reverse("notes"), headers={"Authorization": f"Bearer {replaced}"})

    assert response.status_code == HTTPStatus.OK
    assert statements(queries) == ["SELECT accesstoken"]


def test_family_of_any_size_is_revoked_by_one_update_and_one_notice(client_app, queries):
    AccessTokenFactory.create_batch(20, grant=client_app.grant)

    with queries:
        revoke_grant(client_app.grant, reason="lost device")

    assert statements(queries) == REVOCATION


@pytest.mark.parametrize("owner", ["user", "application"])
def test_everything_of_an_owner_is_revoked_by_one_update_and_one_notice(application, user, queries, owner):
    GrantFactory.create_batch(20, application=application, user=user)

    with queries:
        revocation = revoke_grants(Q(**{owner: {"user": user, "application": application}[owner]}), reason="breach")

    assert revocation.count == 20
    assert statements(queries) == REVOCATION


@pytest.mark.parametrize(("count", "named"), [(100, ["SELECT grant"]), (101, [])])
def test_other_set_costs_one_look_up_more_if_its_grants_are_named(application, user, queries, count, named):
    GrantFactory.create_batch(count, application=application, user=user)

    with queries:
        revoke_grants(Q(grant_type="password"), reason="breach")

    assert statements(queries) == ["BEGIN", "UPDATE grant", *named, "INSERT revocationnotice", "COMMIT"]


@pytest.mark.parametrize("notices", [0, 1, 2_500])
def test_revocations_cost_two_statements(client_app, queries, notices):
    reader = FeedReader()
    RevocationNotice.objects.bulk_create(RevocationNotice(client_id="notes") for _number in range(notices))

    for after in ("", reader.cursor):
        with queries:
            reader.ask(after)
        assert statements(queries) == ["SELECT application", "SELECT revocationnotice"]


def test_reader_that_begins_anew_after_days_costs_three_statements(queries, time_machine):
    RevocationNoticeFactory(settled=True)
    reader = FeedReader()
    RevocationNoticeFactory.create_batch(2)
    RevocationNotice.objects.exclude(pk=RevocationNotice.objects.latest("pk").pk).delete()
    time_machine.move_to(timezone.now() + timedelta(days=2))

    with queries:
        assert reader.ask(reader.cursor)["reset"] is True

    assert statements(queries) == ["SELECT application", "SELECT revocationnotice", "SELECT revocationnotice"]


def test_user_who_is_deactivated_costs_one_update_and_one_notice_more(application, user, queries):
    GrantFactory.create_batch(20, application=application, user=user)
    user.is_active = False

    with queries:
        user.save(update_fields=["is_active"])

    assert statements(queries) == ["UPDATE", *REVOCATION]


def spent_long_ago(count):
    """Create so many spent refresh tokens of one active grant, its current one and its predecessor."""
    long_ago = timezone.now() - timedelta(days=100)
    grant = GrantFactory(generation=count + 2, created_at=long_ago, idle_expires_at=timezone.now() + timedelta(days=1))
    for generation in range(1, count + 3):
        RefreshTokenFactory(grant=grant, generation=generation)


RECORD = ["BEGIN", "INSERT prunerun", "DELETE prunerun", "COMMIT"]
"""The last statements of a prune: what it writes for the overview in the admin."""


def test_batch_of_expired_tokens_is_pruned_by_one_select_and_one_short_transaction(queries):
    spent_long_ago(4)

    with queries:
        prune(batch_size=2)

    page = ["SELECT refreshtoken", "BEGIN", "DELETE refreshtoken", "COMMIT"]
    assert statements(queries) == [
        "SELECT usedassertion",
        "SELECT revocationnotice",  # the newest
        "SELECT revocationnotice",
        "SELECT application",  # the longest retry window
        *(page * 2),
        "SELECT refreshtoken",  # the current one and its predecessor, which stay
        "SELECT refreshtoken",
        "SELECT accesstoken",
        "SELECT grantevent",
        "SELECT grant",
        "SELECT grant",
        "SELECT application",
        "SELECT grant",  # those whose salts may be erased
        "SELECT grant",
        *RECORD,
    ]


def test_batch_of_ended_grants_is_pruned_in_one_short_transaction(queries):
    GrantFactory.create_batch(3, expired=True)

    with queries:
        prune(retain=timedelta(0))

    *pruning, _application, _salts = statements(queries)[: -len(RECORD)]
    [before, page, *deleting, after] = pruning[6:]
    assert {before, page, after} == {"SELECT grantevent", "SELECT grant"}
    assert [statement for statement in deleting if statement.startswith("SELECT grant")] == ["SELECT grant"] * 2
    changes = [statement for statement in deleting if not statement.startswith("SELECT")]
    assert (changes[0], *changes[-2:]) == ("BEGIN", "DELETE grant", "COMMIT")
    assert set(changes[1:-2]) == {
        "DELETE accesstoken",
        "DELETE authorizationcode",
        "DELETE grantevent",
        "DELETE refreshtoken",
        "DELETE",  # bookmarks of the test project
    }
    assert len(deleting) == 11


def test_salts_of_a_batch_of_grants_are_erased_in_one_short_transaction(queries):
    long_ago = timezone.now() - timedelta(days=1)
    GrantFactory.create_batch(3, retry_slots=b"x" * 44, created_at=long_ago, refreshed_at=long_ago)

    with queries:
        prune()

    assert statements(queries)[-10:] == [
        "SELECT grant",
        "BEGIN",
        "SELECT grant",
        "UPDATE grant",
        "COMMIT",
        "SELECT grant",
        *RECORD,
    ]


def test_larger_batch_needs_no_more_statements(queries):
    GrantFactory.create_batch(20, expired=True)
    few = CaptureQueriesContext(connection)

    with few:
        prune(batch_size=20, retain=timedelta(0))
    GrantFactory.create_batch(40, expired=True)
    with queries:
        prune(batch_size=40, retain=timedelta(0))

    assert len(queries) == len(few)


def test_refused_client_costs_one_statement(application, queries):
    with queries:
        OAuthClient(application, SECRET + "x", refresh_token="nonsense").refresh()

    assert statements(queries) == ["SELECT application"]
