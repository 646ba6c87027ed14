"""The form of an application explains itself: its choices, what the settings say, and what is risky."""

import re

import pytest

from tests.admin.pages import (
    admin_url,
    browser,
    form_errors,
    form_with,
    links,
    messages_on,
    page_text,
    plain_text,
    readonly_fields,
    staff,
)
from tests.factories import ApplicationFactory, GrantFactory

pytestmark = pytest.mark.django_db


def choices(response, name):
    """Return the boxes or options of a field: value to label."""
    return {str(value): str(label) for value, label in response.context["adminform"].form.fields[name].choices}


def test_page_for_a_new_application_proposes_the_defaults(admin_browser):
    form = form_with(admin_browser.get(admin_url("application_add")), "auth_method")

    assert {name: values for name, values in form.items() if values != [""] and name != "csrfmiddlewaretoken"} == {
        "is_active": ["on"],
        "grant_types": ["authorization_code", "refresh_token"],
        "auth_method": ["client_secret_basic"],
        "requires_pkce": ["on"],
        "repeats_redirect_uri": ["on"],
        "rotate_refresh_tokens": ["unknown"],
        "revoke_access_tokens_on_refresh": ["unknown"],
        "revoke_on_reuse": ["unknown"],
    }


def test_page_for_a_new_application_leaves_out_what_it_does_not_have_yet(admin_browser):
    response = admin_browser.get(admin_url("application_add"))

    assert [name for name in ("Active grants", "Created", "Secret:") if name in page_text(response)] == []


def test_grant_types_have_labels_that_say_which_are_not_offered(admin_browser, oauth_settings):
    oauth_settings(GRANT_TYPES=["authorization_code", "refresh_token"])

    response = admin_browser.get(admin_url("application_add"))

    absent = "(not offered: add it to GRANT_TYPES)"
    assert choices(response, "grant_types") == {
        "authorization_code": "authorization code",
        "client_credentials": f"client credentials {absent}",
        "urn:ietf:params:oauth:grant-type:jwt-bearer": f"signed assertion of a trusted issuer {absent}",
        "password": f"password {absent}",
        "refresh_token": "refresh token",
    }


def test_scopes_have_descriptions(admin_browser):
    response = admin_browser.get(admin_url("application_add"))

    assert choices(response, "scope") == {
        "notes:read": "notes:read: Read your notes",
        "notes:write": "notes:write: Write your notes",
        "PRODUCTION": "PRODUCTION: Use the production systems",
        "SANDBOX": "SANDBOX: Use the sandbox",
    }


@pytest.fixture
def outdated(db):
    """An application with a scope that the project dropped."""
    return ApplicationFactory(scope="notes:read gone")


def test_scope_that_the_project_dropped_is_shown(admin_browser, outdated):
    response = admin_browser.get(admin_url("application_change", outdated.pk))

    label = "gone (unknown to the project: untick it, or add it to SCOPES)"
    assert choices(response, "scope")["gone"] == label
    assert form_with(response, "auth_method")["scope"] == ["notes:read", "gone"]
    assert label in page_text(response)


def test_scope_that_the_project_dropped_is_not_saved_again(admin_browser, outdated):
    url = admin_url("application_change", outdated.pk)
    values = form_with(admin_browser.get(url), "auth_method")

    response = admin_browser.post(url, values)

    known = "notes:read notes:write PRODUCTION SANDBOX"
    assert form_errors(response) == {
        "scope": [f"Unknown scope: gone. Add it to OAUTH_REFRESH['SCOPES'], or choose from: {known}."]
    }


def test_scope_that_the_project_dropped_is_unticked(admin_browser, outdated):
    url = admin_url("application_change", outdated.pk)
    values = form_with(admin_browser.get(url), "auth_method")

    admin_browser.post(url, values | {"scope": ["notes:read"]})

    outdated.refresh_from_db()
    assert outdated.scope == "notes:read"


OVERRIDES = ["rotate_refresh_tokens", "revoke_access_tokens_on_refresh", "revoke_on_reuse"]


