"""Rows that only services write can be viewed in the admin, but not added, edited or deleted."""

from http import HTTPStatus

import pytest
from django.contrib.admin.models import LogEntry

from oauth_refresh.models import (
    AccessToken,
    AuthorizationCode,
    Grant,
    GrantEvent,
    RefreshToken,
    RevocationNotice,
    RevocationReceiver,
    UsedAssertion,
)
from tests.admin.pages import admin_url, browser, column, links, page_text, staff
from tests.factories import (
    AccessTokenFactory,
    AuthorizationCodeFactory,
    GrantEventFactory,
    GrantFactory,
    RefreshTokenFactory,
    RevocationNoticeFactory,
    RevocationReceiverFactory,
    UsedAssertionFactory,
)

FACTORIES = {
    Grant: GrantFactory,
    RefreshToken: RefreshTokenFactory,
    AccessToken: AccessTokenFactory,
    GrantEvent: GrantEventFactory,
    AuthorizationCode: AuthorizationCodeFactory,
    RevocationReceiver: RevocationReceiverFactory,
    UsedAssertion: UsedAssertionFactory,
}
EVERY_MODEL = pytest.mark.parametrize("model", FACTORIES, ids=lambda model: model._meta.model_name)
OF_GRANTS = pytest.mark.parametrize(
    "model", [RefreshToken, AccessToken, GrantEvent, AuthorizationCode], ids=lambda model: model.__name__
)

pytestmark = pytest.mark.django_db


def at(model, page, *arguments, **query):
    return admin_url(f"{model._meta.model_name}_{page}", *arguments, **query)


@EVERY_MODEL
@pytest.mark.parametrize("page", ["changelist", "change", "history"])
def test_staff_with_the_permission_view_the_rows(model, page):
    row = FACTORIES[model]()
    client = browser(staff(f"view_{model._meta.model_name}"))

    response = client.get(at(model, page, *([] if page == "changelist" else [row.pk])))

    assert response.status_code == HTTPStatus.OK


@EVERY_MODEL
@pytest.mark.parametrize("method", ["get", "post"])
def test_nothing_is_added_by_hand(admin_browser, model, method):
    response = getattr(admin_browser, method)(at(model, "add"))

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert not model.objects.exists()


@EVERY_MODEL
def test_nothing_is_changed_by_hand(admin_browser, model):
    row = FACTORIES[model]()
    before = model.objects.values().get()
    values = dict.fromkeys(before, "9")

    response = admin_browser.post(at(model, "change", row.pk), {**values, "_save": "Save"})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert model.objects.values().get() == before


@EVERY_MODEL
def test_page_of_a_row_offers_nothing_to_save_or_delete(admin_browser, model):
    row = FACTORIES[model]()

    html = admin_browser.get(at(model, "change", row.pk)).content.decode()

    assert [name for name in ("_save", "_continue", "_addanother", "deletelink") if name in html] == []


@EVERY_MODEL
@pytest.mark.parametrize("method", ["get", "post"])
def test_nothing_is_deleted_by_hand(admin_browser, model, method):
    row = FACTORIES[model]()

    response = getattr(admin_browser, method)(at(model, "delete", row.pk), {"post": "yes"})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert model.objects.exists()


@EVERY_MODEL
def test_nothing_is_deleted_by_the_list(admin_browser, model):
    row = FACTORIES[model]()
    action = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}

    response = admin_browser.post(at(model, "changelist"), action)

    assert response.status_code in {HTTPStatus.OK, HTTPStatus.FOUND}
    assert "delete_selected" not in admin_browser.get(at(model, "changelist")).content.decode()
    assert model.objects.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"revoked_at_0": "", "revoked_at_1": "", "revoked_reason": ""},
        {"revoked_at": "", "revoked_reason": "", "revoked_by": "", "revocation_id": "", "_save": "Save"},
        {"_saveasnew": "1"},
    ],
)
def test_revoked_grant_cannot_be_restored(admin_browser, values):
    grant = GrantFactory(revoked=True)
    before = Grant.objects.values().get()

    response = admin_browser.post(admin_url("grant_change", grant.pk), values)

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert Grant.objects.values().get() == before


def test_refused_change_leaves_no_entry_in_the_log(admin_browser):
    admin_browser.post(admin_url("grant_change", GrantFactory().pk), {"scope": "PRODUCTION"})

    assert not LogEntry.objects.exists()


@EVERY_MODEL
def test_every_permission_but_to_view_is_not_enough_to_look(model):
    name = model._meta.model_name
    client = browser(staff(f"add_{name}", f"delete_{name}", "revoke_grant"))
    row = FACTORIES[model]()

    answers = {client.get(url).status_code for url in (at(model, "changelist"), at(model, "change", row.pk))}

    assert answers == {HTTPStatus.FORBIDDEN}


