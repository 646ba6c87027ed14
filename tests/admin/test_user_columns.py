"""Staff who may view grants, and not users, cannot find out what the columns of users hold, letter by letter."""

from http import HTTPStatus

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from oauth_refresh.models import Grant
from tests.admin.pages import admin_url, browser, column, page_text, staff
from tests.factories import (
    AccessTokenFactory,
    ApplicationFactory,
    AuthorizationCodeFactory,
    GrantEventFactory,
    GrantFactory,
    RefreshTokenFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

VIEW = ("accesstoken", "application", "authorizationcode", "grant", "grantevent", "refreshtoken")
HELP = "Application, address or network, or the ID of a grant or revocation."
HELP_WITH_USERS = "User name, e-mail address, application, address or network, or the ID of a grant or revocation."


@pytest.fixture
def viewer():
    """The browser of staff who may view everything of this app, and no users."""
    return browser(staff(*[f"view_{model}" for model in VIEW]))


@pytest.fixture(autouse=True)
def grant(db):
    user = UserFactory(username="alice", email="a.secret@example.org", first_name="Alice")
    grant = GrantFactory(
        scope="a",
        user=user,
        application=ApplicationFactory(name="Notes", client_id="notes", owner=user),
        revoked_by=user,
    )
    for factory in (AccessTokenFactory, AuthorizationCodeFactory, GrantEventFactory, RefreshTokenFactory):
        factory(grant=grant)
    return grant


@pytest.mark.parametrize("query", ["alice", "a.secret", "A.SECRET@example.org", "example.org", "@", '"alice"'])
def test_search_of_grants_does_not_look_at_users(viewer, query):
    response = viewer.get(admin_url("grant_changelist"), {"q": query})

    assert (response.status_code, column(response, "scope")) == (HTTPStatus.OK, [])


@pytest.mark.parametrize("query", ["notes", "Not", "alice notes"])
def test_search_of_grants_still_looks_at_applications_and_ids(viewer, grant, query):
    found = {
        text: column(viewer.get(admin_url("grant_changelist"), {"q": text}), "scope")
        for text in (query, str(grant.public_id))
    }

    assert found == {query: [] if "alice" in query else ["a"], str(grant.public_id): ["a"]}


@pytest.mark.parametrize("permission", ["view_user", "change_user"])
def test_staff_who_may_view_users_search_by_them(permission):
    client = browser(staff("view_grant", permission))

    response = client.get(admin_url("grant_changelist"), {"q": "a.secret"})

    assert column(response, "scope") == ["a"]
    assert HELP_WITH_USERS in page_text(response)


def test_search_box_says_what_is_searched(viewer):
    text = page_text(viewer.get(admin_url("grant_changelist")))

    assert (HELP in text, HELP_WITH_USERS in text) == (True, False)


@pytest.mark.parametrize("query", ["a.secret", "alice"])
def test_list_to_revoke_does_not_look_at_users(query):
    client = browser(staff("view_grant", "revoke_grant"))

    client.post(admin_url("grant_revoke_list", q=query), {"confirm": "yes", "reason": "a guess"})

    assert not Grant.objects.filter(revoked_at__isnull=False).exists()


LOOKUPS = [
    ("grant", "user__email__startswith"),
    ("grant", "user__username__startswith"),
    ("grant", "user__password__startswith"),
    ("grant", "user__gt"),
    ("grant", "user__lte"),
    ("grant", "user__in"),
    ("grant", "user"),
    ("grant", "user_id"),
    ("grant", "user__id__exact"),
    ("grant", "revoked_by"),
    ("grant", "revoked_by__gt"),
    ("grant", "revoked_by__email__startswith"),
    ("grant", "application__owner"),
    ("grant", "application__owner__email__startswith"),
    ("application", "owner"),
    ("application", "owner__gt"),
    ("application", "owner__email__startswith"),
    ("application", "grants__user"),
    ("application", "grants__user__email__startswith"),
    *[
        (model, f"grant__user{lookup}")
        for model in ("accesstoken", "authorizationcode", "grantevent", "refreshtoken")
        for lookup in ("", "__gt", "__email__startswith", "__groups__name")
    ],
]


@pytest.mark.parametrize(("model", "lookup"), LOOKUPS, ids="?".join)
def test_list_is_not_filtered_by_users(viewer, model, lookup):
    response = viewer.get(admin_url(f"{model}_changelist"), {lookup: "1"})

    assert response.status_code == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("model", "lookup"), [("grant", "user"), ("grant", "user__id__exact"), ("application", "owner")]
)
def test_staff_who_may_view_users_filter_by_one(grant, model, lookup):
    client = browser(staff(f"view_{model}", "view_user"))

    found = [
        client.get(admin_url(f"{model}_changelist"), {lookup: key}).context["cl"].result_count
        for key in (grant.user.pk, grant.user.pk + 1)
    ]

    assert found == [1, 0]


OWN = [
    {"id__in": "1"},
    {"pk": "1"},
    {"created_at__year": "2000"},
    {"application": "1"},
    {"application__isnull": "0"},
]


@pytest.mark.parametrize("query", OWN, ids=str)
def test_list_is_filtered_by_its_own_columns(viewer, query):
    assert viewer.get(admin_url("grant_changelist"), query).status_code == HTTPStatus.OK


@pytest.mark.parametrize("model", VIEW)
def test_no_list_can_be_sorted_by_users(viewer, model):
    for number in range(12):
        with CaptureQueriesContext(connection) as queries:
            viewer.get(admin_url(f"{model}_changelist"), {"o": str(number)})

        sorted_by = [sql["sql"].split("ORDER BY")[-1] for sql in queries if "ORDER BY" in sql["sql"]]
        assert not [columns for columns in sorted_by if "auth_user" in columns]


@pytest.mark.parametrize(("permissions", "found"), [([], []), (["view_user"], ["a"])])
def test_autocompletion_of_grants_does_not_look_at_users(permissions, found):
    """As a host project's admin asks, with ``autocomplete_fields = ["grant"]``."""
    person = UserFactory(is_staff=True)
    codenames = ["view_grant", "view_bookmark", "change_bookmark", *permissions]
    person.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    query = {"app_label": "members", "model_name": "bookmark", "field_name": "grant", "term": "a.secret"}

    response = browser(person).get(reverse("admin:autocomplete"), query)

    assert [Grant.objects.get(pk=row["id"]).scope for row in response.json()["results"]] == found