@pytest.mark.parametrize("word", ["yes", "no"])
@pytest.mark.parametrize("name", OVERRIDES)
def test_empty_override_says_what_the_settings_say(admin_browser, oauth_settings, name, word):
    oauth_settings(**{name.upper(): word == "yes"})

    html = admin_browser.get(admin_url("application_add")).content.decode()

    select = re.search(rf'<select name="{name}".*?</select>', html, re.DOTALL)[0]
    assert re.findall(r'<option value="(\w*)"(?: selected)?>(.*?)</option>', select) == [
        ("unknown", f"as the project&#x27;s settings say: {word}"),
        ("true", "Yes"),
        ("false", "No"),
    ]


@pytest.mark.parametrize(("chosen", "stored"), [("unknown", None), ("true", True), ("false", False)])
@pytest.mark.parametrize(("name", "before"), [(OVERRIDES[0], True), (OVERRIDES[1], None)])
def test_override_is_chosen_and_left_to_the_settings_again(admin_browser, name, before, chosen, stored):
    application = ApplicationFactory(**{name: before})
    url = admin_url("application_change", application.pk)
    values = form_with(admin_browser.get(url), "auth_method")

    admin_browser.post(url, values | {name: chosen})

    application.refresh_from_db()
    assert getattr(application, name) is stored


@pytest.mark.parametrize(("stored", "shown"), [(None, "unknown"), (True, "true"), (False, "false")])
def test_override_shows_what_is_stored(admin_browser, stored, shown):
    application = ApplicationFactory(rotate_refresh_tokens=stored)

    response = admin_browser.get(admin_url("application_change", application.pk))

    assert form_with(response, "auth_method")["rotate_refresh_tokens"] == [shown]


def test_lifetimes_explain_how_to_write_them(admin_browser):
    html = admin_browser.get(admin_url("application_add")).content.decode()

    assert re.findall(r'name="(\w+)" placeholder="days hh:mm:ss"', html) == [
        "access_token_lifetime",
        "refresh_token_lifetime",
        "grant_lifetime",
        "retry_window",
    ]


def risks_on(response):
    listed = re.search(r'<div class="oauth-risks">(.*?)</div>', response.content.decode(), re.DOTALL)
    return [plain_text(item)[:18] for item in re.findall(r"<li>(.*?)</li>", listed[1], re.DOTALL)] if listed else []


def test_risky_choices_stand_on_the_page(admin_browser):
    application = ApplicationFactory(rotate_refresh_tokens=False, is_trusted=True)

    response = admin_browser.get(admin_url("application_change", application.pk))

    assert risks_on(response) == ["Password grant: us", "Rotation is off: o", "Trusted: users are"]


def test_application_without_risks_has_no_warning(admin_browser):
    application = ApplicationFactory(grant_types="authorization_code refresh_token")

    assert risks_on(admin_browser.get(admin_url("application_change", application.pk))) == []


def test_page_for_a_new_application_warns_of_nothing(admin_browser):
    assert risks_on(admin_browser.get(admin_url("application_add"))) == []


def test_what_does_not_fit_stands_on_the_page(admin_browser):
    application = ApplicationFactory(grant_types="password refresh_token", redirect_uris="https://app.example/cb")

    text = page_text(admin_browser.get(admin_url("application_change", application.pk)))

    assert "What does not fit Redirect URIs are not used without the authorization code." in text


def test_saving_warns_of_what_became_risky_or_does_not_fit(admin_browser):
    application = ApplicationFactory(
        redirect_uris="https://app.example/cb", grant_types="authorization_code password refresh_token"
    )
    url = admin_url("application_change", application.pk)
    form = form_with(admin_browser.get(url), "auth_method")

    response = admin_browser.post(url, form | {"grant_types": ["password"], "is_trusted": "on"}, follow=True)

    assert [text[:24] for level, text in messages_on(response) if level == "warning"] == [
        "Trusted: users are not a",
        "Redirect URIs are not us",
        "“Trusted” has no effect ",
    ]


