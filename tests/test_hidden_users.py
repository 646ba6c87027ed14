"""Users whom the default manager of the user model leaves out, as after a soft deletion: their tokens do not work."""

import json
from http import HTTPStatus
from io import StringIO

import pytest
from django.contrib.auth.models import User, UserManager
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from oauth_refresh.errors import InvalidGrant, InvalidToken
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.services import authenticate_access_token, issue_tokens
from oauth_refresh.services.codes import has_consented, issue_code
from oauth_refresh.services.lookup import find_users
from oauth_refresh.services.tokens import Access
from tests.admin.pages import admin_url, column, page_text
from tests.consent import consent_to, start_flow
from tests.database import database_snapshot
from tests.factories import (
    PASSWORD,
    SECRET,
    AccessTokenFactory,
    ApplicationFactory,
    GrantFactory,
    RefreshTokenFactory,
    TrustedIssuerFactory,
    UserFactory,
)
from tests.foreign import move_in
from tests.jwts import EC_KEY, grant_claims, jwks, sign
from tests.models.states import ACTIVE_GRANTS
from tests.oauth import OAuthClient, post_form
from tests.queries import statements
from tests.refusals import INVALID_GRANT, read_refusal
from tests.user_pages.pages import signed_in

pytestmark = pytest.mark.django_db
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
VIEWS = ["notes", "plain", "plain_async", "plain_class"]


class ShownUsers(UserManager):
    """The default manager of a project that deletes users by a mark in their row."""

    def get_queryset(self):
        return super().get_queryset().exclude(last_name="deleted").order_by("username").annotate(shown=F("pk"))


@pytest.fixture(autouse=True)
def soft_deletion(monkeypatch):
    manager = ShownUsers()
    manager.model, manager.name = User, "shown"
    monkeypatch.setitem(vars(User._meta), "default_manager", manager)


def hide(user):
    """Hide the user by an update, which sends no signal."""
    User._base_manager.filter(pk=user.pk).update(last_name="deleted")
    return user


def call(view, raw):
    return Client().get(reverse(view), headers={"Authorization": f"Bearer {raw}"})


# What is refused at its use.


def test_refresh_for_a_hidden_user_is_refused_and_changes_nothing(client_app, user):
    hide(user)
    before = database_snapshot()

    assert read_refusal(client_app.refresh()) == INVALID_GRANT
    assert database_snapshot() == before


def test_refusal_names_the_reason_in_the_log(client_app, user, caplog):
    caplog.set_level("INFO", "oauth_refresh")
    hide(user)

    client_app.refresh()

    assert "Refused with invalid_grant: The grant is not active: user hidden." in caplog.messages


def test_user_who_is_no_longer_hidden_can_refresh(client_app, user):
    hide(user)
    client_app.refresh()

    User._base_manager.update(last_name="")

    assert client_app.refresh().status_code == HTTPStatus.OK


def test_repeated_refresh_for_a_hidden_user_is_refused(client_app, user, oauth_settings):
    oauth_settings(RETRY_WINDOW=30)
    predecessor = client_app.refresh_token
    client_app.rotate()
    hide(user)

    assert read_refusal(client_app.refresh(predecessor)) == INVALID_GRANT


def test_pruned_token_of_a_hidden_user_is_refused(client_app, user):
    RefreshToken.objects.all().delete()
    hide(user)

    assert read_refusal(client_app.refresh()) == INVALID_GRANT


@pytest.mark.parametrize("view", VIEWS)
def test_request_of_an_api_for_a_hidden_user_is_refused(client_app, user, view):
    assert call(view, client_app.access_token).status_code == HTTPStatus.OK

    hide(user)

    assert call(view, client_app.access_token).status_code == HTTPStatus.UNAUTHORIZED


def test_token_of_a_hidden_user_is_refused_outside_of_views(client_app, user):
    hide(user)

    with pytest.raises(InvalidToken, match="user hidden"):
        authenticate_access_token(client_app.access_token)


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_introspection_says_that_a_token_of_a_hidden_user_is_not_active(client_app, user, kind):
    raw = getattr(client_app, kind)
    assert post_form("introspect", {"token": raw}, authorization=client_app.authorization).json()["active"] is True

    hide(user)

    answer = post_form("introspect", {"token": raw}, authorization=client_app.authorization)
    assert answer.json() == {"active": False}


def test_code_of_a_hidden_user_cannot_be_redeemed(user):
    flow = start_flow(user)
    code = flow.code()
    hide(user)

    assert read_refusal(flow.redeem(code)) == INVALID_GRANT
    assert Grant.objects.get().generation == 0


