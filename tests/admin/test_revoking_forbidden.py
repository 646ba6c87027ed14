"""To revoke takes the permission to revoke and to look at the rows: whoever lacks one sees no button, and gets 403."""

from http import HTTPStatus

import pytest
from django.contrib import admin
from django.test import Client

from oauth_refresh.admin import GrantAdmin
from oauth_refresh.models import Grant
from tests.admin.pages import address, browser, log, staff
from tests.admin.revocations import MODELS, REASON, revoker, set_scene
from tests.factories import GrantFactory
from tests.interference import everything

CONFIRMED = {"confirm": "yes", "reason": REASON}
EVERY_MODEL = pytest.mark.parametrize("model", [model for model in MODELS if not model.startswith("members_")])
"""What holds for the users holds for their proxies and children: their admin is no other."""

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene(db):
    return set_scene()


def every_request(model, row):
    """Return each request that shows what would die, or that would end it: method, URL, data."""
    page, listed, changelist = (
        address(f"{model}_revoke", row.pk),
        address(f"{model}_revoke_list"),
        address(f"{model}_changelist"),
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
def test_whoever_lacks_a_permission_is_refused_everywhere(scene, model, permissions):
    name, before = model.rpartition("_")[2], everything()
    client = browser(staff(*[permission.format(name) for permission in permissions]))
    requests = every_request(model, scene.row(model))

    found = answers(client, requests)

    assert found == [HTTPStatus.FORBIDDEN] * len(requests)
    assert everything() == before
    assert log() == []


@pytest.mark.parametrize("query", [{"created_at__gte": "x"}, {"q": "oat_" + "A" * 43}], ids=str)
def test_whoever_lacks_a_permission_is_refused_before_the_filters_are_read(query):
    response = browser(staff("view_grant")).get(address("grant_revoke_list", **query))

    assert response.status_code == HTTPStatus.FORBIDDEN


@EVERY_MODEL
def test_whoever_may_only_look_sees_no_button_and_no_action(scene, model):
    client = browser(staff(f"view_{model.rpartition('_')[2]}"))
    urls = [address(f"{model}_changelist"), address(f"{model}_change", scene.row(model).pk)]

    pages = [client.get(url) for url in urls]

    assert [page.status_code for page in pages] == [HTTPStatus.OK] * 2
    assert [page.content.decode().lower().count("/revoke/") for page in pages] == [0, 0]
    assert "revoke_grants" not in pages[0].content.decode()


@EVERY_MODEL
def test_whoever_may_revoke_sees_a_button_and_an_action(scene, model):
    client, row = revoker(model), scene.row(model)
    urls = [address(f"{model}_changelist"), address(f"{model}_change", row.pk)]

    listed, page = [client.get(url).content.decode() for url in urls]

    assert '<option value="revoke_grants">' in listed
    assert f'href="{address(f"{model}_revoke", row.pk)}"' in page


@EVERY_MODEL
def test_who_is_not_signed_in_signs_in_first(scene, client, model):
    before, requests = everything(), every_request(model, scene.row(model))

    responses = [getattr(client, method)(url, data) for method, url, data in requests]

    assert {(response.status_code, response.url.split("?")[0]) for response in responses} == {
        (HTTPStatus.FOUND, "/admin/login/")
    }
    assert everything() == before


def test_people_who_are_no_staff_are_sent_to_sign_in(scene, user):
    requests = every_request("grant", scene.session.grant)

    assert answers(browser(user), requests) == [HTTPStatus.FOUND] * len(requests)


@EVERY_MODEL
def test_other_sites_revoke_nothing(scene, model):
    client, before = revoker(model, enforce_csrf_checks=True), everything()
    posts = [request for request in every_request(model, scene.row(model)) if request[0] == "post"]

    found = answers(client, posts)

    assert found == [HTTPStatus.FORBIDDEN] * len(posts)
    assert everything() == before


def test_forms_carry_their_own_protection(scene):
    client = revoker("grant", enforce_csrf_checks=True)
    url = address("grant_revoke", scene.session.grant.pk)
    token = client.get(url).context["csrf_token"]

    client.post(url, {**CONFIRMED, "csrfmiddlewaretoken": token})

    assert Grant.objects.get(revoked_reason=REASON) == scene.session.grant


@EVERY_MODEL
def test_a_link_revokes_nothing(scene, model):
    client, before = revoker(model), everything()
    urls = [address(f"{model}_revoke", scene.row(model).pk), address(f"{model}_revoke_list")]

    found = [client.get(url, CONFIRMED).status_code for url in urls]

    # The list takes what it does not know for a filter, and leads back.
    assert found == [HTTPStatus.OK, HTTPStatus.FOUND]
    assert everything() == before


def test_project_that_has_switched_actions_off_has_no_action_and_its_pages_still(rf, superuser, scene):
    class QuietAdmin(GrantAdmin):
        actions = None

    request = rf.get("/")
    request.user = superuser
    quiet = QuietAdmin(Grant, admin.site)

    assert quiet.get_actions(request) == {}
    assert quiet.revoke_view(request, str(scene.session.grant.pk)).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    ("model", "key"),
    [*[(model, "999") for model in MODELS], *[("grant", key) for key in ("x", "1/2", "-1", "9" * 30, "\x00")]],
)
def test_row_that_does_not_exist_is_not_found(model, key):
    client, url = revoker(model), address(f"{model}_revoke", key)

    found = answers(client, [("get", url, {}), ("post", url, CONFIRMED)])

    assert found == [HTTPStatus.NOT_FOUND] * 2


