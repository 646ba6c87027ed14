"""To revoke takes the permission to revoke and to view the rows: without one there is no button, and a 403."""

from http import HTTPStatus

import pytest
from django.contrib import admin
from django.contrib.messages.storage.fallback import FallbackStorage
from django.test import Client

from oauth_refresh.admin.grants import GrantAdmin
from oauth_refresh.models import Grant
from tests.admin.pages import admin_url, browser, log_entries, staff
from tests.admin.revocations import MODELS, REASON, make_scene, revoking_browser
from tests.database import database_snapshot
from tests.factories import GrantFactory

CONFIRMED = {"confirm": "yes", "reason": REASON}
EVERY_MODEL = pytest.mark.parametrize("model", [model for model in MODELS if not model.startswith("members_")])
"""Proxies and children of the user model have the same admin as users."""

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene(db):
    return make_scene()


def every_request(model, row):
    """Return each request that shows what would be revoked, or that would revoke it: method, URL, data."""
    page, listed, changelist = (
        admin_url(f"{model}_revoke", row.pk),
        admin_url(f"{model}_revoke_list"),
        admin_url(f"{model}_changelist"),
    )
    action = {"action": "revoke_grants", "_selected_action": [row.pk]}
    return [
        ("get", page, {}),
        ("post", page, CONFIRMED),
        ("get", listed, {}),
        ("post", listed, CONFIRMED),
        ("post", changelist, {**action, "index": "0"}),
        ("post", changelist, {**action, **CONFIRMED}),
        ("post", changelist, {**action, **CONFIRMED, "select_across": "1"}),
        ("post", changelist, {**action, "action": ["", "revoke_grants"], "index": "1", **CONFIRMED}),
    ]


def answers(client, requests):
    return [getattr(client, method)(url, data).status_code for method, url, data in requests]


INSUFFICIENT = {
    "view only": ["view_{}"],
    "revoke without view": ["revoke_grant"],
    "everything else": ["view_{}", "add_{}", "change_{}", "delete_{}"],
    "revoke, but to view other rows": ["revoke_grant", "view_trustedissuer"],
}


@pytest.mark.parametrize("permissions", INSUFFICIENT.values(), ids=INSUFFICIENT)
@EVERY_MODEL
def test_staff_who_lack_a_permission_are_refused_everywhere(scene, model, permissions):
    name, before = model.rpartition("_")[2], database_snapshot()
    client = browser(staff(*[permission.format(name) for permission in permissions]))
    requests = every_request(model, scene.row(model))

    found = answers(client, requests)

    assert found == [HTTPStatus.FORBIDDEN] * len(requests)
    assert database_snapshot() == before
    assert log_entries() == []


@pytest.mark.parametrize("query", [{"created_at__gte": "x"}, {"q": "oat_" + "A" * 43}], ids=str)
def test_staff_who_lack_a_permission_are_refused_before_filters_are_read(query):
    response = browser(staff("view_grant")).get(admin_url("grant_revoke_list", **query))

    assert response.status_code == HTTPStatus.FORBIDDEN


@EVERY_MODEL
def test_staff_who_may_only_view_see_no_button_and_no_action(scene, model):
    client = browser(staff(f"view_{model.rpartition('_')[2]}"))
    urls = [admin_url(f"{model}_changelist"), admin_url(f"{model}_change", scene.row(model).pk)]

    pages = [client.get(url) for url in urls]

    assert [page.status_code for page in pages] == [HTTPStatus.OK] * 2
    assert [page.content.decode().lower().count("/revoke/") for page in pages] == [0, 0]
    assert 'value="revoke_grants"' not in pages[0].content.decode()


@EVERY_MODEL
def test_staff_who_may_revoke_see_a_button_and_an_action(scene, model):
    client, row = revoking_browser(model), scene.row(model)
    urls = [admin_url(f"{model}_changelist"), admin_url(f"{model}_change", row.pk)]

    listed, page = [client.get(url).content.decode() for url in urls]

    assert '<option value="revoke_grants">' in listed
    assert f'href="{admin_url(f"{model}_revoke", row.pk)}"' in page


@EVERY_MODEL
def test_anonymous_user_is_sent_to_sign_in(scene, client, model):
    before, requests = database_snapshot(), every_request(model, scene.row(model))

    responses = [getattr(client, method)(url, data) for method, url, data in requests]

    assert {(response.status_code, response.url.split("?")[0]) for response in responses} == {
        (HTTPStatus.FOUND, "/admin/login/")
    }
    assert database_snapshot() == before


def test_users_who_are_not_staff_are_sent_to_sign_in(scene, user):
    requests = every_request("grant", scene.client.grant)

    assert answers(browser(user), requests) == [HTTPStatus.FOUND] * len(requests)


@EVERY_MODEL
def test_other_sites_revoke_nothing(scene, model):
    client, before = revoking_browser(model, enforce_csrf_checks=True), database_snapshot()
    posts = [request for request in every_request(model, scene.row(model)) if request[0] == "post"]

    found = answers(client, posts)

    assert found == [HTTPStatus.FORBIDDEN] * len(posts)
    assert database_snapshot() == before


def test_forms_carry_their_own_protection(scene):
    client = revoking_browser("grant", enforce_csrf_checks=True)
    url = admin_url("grant_revoke", scene.client.grant.pk)
    token = client.get(url).context["csrf_token"]

    client.post(url, {**CONFIRMED, "csrfmiddlewaretoken": token})

    assert Grant.objects.get(revoked_reason=REASON) == scene.client.grant