def test_password_of_a_hidden_user_starts_no_grant(application, user):
    hide(user)

    response = OAuthClient(application, SECRET).token(grant_type="password", username=user.username, password=PASSWORD)

    assert read_refusal(response) == INVALID_GRANT
    assert not Grant.objects.exists()


@pytest.mark.parametrize("grant_type", ["password", "authorization_code", "operator"])
def test_no_grant_starts_for_a_hidden_user(application, user, grant_type):
    hide(user)

    with pytest.raises(InvalidGrant, match="A grant cannot start: user hidden"):
        issue_tokens(application, user=user, grant_type=grant_type)


def test_session_of_a_hidden_user_is_not_imported(application, user):
    hide(user)

    with pytest.raises(InvalidGrant, match="A grant cannot start: user hidden"):
        move_in(application, user)

    assert not Grant.objects.exists()


def test_assertion_about_a_hidden_user_is_refused(user):
    application = ApplicationFactory(raw_secret=SECRET, grant_types=JWT_BEARER)
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY))
    hide(user)

    response = OAuthClient(application, SECRET).token(
        grant_type=JWT_BEARER, assertion=sign(grant_claims(issuer, user)), scope="notes:read"
    )

    assert read_refusal(response) == INVALID_GRANT
    assert not Grant.objects.exists()


def test_application_that_acts_for_itself_has_no_user_to_be_hidden(application):
    client = OAuthClient(application, SECRET)

    raw = client.token(grant_type="client_credentials", scope="notes:read").json()["access_token"]

    assert authenticate_access_token(raw).grant.user is None


def test_client_can_revoke_the_grant_of_a_hidden_user(client_app, user):
    hide(user)

    client_app.revoke(client_app.refresh_token)

    assert Grant.objects.get().revoked_reason == "client_request"


def test_reuse_is_noticed_for_a_hidden_user(client_app, user):
    spent = client_app.refresh_token
    client_app.rotate()
    hide(user)

    client_app.refresh(spent)

    assert Grant.objects.get().revoked_reason == "reuse_detected"


# Rows and querysets agree.


@pytest.mark.parametrize("state", ACTIVE_GRANTS.values(), ids=ACTIVE_GRANTS)
def test_rows_and_querysets_agree_on_users_who_are_shown(state):
    refresh_token = RefreshTokenFactory(**{f"grant__{name}": value for name, value in state.items()})
    access_token = AccessTokenFactory(grant=refresh_token.grant, generation=refresh_token.grant.generation)

    rows = (refresh_token.grant, refresh_token, access_token)
    assert [row.is_live for row in rows] == [True] * 3
    assert [list(type(row).objects.live()) for row in rows] == [[row] for row in rows]


def test_rows_and_querysets_agree_on_users_who_are_hidden():
    refresh_token = RefreshTokenFactory()
    access_token = AccessTokenFactory(grant=refresh_token.grant)
    user = hide(refresh_token.grant.user)

    rows = [model.objects.get() for model in (Grant, RefreshToken, AccessToken)]
    assert [row.is_live for row in (*rows, refresh_token, access_token)] == [False] * 5
    assert [list(type(row).objects.live()) for row in rows] == [[], [], []]
    assert not Grant.objects.usable_for(user).exists()


def test_row_that_is_read_again_is_asked_again(client_app, user):
    token = authenticate_access_token(client_app.access_token)
    grant = token.grant
    assert grant.user_is_hidden is False

    hide(user)
    grant.refresh_from_db()

    assert not grant.is_live


def test_consent_of_a_hidden_user_is_not_remembered(application, user):
    issue_code(consent_to(application, user, redirect_uri="", code_challenge=""))
    Grant.objects.update(generation=1, consented=True)
    assert has_consented(application, user, Access(scope=("notes:read",)))

    hide(user)

    assert not has_consented(application, user, Access(scope=("notes:read",)))


# It costs nothing more.


@pytest.mark.django_db(transaction=True)
def test_manager_costs_no_further_statement(client_app):
    queries = CaptureQueriesContext(connection)
    raw = client_app.access_token

    with queries:
        call("notes", raw)
        post_form("introspect", {"token": raw}, authorization=client_app.authorization)
        client_app.rotate()

    assert statements(queries) == [
        "SELECT accesstoken",
        "SELECT application",
        "SELECT accesstoken",
        "SELECT refreshtoken",
        *(
            ["WITH grant"]
            if connection.vendor == "postgresql"
            else ["BEGIN", "UPDATE grant", "INSERT refreshtoken", "INSERT accesstoken", "COMMIT"]
        ),
    ]


# Saves.