@pytest.mark.parametrize("state", ["revoked", "expired"])
def test_grant_that_is_over_has_no_button(operator, state):
    grant = GrantFactory(**{state: True})

    page = operator.get(address("grant_change", grant.pk)).content.decode()

    assert "/revoke/" not in page


@pytest.mark.parametrize("bent", [{}, {"user__is_active": False}, {"password_fingerprint": "0" * 64}], ids=str)
def test_grant_that_is_not_over_has_a_button(operator, bent):
    grant = GrantFactory(**bent)

    page = operator.get(address("grant_change", grant.pk)).content.decode()

    assert f'<a href="{address("grant_revoke", grant.pk)}" class="oauth-danger">Revoke…</a>' in page


def test_people_are_signed_out_by_a_button_of_that_name(scene):
    page = revoker("auth_user").get(address("auth_user_change", scene.of_user.user.pk)).content.decode()

    assert ">Sign out everywhere…</a>" in page


@pytest.mark.parametrize("model", ["auth_user", "application"])
def test_page_for_a_new_row_has_no_button(operator, model):
    page = operator.get(address(f"{model}_add")).content.decode()

    assert "/revoke/" not in page


@EVERY_MODEL
def test_list_to_choose_a_row_from_offers_no_revocation(scene, model):
    client = revoker(model)

    page = client.get(address(f"{model}_changelist", _popup="1")).content.decode()

    assert ("revoke_grants" in page, "/revoke/" in page) == (False, False)


def test_lists_of_what_does_not_stand_for_grants_have_no_action(operator):
    GrantFactory()

    pages = [
        operator.get(address(f"{model}_changelist")).content.decode()
        for model in ("grantevent", "authorizationcode", "trustedissuer", "usedassertion")
    ]

    assert [("revoke_grants" in page, "/revoke/" in page) for page in pages] == [(False, False)] * 4


@pytest.mark.parametrize("model", ["grantevent", "authorizationcode", "trustedissuer", "usedassertion"])
def test_action_is_unknown_where_rows_do_not_stand_for_grants(operator, model):
    before = everything()

    operator.post(address(f"{model}_changelist"), {"action": "revoke_grants", "select_across": "1", **CONFIRMED})

    assert everything() == before


def test_nobody_revokes_from_a_stale_page_after_losing_the_permission(scene):
    person = staff("view_grant", "revoke_grant")
    client, url = browser(person), address("grant_revoke", scene.session.grant.pk)
    client.get(url)
    person.user_permissions.clear()

    response = client.post(url, CONFIRMED)

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert not Grant.objects.filter(revoked_reason=REASON).exists()


def test_signed_out_operator_revokes_nothing(scene):
    client: Client = revoker("grant")
    client.logout()

    response = client.post(address("grant_revoke", scene.session.grant.pk), CONFIRMED)

    assert response.status_code == HTTPStatus.FOUND
    assert not Grant.objects.filter(revoked_reason=REASON).exists()