@EVERY_MODEL
def test_a_link_revokes_nothing(scene, model):
    client, before = revoking_browser(model), database_snapshot()
    urls = [admin_url(f"{model}_revoke", scene.row(model).pk), admin_url(f"{model}_revoke_list")]

    found = [client.get(url, CONFIRMED).status_code for url in urls]

    # To the list an unknown parameter is an invalid filter, so it redirects.
    assert found == [HTTPStatus.OK, HTTPStatus.FOUND]
    assert database_snapshot() == before


def test_project_that_has_switched_actions_off_has_no_action_and_its_pages_still(rf, superuser, scene):
    class QuietAdmin(GrantAdmin):
        actions = None

    request = rf.get("/")
    request.user = superuser
    quiet = QuietAdmin(Grant, admin.site)

    assert quiet.get_actions(request) == {}
    assert quiet.revoke_view(request, str(scene.client.grant.pk)).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    ("model", "key"),
    [*[(model, "999") for model in MODELS], *[("grant", key) for key in ("x", "1/2", "-1", "9" * 30, "\x00")]],
)
def test_row_that_does_not_exist_is_not_found(model, key):
    client, url = revoking_browser(model), admin_url(f"{model}_revoke", key)

    found = answers(client, [("get", url, {}), ("post", url, CONFIRMED)])

    assert found == [HTTPStatus.NOT_FOUND] * 2


@pytest.mark.parametrize("state", ["revoked", "expired"])
def test_ended_grant_has_no_button(admin_browser, state):
    grant = GrantFactory(**{state: True})

    page = admin_browser.get(admin_url("grant_change", grant.pk)).content.decode()

    assert "/revoke/" not in page


@pytest.mark.parametrize("bent", [{}, {"user__is_active": False}, {"password_fingerprint": "0" * 64}], ids=str)
def test_grant_that_has_not_ended_has_a_button(admin_browser, bent):
    grant = GrantFactory(**bent)

    page = admin_browser.get(admin_url("grant_change", grant.pk)).content.decode()

    assert f'<a href="{admin_url("grant_revoke", grant.pk)}" class="oauth-danger">Revoke…</a>' in page


def test_button_on_the_page_of_a_user_says_all_grants(scene):
    page = revoking_browser("auth_user").get(admin_url("auth_user_change", scene.of_user.user.pk)).content.decode()

    assert ">Revoke all grants</a>" in page


@pytest.mark.parametrize("model", ["auth_user", "application"])
def test_page_for_a_new_row_has_no_button(admin_browser, model):
    page = admin_browser.get(admin_url(f"{model}_add")).content.decode()

    assert "/revoke/" not in page


@EVERY_MODEL
def test_list_to_choose_a_row_from_offers_no_revocation(scene, model):
    client = revoking_browser(model)

    page = client.get(admin_url(f"{model}_changelist", _popup="1")).content.decode()

    assert ('value="revoke_grants"' in page, "/revoke/" in page) == (False, False)


def test_lists_of_what_does_not_stand_for_grants_have_no_action(admin_browser):
    GrantFactory()

    pages = [
        admin_browser.get(admin_url(f"{model}_changelist")).content.decode()
        for model in ("grantevent", "authorizationcode", "trustedissuer", "usedassertion")
    ]

    assert [('value="revoke_grants"' in page, "/revoke/" in page) for page in pages] == [(False, False)] * 4


@pytest.mark.parametrize("model", ["grantevent", "authorizationcode", "trustedissuer", "usedassertion"])
def test_action_is_unknown_where_rows_do_not_stand_for_grants(admin_browser, model):
    before = database_snapshot()

    admin_browser.post(admin_url(f"{model}_changelist"), {"action": "revoke_grants", "select_across": "1", **CONFIRMED})

    assert database_snapshot() == before


def test_page_opened_before_the_permission_was_lost_revokes_nothing(scene):
    person = staff("view_grant", "revoke_grant")
    client, url = browser(person), admin_url("grant_revoke", scene.client.grant.pk)
    client.get(url)
    person.user_permissions.clear()

    response = client.post(url, CONFIRMED)

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert not Grant.objects.filter(revoked_reason=REASON).exists()


def test_signed_out_staff_revoke_nothing(scene):
    client: Client = revoking_browser("grant")
    client.logout()

    response = client.post(admin_url("grant_revoke", scene.client.grant.pk), CONFIRMED)

    assert response.status_code == HTTPStatus.FOUND
    assert not Grant.objects.filter(revoked_reason=REASON).exists()


def test_rows_of_another_database_revoke_nothing(admin_browser, superuser, rf):
    """``tests/archive`` has such a database, and an admin of it."""
    grant = GrantFactory()
    request = rf.post("/", {"confirm": "1", "reason": "theft"})
    request.user, request.session = superuser, admin_browser.session
    request._messages = FallbackStorage(request)
    model_admin = admin.site.get_model_admin(type(grant.user))

    response = model_admin.revoke_selected(request, type(grant.user).objects.using("archive"))

    assert response.status_code == HTTPStatus.FOUND
    assert [str(message) for message in request._messages] == [
        "Nothing was revoked: these rows are in another database."
    ]
    grant.refresh_from_db()
    assert grant.is_live
