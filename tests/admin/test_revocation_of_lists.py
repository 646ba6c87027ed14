"""A whole list is revoked at once: with JavaScript by the stock "select all", without by a link, however long it is."""

from http import HTTPStatus

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oauth_refresh.models import Grant
from oauth_refresh.services import revoke_grant
from tests.admin.many import grants_of
from tests.admin.pages import admin_url, definitions, form_with, log_entries, messages_on
from tests.admin.revocations import REASON, confirm
from tests.factories import AccessTokenFactory, ApplicationFactory, GrantFactory, UserFactory

pytestmark = pytest.mark.django_db

ACTION = {"action": "revoke_grants", "index": "0", "select_across": "0"}


def by_link(client, url_of, rows):
    """Follow the link above the list."""
    url = url_of("grant_revoke_list")
    return url, client.get(url)


def by_stock_select_all(client, url_of, rows):
    """Tick the page and choose "select all", as the script of the stock admin does."""
    ticked = [str(row.pk) for row in rows[:100]]
    url = url_of("grant_changelist")
    return url, client.post(url, {**ACTION, "select_across": "1", "_selected_action": ticked})


WAYS = pytest.mark.parametrize("way", [by_link, by_stock_select_all], ids=lambda way: way.__name__)


@pytest.fixture
def leak(db):
    """An application with three active grants, one of them by alice, beside another with one; all started in March."""
    application = ApplicationFactory(client_id="leaky")
    alice = UserFactory(username="alice", email="alice@example.org")
    grants = [GrantFactory(application=application, user=alice), *GrantFactory.create_batch(2, application=application)]
    GrantFactory(user=alice, scope="PRODUCTION")
    return grants


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 4),
        ({"client_id": "leaky"}, 3),
        ({"q": "alice"}, 2),
        ({"q": "alice", "client_id": "leaky"}, 1),
        ({"state": "revoked"}, 0),
        ({"state": "active", "reason": ""}, 4),
        ({"scope": "PRODUCTION"}, 1),
        ({"client_id": "leaky", "o": "-3", "p": "1"}, 3),
        ({"client_id": "nobody"}, 0),
        ({"created_at__lt": "2020-01-01T00:00Z"}, 0),
    ],
    ids=str,
)
@WAYS
def test_what_the_filters_list_is_revoked(admin_browser, leak, way, query, count):
    url, question = way(admin_browser, lambda page: admin_url(page, **query), leak)
    listed = set(admin_browser.get(admin_url("grant_changelist", **query)).context["cl"].queryset)

    admin_browser.post(
        url, {**(form_with(question, "confirm") if count else {**ACTION, "confirm": "yes"}), "reason": REASON}
    )

    assert len(listed) == count
    assert set(Grant.objects.filter(revoked_reason=REASON)) == listed


@WAYS
def test_filters_stay_when_all_is_done(admin_browser, leak, way):
    response = confirm(
        admin_browser, way(admin_browser, lambda page: admin_url(page, client_id="leaky", state="active"), leak)
    )

    assert response.url == admin_url("grant_changelist", client_id="leaky", state="active")


@WAYS
def test_log_says_which_list_it_was(admin_browser, leak, way):
    confirm(admin_browser, way(admin_browser, lambda page: admin_url(page, client_id="leaky"), leak))

    assert [entry[3].split("Selected: ")[1] for entry in log_entries()] == [
        "all grants of the list filtered by client_id=leaky."
    ]


def test_log_says_that_the_list_was_not_filtered(admin_browser, leak):
    confirm(admin_browser, by_link(admin_browser, admin_url, leak))

    assert [entry[3].split("Selected: ")[1] for entry in log_entries()] == ["all grants of the list."]


def test_only_ticked_rows_are_revoked(admin_browser, leak):
    url = admin_url("grant_changelist", client_id="leaky")
    question = admin_browser.post(url, {**ACTION, "_selected_action": [leak[0].pk, leak[2].pk]})

    confirm(admin_browser, (url, question))

    assert set(Grant.objects.filter(revoked_reason=REASON)) == {leak[0], leak[2]}


def test_ticked_row_that_the_filters_leave_out_is_not_revoked(admin_browser, leak):
    url = admin_url("grant_changelist", q="alice")
    question = admin_browser.post(url, {**ACTION, "_selected_action": [grant.pk for grant in leak]})

    confirm(admin_browser, (url, question))

    assert set(Grant.objects.filter(revoked_reason=REASON)) == {leak[0]}


