"""Staff who may change applications or issuers get no tokens of a superuser by it: what needs a further permission."""

import json
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Application, Grant, GrantType, TrustedIssuer
from tests.admin.applications import NEW
from tests.admin.pages import admin_url, browser, form_errors, form_with, links, page_text, readonly_fields, staff
from tests.consent import REDIRECT_URI, CodeFlow, read_answer, start_flow
from tests.factories import SECRET, ApplicationFactory, TrustedIssuerFactory, UserFactory
from tests.interference import run_after_select
from tests.jwts import EC_KEY, OTHER_KEY, grant_claims, jwks, sign
from tests.oauth import OAuthClient

ATTACKER = "https://attacker.example/callback"
KEYS = json.dumps(jwks(OTHER_KEY))
ORDINARY = ("add_application", "change_application", "delete_application", "view_application")
ISSUERS = ("add_trustedissuer", "change_trustedissuer", "delete_trustedissuer", "view_trustedissuer")
ISSUER = {
    "issuer": "https://issuer.example",
    "is_active": "on",
    "jwks": KEYS,
    "jwks_uri": "",
    "algorithms": "RS256 ES256",
    "subject_field": "username",
    "scope": "",
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def insider():
    """The browser of staff with Django's ordinary permissions for applications."""
    return browser(staff(*ORDINARY))


@pytest.fixture
def all_of_the_app():
    """The browser of staff with every permission of this app, those of its own too, and to view users."""
    person = UserFactory(is_staff=True)
    person.user_permissions.set(Permission.objects.filter(content_type__app_label="oauth_refresh"))
    person.user_permissions.add(Permission.objects.get(codename="view_user"))
    return browser(person)


def change_url(application):
    return admin_url("application_change", application.pk)


def shown(client, application):
    return form_with(client.get(change_url(application)), "grant_types")


def columns(application):
    return Application.objects.filter(pk=application.pk).values().get()


# Each column that gives away tokens, and whom it may be changed by.

MARKED = {
    "trusted": {"is_trusted": True},
    "resource server": {"is_resource_server": True},
    "both": {"is_trusted": True, "is_resource_server": True},
}
FORGED = {
    "is_trusted": "on",
    "is_resource_server": "on",
    "redirect_uris": ATTACKER,
    "auth_method": "none",
    "strict_auth_method": "on",
    "jwks": KEYS,
    "jwks_uri": "https://attacker.example/keys",
    "requires_pkce": "",
    "owner": "mallory",
}


@pytest.mark.parametrize("name", ["is_trusted", "is_resource_server", "owner"])
def test_forged_mark_is_not_stored(insider, name):
    UserFactory(username="mallory")
    application = ApplicationFactory(redirect_uris=REDIRECT_URI)
    before = columns(application)

    insider.post(change_url(application), shown(insider, application) | {name: FORGED[name]})

    assert columns(application) == before


@pytest.mark.parametrize(("mark", "name"), [("is_trusted", "Trusted"), ("is_resource_server", "Resource server")])
def test_staff_who_may_not_set_a_mark_may_not_remove_it(insider, mark, name):
    application = ApplicationFactory(redirect_uris=REDIRECT_URI, **{mark: True})

    response = insider.get(change_url(application))
    insider.post(change_url(application), form_with(response, "grant_types") | {"name": "Renamed"})

    assert name in readonly_fields(response)
    assert (columns(application)[mark], columns(application)["name"]) == (True, "Renamed")


@pytest.mark.parametrize(
    "name", ["redirect_uris", "auth_method", "strict_auth_method", "jwks", "jwks_uri", "requires_pkce"]
)
@pytest.mark.parametrize("marks", MARKED.values(), ids=MARKED)
def test_forged_credential_or_redirect_uri_of_a_marked_application_is_not_stored(insider, marks, name):
    application = ApplicationFactory(redirect_uris=REDIRECT_URI, **marks)
    before = columns(application)

    insider.post(change_url(application), shown(insider, application) | {name: FORGED[name]})

    after = columns(application)
    changed = {column for column in after if after[column] != before[column]}
    assert changed == ({name} if name == "redirect_uris" and "is_trusted" not in marks else set())


@pytest.mark.parametrize("marks", MARKED.values(), ids=MARKED)
def test_secret_of_a_marked_application_is_not_replaced(insider, marks):
    application = ApplicationFactory(
        raw_secret=SECRET,
        old_secret_digest=crypto.digest("x" * 22),
        old_secret_expires_at=timezone.now() + timedelta(days=1),
        **marks,
    )
    before, url = columns(application), admin_url("application_secret", application.pk)

    page = insider.get(change_url(application))
    answers = [insider.get(url), insider.post(url, {"overlap": "0"}), insider.post(url, {"withdraw": "yes"})]

    assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 3
    assert columns(application) == before
    assert url not in links(page)


@pytest.mark.parametrize(
    ("permission", "marks"),
    [("trust_application", {"is_trusted": True}), ("mark_resource_server", {"is_resource_server": True})],
)
def test_permission_of_a_mark_is_enough_for_the_mark_and_for_credentials(permission, marks):
    client = browser(staff("change_application", permission))
    plain, marked = ApplicationFactory(redirect_uris=REDIRECT_URI), ApplicationFactory(**marks)
    [mark] = marks

    client.post(change_url(plain), shown(client, plain) | {mark: "on"})
    page = client.get(admin_url("application_secret", marked.pk))

    assert columns(plain)[mark] is True
    assert page.status_code == HTTPStatus.OK


def test_redirect_uris_of_a_trusted_application_are_changed_by_superusers_only(all_of_the_app, admin_browser):
    application = ApplicationFactory(redirect_uris=REDIRECT_URI, is_trusted=True)

    all_of_the_app.post(change_url(application), shown(all_of_the_app, application) | {"redirect_uris": ATTACKER})
    assert columns(application)["redirect_uris"] == REDIRECT_URI

    admin_browser.post(change_url(application), shown(admin_browser, application) | {"redirect_uris": ATTACKER})
    assert columns(application)["redirect_uris"] == ATTACKER


@pytest.mark.parametrize("mark", ["is_trusted", "is_resource_server"])
def test_new_application_has_no_mark_that_its_creator_may_not_set(mark):
    client = browser(staff("add_application"))

    client.post(admin_url("application_add"), NEW | {mark: "on"})

    assert getattr(Application.objects.get(), mark) is False


def test_page_says_that_something_needs_a_further_permission(insider, admin_browser, application):
    text = "You cannot edit every field: some need a further permission, or a superuser."

    assert text in page_text(insider.get(change_url(application)))
    assert text in page_text(insider.get(admin_url("application_add")))
    assert text not in page_text(admin_browser.get(change_url(application)))
    assert text not in page_text(browser(staff("view_application")).get(change_url(application)))


def test_redirect_uri_is_not_changed_if_the_application_was_trusted_meanwhile(insider):
    application = ApplicationFactory(redirect_uris=REDIRECT_URI)
    values = shown(insider, application) | {"redirect_uris": ATTACKER}

    with run_after_select(Application, lambda: Application.objects.update(is_trusted=True)):
        response = insider.post(change_url(application), values)

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert columns(application)["redirect_uris"] == REDIRECT_URI


def test_error_of_a_column_that_can_only_be_read_is_shown_with_the_form(insider):
    application = ApplicationFactory(grant_types="refresh_token", is_trusted=True, secret_digest="")
    values = shown(insider, application) | {"grant_types": ["authorization_code"]}

    response = insider.post(change_url(application), values)

    assert form_errors(response) == {
        "__all__": [
            "The authorization code grant needs a redirect URI: add one, or remove the grant type.",
            "The application has no secret to authenticate with.",
        ]
    }


# Issuers.


@pytest.mark.parametrize("permissions", [ISSUERS, (*ISSUERS, *ORDINARY)], ids=len)
def test_ordinary_permissions_change_no_issuer(permissions):
    client, issuer = browser(staff(*permissions)), TrustedIssuerFactory(jwks=jwks(EC_KEY))
    before = list(TrustedIssuer.objects.values())
    change, delete = (admin_url(f"trustedissuer_{page}", issuer.pk) for page in ("change", "delete"))
    listed = admin_url("trustedissuer_changelist")

    answers = [
        client.get(admin_url("trustedissuer_add")),
        client.post(admin_url("trustedissuer_add"), ISSUER),
        client.post(change, ISSUER | {"issuer": issuer.issuer}),
        client.post(delete, {"post": "yes"}),
    ]
    client.post(listed, {"action": "delete_selected", "_selected_action": [issuer.pk], "post": "yes"})

    assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 4
    assert list(TrustedIssuer.objects.values()) == before
    assert [client.get(url).status_code for url in (listed, change)] == [HTTPStatus.OK] * 2


def test_staff_who_manage_issuers_add_change_and_delete_them():
    client = browser(staff(*ISSUERS, "manage_trusted_issuers"))

    client.post(admin_url("trustedissuer_add"), ISSUER | {"allows_superusers": "on"})
    issuer = TrustedIssuer.objects.get()
    client.post(admin_url("trustedissuer_change", issuer.pk), ISSUER | {"algorithms": "ES256"})
    assert TrustedIssuer.objects.values_list("algorithms", "allows_superusers").get() == ("ES256", False)

    client.post(admin_url("trustedissuer_delete", issuer.pk), {"post": "yes"})
    assert not TrustedIssuer.objects.exists()


def test_issuer_that_may_act_for_superusers_is_changed_by_superusers_only(all_of_the_app, admin_browser):
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY), allows_superusers=True)
    url = admin_url("trustedissuer_change", issuer.pk)
    before, forged = list(TrustedIssuer.objects.values()), ISSUER | {"issuer": issuer.issuer}

    refused = [
        all_of_the_app.post(url, forged | {"allows_superusers": "on"}),
        all_of_the_app.post(admin_url("trustedissuer_delete", issuer.pk), {"post": "yes"}),
    ]
    chosen = {"action": "delete_selected", "_selected_action": [issuer.pk], "post": "yes"}
    all_of_the_app.post(admin_url("trustedissuer_changelist"), chosen)

    assert [answer.status_code for answer in refused] == [HTTPStatus.FORBIDDEN] * 2
    assert list(TrustedIssuer.objects.values()) == before

    admin_browser.post(url, forged)
    assert TrustedIssuer.objects.values_list("jwks", "allows_superusers").get() == (jwks(OTHER_KEY), False)