def test_adding_a_public_application_warns_of_its_risks(admin_browser):
    new = {"name": "A", "is_active": "on", "auth_method": "none", "requires_pkce": "on", "grant_types": ["password"]}

    response = admin_browser.post(admin_url("application_add"), new, follow=True)

    assert [text[:18] for level, text in messages_on(response) if level == "warning"] == ["Password grant: us"]


def test_risks_stand_beside_the_first_secret(admin_browser):
    response = admin_browser.post(
        admin_url("application_add"),
        {"name": "A", "is_active": "on", "auth_method": "client_secret_post", "grant_types": ["password"]},
    )

    assert risks_on(response) == ["Password grant: us", "PKCE is not requir"]


@pytest.mark.parametrize(
    ("bent", "text"),
    [
        ({"public": True}, "none"),
        ({"secret_digest": "", "imported_secret_hash": "md5$a$b"}, "imported as a password hash"),
        (
            {"imported_secret_hash": "md5$a$b", "old_secret_expires_at": "2100-01-01T00:00Z"},
            "stored as a digest; the old one is valid until 2100-01-01 00:00:00",
        ),
        ({}, "stored as a digest"),
        ({"old_secret_digest": "0ld" * 21, "old_secret_expires_at": "2000-01-01T00:00Z"}, "stored as a digest"),
        (
            {"old_secret_digest": "0ld" * 21, "old_secret_expires_at": "2100-01-01T00:00Z"},
            "stored as a digest; the old one is valid until 2100-01-01 00:00:00",
        ),
    ],
)
def test_page_says_what_secrets_there_are(admin_browser, bent, text):
    application = ApplicationFactory(**bent)

    assert readonly_fields(admin_browser.get(admin_url("application_change", application.pk)))["Secret"] == text


def test_page_counts_the_active_grants(admin_browser, application):
    GrantFactory.create_batch(2, application=application)
    GrantFactory(application=application, revoked=True)

    assert readonly_fields(admin_browser.get(admin_url("application_change", application.pk)))["Active grants"] == "2"


def test_staff_who_may_only_view_see_every_value_and_no_form(application):
    client = browser(staff("view_application"))

    response = client.get(admin_url("application_change", application.pk))

    shown = readonly_fields(response)
    assert (shown["Name"], shown["Client ID"], shown["Secret"], shown["Grant types"], shown["Active grants"]) == (
        application.name,
        application.client_id,
        "stored as a digest",
        application.grant_types,
        "0",
    )
    assert risks_on(response) == ["Password grant: us"]
    assert "_save" not in response.content.decode()


@pytest.mark.parametrize(
    ("permissions", "offered"),
    [
        (["view_application"], []),
        (["view_application", "change_application"], ["secret"]),
        (["view_application", "issue_tokens"], ["tokens"]),
        (["change_application", "issue_tokens", "revoke_grant"], ["tokens", "secret", "revoke"]),
    ],
)
def test_page_offers_what_its_reader_may_do(application, permissions, offered):
    GrantFactory(application=application)
    client = browser(staff(*permissions))

    found = links(client.get(admin_url("application_change", application.pk)))

    pages = {page: admin_url(f"application_{page}", application.pk) for page in ("tokens", "secret", "revoke")}
    assert [page for page, url in pages.items() if url in found] == offered


@pytest.mark.parametrize("ended", [{"revoked": True}, {"expired": True}])
def test_page_of_an_application_without_grants_to_revoke_offers_no_revocation(admin_browser, application, ended):
    GrantFactory(application=application, **ended)

    page = admin_browser.get(admin_url("application_change", application.pk))

    assert admin_url("application_revoke", application.pk) not in links(page)


def test_offline_access_in_the_list_of_an_application_is_shown_by_its_text(admin_browser):
    application = ApplicationFactory(scope="notes:read offline_access")

    page = admin_browser.get(admin_url("application_change", application.pk)).content.decode()

    assert "offline_access: Act for you while you are away" in page
    assert "offline_access (unknown" not in page