@OF_GRANTS
def test_list_leads_to_the_grant_of_each_row(admin_browser, model):
    row = FACTORIES[model](grant__user__username="alice", grant__application__name="Notes")

    response = admin_browser.get(at(model, "changelist"))

    assert column(response, "grant_link") == ["alice Notes"]
    assert admin_url("grant_change", row.grant.pk) in links(response)


@OF_GRANTS
def test_list_says_that_a_grant_has_no_user(admin_browser, model):
    FACTORIES[model](grant=GrantFactory(without_user=True, application__name="Cron"))

    response = admin_browser.get(at(model, "changelist"))

    assert column(response, "grant_link") == ["no user Cron"]


@pytest.mark.parametrize(
    ("factory", "bent", "badge"),
    [
        (RefreshTokenFactory, {}, "current"),
        (RefreshTokenFactory, {"spent": True}, "spent"),
        (RefreshTokenFactory, {"spent": True, "grant__revoked": True}, "spent"),
        (RefreshTokenFactory, {"expired": True}, "expired"),
        (RefreshTokenFactory, {"grant__revoked": True}, "revoked"),
        (RefreshTokenFactory, {"grant__expired": True}, "expired"),
        (RefreshTokenFactory, {"grant__user__is_active": False}, "blocked"),
        (AccessTokenFactory, {}, "active"),
        (AccessTokenFactory, {"revoked": True}, "revoked"),
        (AccessTokenFactory, {"expired": True}, "expired"),
        (AccessTokenFactory, {"generation": 1, "grant__generation": 2, "grant__access_floor": 2}, "revoked"),
        (AccessTokenFactory, {"grant__revoked": True}, "revoked"),
        (AccessTokenFactory, {"grant__user__is_active": False}, "blocked"),
    ],
)
def test_list_and_page_say_the_state_of_a_token(admin_browser, factory, bent, badge):
    row = factory(**bent)
    model = type(row)

    response = admin_browser.get(at(model, "changelist"))

    assert column(response, "state") == [badge]
    assert f"State: {badge}" in page_text(admin_browser.get(at(model, "change", row.pk)))


CONCURRENT = "The client most likely refreshed twice at once; if so, give it a retry window"
THEFT = "Treat it as theft: revoke, and call the user"


@pytest.mark.parametrize(
    ("event", "meaning"),
    [
        ({"kind": "reused", "seconds_since_spent": 2, "same_caller": True}, CONCURRENT),
        ({"kind": "reused", "seconds_since_spent": 60, "same_caller": True}, THEFT),
        ({"kind": "reused", "seconds_since_spent": 2, "same_caller": False}, THEFT),
        ({"kind": "reused"}, THEFT),
        ({"kind": "retried", "seconds_since_spent": 2, "same_caller": True}, "-"),
        ({"kind": "refused", "seconds_since_spent": 2, "same_caller": True}, "-"),
    ],
)
def test_list_and_page_of_an_alarm_say_what_it_means(admin_browser, event, meaning):
    row = GrantEventFactory(**event)

    assert column(admin_browser.get(admin_url("grantevent_changelist")), "meaning") == [meaning]
    assert f"Meaning: {meaning}" in page_text(admin_browser.get(admin_url("grantevent_change", row.pk)))


def test_events_are_listed_by_kind(admin_browser):
    GrantEventFactory(kind="reused", address="192.0.2.1")
    GrantEventFactory(kind="retried")

    response = admin_browser.get(admin_url("grantevent_changelist", kind__exact="reused"))

    assert [column(response, name) for name in ("kind", "generation", "origin")] == [
        ["a spent refresh token was used again"],
        ["1"],
        ["192.0.2.1"],
    ]


def test_list_of_receivers_says_which_of_them_lacks_notices_and_why(admin_browser, oauth_settings):
    oauth_settings(REVOCATION_RECEIVERS=[{"url": "https://gateway.example/unseen", "secret": "s" * 22}])
    RevocationNoticeFactory.create_batch(3, settled=True)
    RevocationReceiverFactory(url="https://gateway.example/unseen", last_error="HTTP 500", attempts=7)
    gone = RevocationReceiverFactory(position=RevocationNotice.objects.latest("pk").pk)

    response = admin_browser.get(admin_url("revocationreceiver_changelist"))

    columns = [column(response, name) for name in ("host", "waiting", "last_error", "attempts")]
    assert columns == [["gateway.example", "no longer in the settings"], ["3", "0"], ["HTTP 500", "-"], ["7", "0"]]
    assert [str(row) for row in RevocationReceiver.objects.order_by("pk")] == ["gateway.example", gone.url_digest]
    assert "unseen" not in response.content.decode()