def test_superuser_decides_that_an_issuer_may_act_for_superusers(admin_browser):
    admin_browser.post(admin_url("trustedissuer_add"), ISSUER | {"allows_superusers": "on"})

    assert TrustedIssuer.objects.get().allows_superusers


@pytest.mark.parametrize("allows", [False, True])
def test_assertion_for_a_superuser_needs_an_issuer_that_may_act_for_superusers(superuser, allows, caplog):
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY), allows_superusers=allows)
    client = OAuthClient(ApplicationFactory(raw_secret=SECRET, grant_types=GrantType.JWT_BEARER.value), SECRET)
    caplog.set_level("INFO", logger="oauth_refresh")

    response = client.token(grant_type=GrantType.JWT_BEARER.value, assertion=sign(grant_claims(issuer, superuser)))

    assert response.status_code == (HTTPStatus.OK if allows else HTTPStatus.BAD_REQUEST)
    assert Grant.objects.exists() is allows
    assert ("the issuer may not act for superusers" in caplog.text) is not allows


# Whole stories: an insider, and a superuser who follows a link.


def flow_of(application, person, *, redirect_uri=ATTACKER):
    return CodeFlow(OAuthClient(application, SECRET), browser(person), redirect_uri)


def test_superuser_who_allowed_an_application_is_asked_again_after_its_redirect_uri_changed(insider, superuser):
    flow = start_flow(superuser)
    flow.redeem(flow.code())
    assert "code" in read_answer(flow.ask())

    application = flow.client.application
    insider.post(
        change_url(application), shown(insider, application) | {"redirect_uris": f"{REDIRECT_URI}\n{ATTACKER}"}
    )
    response = flow_of(application, superuser).ask()

    assert columns(application)["redirect_uris"].split() == [REDIRECT_URI, ATTACKER]
    assert response.status_code == HTTPStatus.OK
    assert "attacker.example" in page_text(response)