def test_log_names_the_ticked_rows(admin_browser, leak):
    url = admin_url("grant_changelist")
    question = admin_browser.post(url, {**ACTION, "_selected_action": [grant.pk for grant in leak]})

    confirm(admin_browser, (url, question))

    names = log_entries()[0][3].split("Selected: grants ")[1].removesuffix(".").split(", ")
    assert sorted(names) == sorted(str(grant) for grant in leak)


@pytest.mark.parametrize(("count", "more"), [(20, False), (21, True)])
def test_log_names_no_more_than_twenty_rows(admin_browser, count, more):
    application, user = ApplicationFactory(), UserFactory()
    grants = GrantFactory.create_batch(count, application=application, user=user)
    url = admin_url("grant_changelist")
    question = admin_browser.post(url, {**ACTION, "_selected_action": [grant.pk for grant in grants]})

    confirm(admin_browser, (url, question))

    names = log_entries()[0][3].split("Selected: grants ")[1]
    assert (names.count(", "), names.endswith(" and more.")) == (19, more)


def test_nothing_ticked_is_nothing_to_revoke(admin_browser, leak):
    response = admin_browser.post(admin_url("grant_changelist"), {**ACTION}, follow=True)

    assert messages_on(response) == [
        ("warning", "Items must be selected in order to perform actions on them. No items have been changed.")
    ]


def test_tokens_of_one_grant_count_once(admin_browser, leak):
    AccessTokenFactory.create_batch(3, grant=leak[0])

    response = admin_browser.get(admin_url("accesstoken_revoke_list"))

    assert definitions(response) == {"grant": "1", "user": "1", "application": "1"}


def test_grant_started_before_the_confirmation_is_revoked_too(admin_browser, leak):
    question = by_link(admin_browser, lambda page: admin_url(page, client_id="leaky"), leak)
    late = GrantFactory(application=leak[0].application)

    response = confirm(admin_browser, question, follow=True)

    assert messages_on(response) == [("success", "4 grants were revoked.")]
    assert Grant.objects.get(pk=late.pk).revoked_reason == REASON


def test_grant_that_left_the_list_before_the_confirmation_stays_as_it_is(admin_browser, leak):
    question = by_link(admin_browser, lambda page: admin_url(page, client_id="leaky", state="active"), leak)
    revoke_grant(leak[0], reason="first")

    response = confirm(admin_browser, question, follow=True)

    assert messages_on(response) == [("success", "2 grants were revoked.")]
    assert Grant.objects.get(pk=leak[0].pk).revoked_reason == "first"


@pytest.fixture
def thousand(db, settings):
    """More grants than a form may have fields, each of another user."""
    return grants_of(ApplicationFactory(client_id="leaky"), settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)


@WAYS
def test_thousand_rows_are_revoked_by_as_many_statements_as_one(admin_browser, thousand, way):
    GrantFactory(scope="PRODUCTION")
    few = way(admin_browser, lambda page: admin_url(page, scope="PRODUCTION"), thousand)
    many = way(admin_browser, lambda page: admin_url(page, client_id="leaky"), thousand)

    with CaptureQueriesContext(connection) as for_one:
        confirm(admin_browser, few)
    with CaptureQueriesContext(connection) as for_all:
        response = confirm(admin_browser, many)

    assert response.status_code == HTTPStatus.FOUND
    assert Grant.objects.filter(revoked_reason=REASON, application__client_id="leaky").count() == len(thousand) == 1001
    assert len(for_all) == len(for_one) - 1  # a hundred grants and fewer are named to APIs on other machines
    assert len([query for query in for_all if query["sql"].startswith("UPDATE")]) == 1


def test_page_that_asks_about_a_thousand_rows_is_short(admin_browser, thousand):
    _url, question = by_stock_select_all(admin_browser, admin_url, thousand)

    assert definitions(question) == {"grants": "1001", "users": "1001", "application": "1"}
    assert len(form_with(question, "confirm")["_selected_action"]) == 1
    assert len(question.content) < 20_000


def test_list_of_users_is_revoked_by_its_filters(admin_browser):
    GrantFactory(user__is_staff=True, user__username="staffer")
    GrantFactory()
    url = admin_url("auth_user_revoke_list", is_staff__exact=1)

    confirm(admin_browser, (url, admin_browser.get(url)))

    assert [grant.user.username for grant in Grant.objects.exclude(revoked_at=None)] == ["staffer"]