@pytest.mark.parametrize("update_fields", [None, ["last_name"]])
def test_save_that_hides_a_user_revokes(client_app, user, update_fields):
    user.last_name = "deleted"
    user.save(update_fields=update_fields)

    assert Grant.objects.get().revoked_reason == "user_deactivated"


def test_save_that_hides_nobody_revokes_nothing(client_app, user):
    user.last_name = "Lovelace"
    user.save()

    assert client_app.refresh().status_code == HTTPStatus.OK


def test_save_that_hides_a_user_revokes_nothing_of_others(client_app):
    other = UserFactory()
    other.last_name = "deleted"
    other.save()

    assert client_app.refresh().status_code == HTTPStatus.OK


def test_hidden_user_can_be_deleted_for_good(client_app, user):
    hide(user).delete()

    assert not Grant.objects.exists()


# Staff find them.


@pytest.fixture
def admin(admin_user):
    return signed_in(admin_user)


@pytest.mark.parametrize("page", ["grant", "refreshtoken", "accesstoken"])
def test_admin_lists_tokens_of_hidden_users_with_their_state(client_app, user, admin, page):
    hide(user)
    GrantFactory.create_batch(2)
    queries = CaptureQueriesContext(connection)

    with queries:
        listed = admin.get(admin_url(f"{page}_changelist"))

    assert any("blocked" in state for state in column(listed, "state"))
    assert len([query for query in queries if "NOT EXISTS" in query["sql"].upper()]) <= 1


def test_admin_finds_hidden_users_by_name_and_says_why_nothing_works(client_app, user, admin):
    hide(user)
    GrantFactory()

    listed = admin.get(admin_url("grant_changelist", q=user.username))

    assert [text.split() for text in column(listed, "state")] == [["blocked", "user", "hidden"]]
    assert "user hidden" in page_text(admin.get(admin_url("grant_change", client_app.grant.pk)))


@pytest.mark.parametrize(("state", "count"), [("active", 1), ("blocked", 1)])
def test_admin_filters_grants_of_hidden_users(client_app, user, admin, state, count):
    hide(user)
    GrantFactory()

    listed = admin.get(admin_url("grant_changelist", state=state))

    assert len(column(listed, "state")) == count
    assert ("user hidden" in page_text(listed)) == (state == "blocked")


def test_admin_finds_a_pasted_token_of_a_hidden_user(client_app, user, admin):
    hide(user)

    found = admin.post(admin_url("grant_find"), {"text": client_app.access_token}, follow=True)

    assert "You pasted an access token of this grant: blocked." in page_text(found)


def test_admin_refuses_tokens_for_a_hidden_user(application, user, admin):
    hide(user)

    page = admin.post(
        admin_url("application_tokens", application.pk), {"username": user.username, "scope": ["notes:read"]}
    )

    assert page.context["form"].errors == {"__all__": ["A grant cannot start: user hidden."]}


def run(*arguments):
    printed = StringIO()
    call_command(*arguments, stdout=printed)
    return printed.getvalue()


def test_command_revokes_for_a_hidden_user(client_app, user):
    hide(user)

    printed = run("oauth_revoke_grants", "--user", user.username, "--yes", "--json")

    assert json.loads(printed)["count"] == 1
    assert Grant.objects.get().revoked_reason == "operator_request"


def test_command_issues_nothing_for_a_hidden_user(application, user):
    hide(user)

    with pytest.raises(CommandError, match="user hidden"):
        run("oauth_issue_tokens", "--application", application.client_id, "--user", user.username)


# A name can be free again once its user is hidden.


@pytest.fixture
def namesakes(user, monkeypatch):
    """A hidden user and a later one, both named "ada": the project's constraint is for those who are shown only."""
    other = UserFactory()
    hide(user)
    monkeypatch.setattr(User, "USERNAME_FIELD", "first_name")
    User._base_manager.filter(pk__in=[user.pk, other.pk]).update(first_name="ada")
    return user, other


def test_user_who_is_shown_comes_before_a_hidden_one_of_the_same_name(namesakes):
    hidden, shown = namesakes

    assert find_users("ada") == [shown, hidden]
    assert find_users("Ada") == find_users("bea") == []


def test_command_revokes_for_all_of_the_name(application, namesakes):
    for user in namesakes:
        GrantFactory(application=application, user=user)

    printed = run("oauth_revoke_grants", "--user", "ada", "--yes", "--json")

    assert json.loads(printed)["count"] == 2


def test_command_issues_for_the_one_who_is_shown(application, namesakes):
    _hidden, shown = namesakes

    run("oauth_issue_tokens", "--application", application.client_id, "--user", "ada")

    assert Grant.objects.get().user == shown