def test_all_permissions_of_the_app_give_no_token_of_a_superuser_who_follows_a_link(all_of_the_app, superuser, user):
    application = ApplicationFactory(raw_secret=SECRET, redirect_uris=ATTACKER)
    all_of_the_app.post(change_url(application), shown(all_of_the_app, application) | {"is_trusted": "on"})

    asked, not_asked = flow_of(application, superuser).ask(), flow_of(application, user).ask()

    assert columns(application)["is_trusted"]
    assert asked.status_code == HTTPStatus.OK
    assert "code" in read_answer(not_asked)
    assert not Grant.objects.filter(user=superuser).exists()


def test_all_permissions_of_the_app_give_no_token_of_a_superuser_by_an_issuer(all_of_the_app, superuser):
    all_of_the_app.post(admin_url("trustedissuer_add"), ISSUER | {"allows_superusers": "on"})
    client = OAuthClient(ApplicationFactory(raw_secret=SECRET, grant_types=GrantType.JWT_BEARER.value), SECRET)
    assertion = sign(grant_claims(TrustedIssuer.objects.get(), superuser), OTHER_KEY)

    response = client.token(grant_type=GrantType.JWT_BEARER.value, assertion=assertion)

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert not AccessToken.objects.exists()


def test_all_permissions_of_the_app_generate_no_token_of_a_superuser(all_of_the_app, superuser, application):
    url = admin_url("application_tokens", application.pk)

    all_of_the_app.post(url, {"username": superuser.username, "scope": ["notes:read"]})

    assert not AccessToken.objects.exists()


def test_superuser_is_asked_once_at_a_trusted_application_and_then_remembered(superuser):
    flow = start_flow(superuser, is_trusted=True)

    first = flow.ask()
    flow.redeem(flow.code())

    assert first.status_code == HTTPStatus.OK
    assert "code" in read_answer(flow.ask())


def test_names_of_users_are_not_shown_for_keys_that_are_entered_as_owner(insider, superuser):
    application = ApplicationFactory()
    values = shown(insider, application) | {"owner": str(superuser.pk), "name": ""}

    response = insider.post(change_url(application), values)

    assert form_errors(response) == {"name": ["This field is required."]}
    assert superuser.username not in response.content.decode()


@pytest.mark.parametrize("permission", ["view_user", "change_user"])
def test_owner_is_chosen_by_staff_who_may_view_users(permission, user):
    client, application = (
        browser(staff("change_application", permission)),
        ApplicationFactory(redirect_uris=REDIRECT_URI),
    )

    client.post(change_url(application), shown(client, application) | {"owner": user.username})

    assert columns(application)["owner_id"] == user.pk
