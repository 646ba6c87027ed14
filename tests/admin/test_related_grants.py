"""From a grant to the grants beside it, and from a user to theirs: counted, listed, revoked."""

from http import HTTPStatus
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from oauth_refresh.models import Grant, RevocationNotice
from tests.admin.many import grants_of
from tests.admin.pages import admin_url, browser, column, links, log_entries, messages_on, page_text, staff
from tests.admin.revocations import REASON, confirm
from tests.factories import ApplicationFactory, AuthorizationCodeFactory, GrantFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant(db):
    return GrantFactory(user=UserFactory(username="alice"), application=ApplicationFactory(name="Notes"))


def page_of(client, grant):
    response = client.get(admin_url("grant_change", grant.pk))
    assert response.status_code == HTTPStatus.OK
    return response


def list_url(**query):
    return f"{admin_url('grant_changelist')}?{urlencode(query)}"


def revoke_user_url(grant):
    return admin_url("grant_revoke_user", grant.pk)


def test_page_links_to_the_other_active_grants_of_the_user(admin_browser, grant):
    GrantFactory.create_batch(2, user=grant.user)
    GrantFactory(user=grant.user, revoked=True)

    page = page_of(admin_browser, grant)

    url = list_url(user=grant.user.pk, state="active")
    assert "alice has 2 other active grants Revoke all grants of the user…" in page_text(page)
    assert {url, revoke_user_url(grant)} <= set(links(page))
    listed = admin_browser.get(url)
    assert (len(column(listed, "state")), listed.context["title"]) == (3, "Grants of alice")


def test_page_links_to_the_other_active_grants_of_the_application(admin_browser, grant):
    GrantFactory(application=grant.application)
    GrantFactory(application=grant.application, expired=True)

    page = page_of(admin_browser, grant)

    url = list_url(client_id=grant.application.client_id, state="active")
    assert "Notes has 1 other active grant" in page_text(page)
    assert url in links(page)
    assert len(column(admin_browser.get(url), "state")) == 2


def test_page_links_to_what_was_revoked_with_the_grant(admin_browser, grant):
    together = uuid4()
    Grant.objects.filter(pk=grant.pk).update(revoked_at=grant.created_at, revoked_reason="x", revocation_id=together)
    GrantFactory.create_batch(2, revoked=True, revocation_id=together)
    GrantFactory(revoked=True)

    page = page_of(admin_browser, grant)

    url = list_url(revocation_id=together)
    assert "2 other grants were revoked with this one" in page_text(page)
    assert url in links(page)
    listed = admin_browser.get(url)
    assert (len(column(listed, "state")), listed.context["title"]) == (3, "Grants that were revoked together")


def test_page_of_a_grant_that_stands_alone_names_no_others(admin_browser, grant):
    GrantFactory(without_user=True)
    GrantFactory(revoked=True)

    assert "oauth-related" not in page_of(admin_browser, grant).content.decode()


@pytest.mark.parametrize(("count", "shown"), [(1_000, "1000"), (1_001, "over 1000")])
def test_counts_end_where_counting_would_take_long(admin_browser, grant, count, shown):
    grants_of(grant.application, count)

    assert f"Notes has {shown} other active grants" in page_text(page_of(admin_browser, grant))


def test_staff_who_may_not_view_users_get_the_count_without_the_list(grant):
    GrantFactory(user=grant.user)

    page = page_of(browser(staff("view_grant", "revoke_grant")), grant)

    assert "alice has 1 other active grant" in page_text(page)
    assert list_url(user=grant.user.pk, state="active") not in links(page)
    assert revoke_user_url(grant) in links(page)


def test_staff_who_may_not_revoke_are_offered_no_revocation(grant):
    GrantFactory(user=grant.user)
    client = browser(staff("view_grant", "view_user"))

    page = page_of(client, grant)

    assert revoke_user_url(grant) not in links(page)
    assert client.get(revoke_user_url(grant)).status_code == HTTPStatus.FORBIDDEN


def test_all_grants_of_the_user_are_revoked_from_the_page_of_one(admin_browser, grant):
    GrantFactory(user=grant.user)
    AuthorizationCodeFactory(grant__user=grant.user)
    other = GrantFactory(application=grant.application)
    question = admin_browser.get(revoke_user_url(grant))

    response = confirm(admin_browser, (revoke_user_url(grant), question), follow=True)

    assert "All grants of alice. This is revoked at once, and cannot be undone:" in page_text(question)
    assert messages_on(response) == [("success", "3 grants were revoked.")]
    assert response.redirect_chain == [(admin_url("grant_change", grant.pk), HTTPStatus.FOUND)]
    assert list(Grant.objects.filter(revoked_at=None)) == [other]
    (notice,) = RevocationNotice.objects.all()
    assert notice.sub == str(grant.user.pk)
    (entry,) = log_entries()
    assert entry[:2] == ("grant", str(grant.pk))
    assert f"Reason: {REASON}. " in entry[3]
    assert entry[3].endswith("Selected: all grants of user alice.")


def test_grant_without_a_user_has_no_page_to_revoke_the_users_grants(admin_browser):
    grant = GrantFactory(without_user=True)

    assert admin_browser.get(revoke_user_url(grant)).status_code == HTTPStatus.NOT_FOUND


def test_page_of_a_user_links_to_the_active_grants(admin_browser, grant):
    GrantFactory(user=grant.user)
    GrantFactory(user=grant.user, revoked=True)

    page = admin_browser.get(admin_url("auth_user_change", grant.user.pk))

    assert "2 active grants" in page_text(page)
    assert list_url(user=grant.user.pk, state="active") in links(page)


def test_page_of_a_user_without_grants_has_no_link_and_no_button(admin_browser):
    person = UserFactory()

    page = admin_browser.get(admin_url("auth_user_change", person.pk))

    assert "active grants" not in page_text(page)
    assert admin_url("auth_user_revoke", person.pk) not in links(page)


def test_page_that_adds_a_user_is_not_about_grants(admin_browser):
    page = admin_browser.get(admin_url("auth_user_add"))

    assert page.status_code == HTTPStatus.OK
    assert "Revoke all grants" not in page_text(page)


@pytest.mark.parametrize("query", [{"user": "0"}, {"state": "active"}])
def test_other_lists_keep_their_title(admin_browser, grant, query):
    response = admin_browser.get(admin_url("grant_changelist", **query))

    assert response.context["title"] == "Select grant to view"
