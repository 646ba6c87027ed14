"""Applications are created and edited, with messages that say what to write instead; their secret is shown once."""

import json
import re
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib.admin.models import LogEntry

from oauth_refresh import crypto
from oauth_refresh.models import Application, Grant
from tests.admin.applications import NEW, PUBLIC, accepts_secret, copyable_value
from tests.admin.pages import admin_url, browser, column, form_errors, form_with, log_entries, messages_on, staff
from tests.factories import SECRET, ApplicationFactory, GrantFactory, UserFactory
from tests.jwts import EC_KEY, jwks

KEYS = json.dumps(jwks(EC_KEY))
KEYED = NEW | {"auth_method": "private_key_jwt", "jwks": KEYS}

pytestmark = pytest.mark.django_db


def test_confidential_application_is_created_and_its_secret_shown(admin_browser):
    response = admin_browser.post(admin_url("application_add"), NEW)

    application, secret = Application.objects.get(), copyable_value(response, "client-secret")
    assert response.status_code == HTTPStatus.OK
    assert application.secret_digest == crypto.digest(secret)
    assert copyable_value(response, "client-id") == application.client_id
    assert accepts_secret(application, secret)


def test_every_value_that_was_written_is_stored(admin_browser, superuser, oauth_settings):
    oauth_settings(RESOURCES={"https://api.example/notes": {}, "https://files.example": {}})
    written = {
        "client_id": "notes for web",
        "owner": superuser.username,
        "scope": ["notes:read", "PRODUCTION"],
        "strict_auth_method": "on",
        "is_trusted": "on",
        "is_resource_server": "on",
        "resources": ["https://api.example/notes"],
        "access_token_lifetime": "00:10:00",
        "refresh_token_lifetime": "7 00:00:00",
        "grant_lifetime": "30 00:00:00",
        "rotate_refresh_tokens": "False",
        "revoke_access_tokens_on_refresh": "True",
        "retry_window": "00:00:30",
        "revoke_on_reuse": "False",
    }

    admin_browser.post(admin_url("application_add"), NEW | written)

    stored = Application.objects.values().get()
    generated = {name: stored.pop(name) for name in ("id", "secret_digest", "created_at")}
    assert all(generated.values())
    assert stored == {
        "client_id": "notes for web",
        "name": "Notes",
        "owner_id": superuser.pk,
        "is_active": True,
        "auth_method": "client_secret_basic",
        "strict_auth_method": True,
        "old_secret_digest": "",
        "old_secret_expires_at": None,
        "imported_secret_hash": "",
        "imported_secret_is_short": False,
        "jwks": None,
        "jwks_uri": "",
        "grant_types": "authorization_code client_credentials refresh_token",
        "redirect_uris": "https://app.example/callback",
        "repeats_redirect_uri": False,
        "requires_pkce": True,
        "is_trusted": True,
        "is_resource_server": True,
        "resources": "https://api.example/notes",
        "from_metadata_document": False,
        "scope": "notes:read PRODUCTION",
        "access_token_lifetime": timedelta(minutes=10),
        "refresh_token_lifetime": timedelta(days=7),
        "grant_lifetime": timedelta(days=30),
        "rotate_refresh_tokens": False,
        "revoke_access_tokens_on_refresh": True,
        "retry_window": timedelta(seconds=30),
        "revoke_on_reuse": False,
    }


def test_creation_and_first_secret_are_logged(admin_browser):
    admin_browser.post(admin_url("application_add"), NEW)

    key = str(Application.objects.get().pk)
    assert log_entries() == [
        ("application", key, "Notes", "Added."),
        ("application", key, "Notes", "Generated a secret; no other works."),
    ]


def test_secret_is_never_shown_again(admin_browser):
    secret = copyable_value(admin_browser.post(admin_url("application_add"), NEW), "client-secret")
    key = Application.objects.get().pk

    pages = [
        admin_browser.get(url).content.decode()
        for url in (
            admin_url("application_changelist"),
            *[admin_url(f"application_{page}", key) for page in ("change", "history", "secret", "tokens", "revoke")],
        )
    ]

    assert [secret in page or crypto.digest(secret) in page for page in pages] == [False] * 6


def test_page_with_the_first_secret_is_not_stored(admin_browser):
    response = admin_browser.post(admin_url("application_add"), NEW)

    assert "no-store" in response.headers["Cache-Control"]
    assert copyable_value(response, "client-secret") not in repr(
        [dict(admin_browser.session), log_entries(), response.headers, response.cookies]
    )


@pytest.mark.parametrize("button", ["_save", "_continue", "_addanother", "_popup"])
def test_secret_is_shown_whichever_button_was_pressed(admin_browser, button):
    response = admin_browser.post(admin_url("application_add"), NEW | {button: "1"})

    assert accepts_secret(Application.objects.get(), copyable_value(response, "client-secret"))


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_both_methods_with_a_secret_get_one(admin_browser, method):
    response = admin_browser.post(admin_url("application_add"), NEW | {"auth_method": method})

    assert accepts_secret(Application.objects.get(auth_method=method), copyable_value(response, "client-secret"))


@pytest.mark.parametrize(
    "written",
    [PUBLIC, KEYED, KEYED | {"jwks": "", "jwks_uri": "https://a.example/keys"}],
    ids=["public", "keys", "address of keys"],
)
def test_application_that_needs_no_secret_has_none(admin_browser, written):
    response = admin_browser.post(admin_url("application_add"), written, follow=True)

    application = Application.objects.get()
    assert response.redirect_chain == [(admin_url("application_changelist"), HTTPStatus.FOUND)]
    assert (application.secret_digest, application.has_credentials) == ("", True)
    assert [entry[3] for entry in log_entries()] == ["Added."]


def test_keys_are_stored_as_they_were_written(admin_browser):
    admin_browser.post(admin_url("application_add"), KEYED)

    assert Application.objects.get().jwks == jwks(EC_KEY)


def test_client_id_is_generated_if_none_is_given(admin_browser):
    admin_browser.post(admin_url("application_add"), PUBLIC | {"client_id": ""})

    assert re.fullmatch(r"[0-9a-f]{32}", Application.objects.get().client_id)


SCOPES = "notes:read notes:write PRODUCTION SANDBOX"
URI = (
    "write an absolute https URI with a host and without user or password, or a private-use scheme with a period, "
    "like com.example.app:/callback, or one of REDIRECT_SCHEMES."
)
NO_SET = ['Write a JSON Web Key Set: {"keys": [...]} with at least one key.']
BAD = [
    ({"name": ""}, {"name": ["This field is required."]}),
    ({"grant_types": []}, {"grant_types": ["This field is required."]}),
    (
        {"grant_types": ["implicit"]},
        {"grant_types": ["Select a valid choice. implicit is not one of the available choices."]},
    ),
    ({"client_id": "known"}, {"client_id": ["Application with this Client ID already exists."]}),
    ({"client_id": "naïve"}, {"client_id": ["Write visible ASCII characters; spaces only inside."]}),
    (
        {"scope": ["notes:delete"]},
        {"scope": ["Select a valid choice. notes:delete is not one of the available choices."]},
    ),
    ({"redirect_uris": "/callback"}, {"redirect_uris": [f"/callback: {URI}"]}),
    ({"redirect_uris": "javascript:alert(1)"}, {"redirect_uris": [f"javascript:alert(1): {URI}"]}),
    (
        {"redirect_uris": "https://a.example/\r\nhttp://b.example/"},
        {"redirect_uris": ["http://b.example/: plain http is only for loopback addresses; write https."]},
    ),
    (
        {"redirect_uris": "https://a.example/#x"},
        {"redirect_uris": ["https://a.example/#x: leave out the fragment (RFC 6749 §3.1.2)."]},
    ),
    ({"auth_method": ""}, {"auth_method": ["This field is required."]}),
    ({"access_token_lifetime": "ten minutes"}, {"access_token_lifetime": ["Enter a valid duration."]}),
    (
        {"access_token_lifetime": "0"},
        {"access_token_lifetime": ["Ensure this value is greater than or equal to 0:00:01."]},
    ),
    (
        {"access_token_lifetime": "15 00:00:00"},
        {"access_token_lifetime": ["An access token may not outlive the refresh token."]},
    ),
    ({"grant_lifetime": "1 00:00:00"}, {"refresh_token_lifetime": ["A refresh token may not outlive the grant."]}),
    (KEYED | {"jwks": ""}, {"jwks": ["private_key_jwt needs the application's public keys, or their URL."]}),
    (KEYED | {"jwks": "{"}, {"jwks": ["Enter a valid JSON."]}),
    (KEYED | {"jwks": "[]"}, {"jwks": ["private_key_jwt needs the application's public keys, or their URL."]}),
    (KEYED | {"jwks": '{"keys": []}'}, {"jwks": NO_SET}),
    (
        KEYED | {"jwks": json.dumps({"keys": [EC_KEY.as_dict(private=True)]})},
        {"jwks": ["Leave private and symmetric keys out: the set may hold public keys only."]},
    ),
    (
        KEYED | {"jwks": "", "jwks_uri": "http://a.example/keys"},
        {"jwks_uri": ["Write an absolute https URI without user, password or fragment."]},
    ),
    (
        PUBLIC | {"grant_types": ["client_credentials"]},
        {"grant_types": ["A public application cannot authenticate, so it cannot use client_credentials."]},
    ),
    (
        PUBLIC | {"rotate_refresh_tokens": "False"},
        {"__all__": ["A public application must rotate its refresh tokens (RFC 9700 §4.14.2)."]},
    ),
    (PUBLIC | {"requires_pkce": ""}, {"__all__": ["A public application must use PKCE (RFC 9700 §2.1.1)."]}),
    ({"owner": "nobody"}, {"owner": ["There is no user of that name."]}),
]


@pytest.mark.parametrize(("change", "errors"), BAD, ids=lambda part: str(part)[:60])
def test_wrong_input_is_refused_with_what_to_write_and_creates_nothing(admin_browser, change, errors):
    known = ApplicationFactory(client_id="known")

    response = admin_browser.post(admin_url("application_add"), NEW | change)

    # Where a field is wrong in itself, the model may add what follows from leaving it out.
    assert {name: form_errors(response).get(name, [])[:1] for name in errors} == errors
    assert list(Application.objects.all()) == [known]
    assert log_entries() == []


@pytest.fixture
def shown(admin_browser):
    """What the page of an application with every kind of value sends if nothing is changed."""
    application = ApplicationFactory(
        raw_secret=SECRET,
        old_secret_digest="0ld" * 21,
        old_secret_expires_at="2100-01-01T00:00Z",
        owner=UserFactory(),
        jwks=jwks(EC_KEY),
        redirect_uris="https://a.example/\nhttps://b.example/",
        scope="notes:read SANDBOX",
        access_token_lifetime=timedelta(seconds=61),
        rotate_refresh_tokens=False,
        is_trusted=True,
    )
    return application, form_of(admin_browser, application)


def form_of(client, application):
    return form_with(client.get(admin_url("application_change", application.pk)), "auth_method")


def test_page_of_an_application_saves_what_it_shows(admin_browser, shown):
    application, values = shown
    before = Application.objects.values().get()

    response = admin_browser.post(admin_url("application_change", application.pk), values)

    assert response.status_code == HTTPStatus.FOUND
    assert Application.objects.values().get() == before


def test_log_says_what_was_changed(admin_browser, shown):
    application, values = shown

    admin_browser.post(
        admin_url("application_change", application.pk), values | {"name": "Other", "scope": ["SANDBOX"]}
    )

    assert log_entries() == [("application", str(application.pk), "Other", "Changed Name and Scope.")]


def test_saving_what_is_shown_changes_nothing_by_the_log(admin_browser, shown):
    application, values = shown

    admin_browser.post(admin_url("application_change", application.pk), values)

    assert [entry[3] for entry in log_entries()] == ["No fields changed."]


def test_edit_keeps_the_secret(admin_browser, application):
    values = form_of(admin_browser, application)

    admin_browser.post(admin_url("application_change", application.pk), values | {"name": "Renamed"})

    assert Application.objects.get().name == "Renamed"
    assert accepts_secret(application, SECRET)


@pytest.mark.parametrize(
    "name", ["client_id", "secret_digest", "old_secret_digest", "created_at", "active_grants", "id"]
)
def test_what_is_not_for_editing_is_not_edited(admin_browser, shown, name):
    application, values = shown
    before = Application.objects.values().get()

    admin_browser.post(admin_url("application_change", application.pk), values | {name: "0" * 64})

    assert Application.objects.values().get() == before


def test_application_cannot_be_left_without_credentials(admin_browser, public_application):
    values = form_of(admin_browser, public_application)

    response = admin_browser.post(
        admin_url("application_change", public_application.pk), values | {"auth_method": "client_secret_basic"}
    )

    assert form_errors(response) == {"auth_method": ["The application has no secret to authenticate with."]}


def test_application_created_public_has_no_secret_to_change_over_to(admin_browser):
    admin_browser.post(admin_url("application_add"), PUBLIC)
    application = Application.objects.get()

    response = admin_browser.post(admin_url("application_change", application.pk), NEW)

    assert form_errors(response) == {"auth_method": ["The application has no secret to authenticate with."]}


@pytest.mark.parametrize(("change", "errors"), BAD[5:9], ids=str)
def test_wrong_input_is_refused_and_changes_nothing(admin_browser, shown, change, errors):
    application, values = shown
    before = Application.objects.values().get()

    response = admin_browser.post(admin_url("application_change", application.pk), values | change)

    assert {name: form_errors(response).get(name, [])[:1] for name in errors} == errors
    assert Application.objects.values().get() == before


def test_deactivated_application_has_no_active_grants_at_once(admin_browser, client_app):
    application = client_app.application
    values = form_of(admin_browser, application)

    admin_browser.post(admin_url("application_change", application.pk), values | {"is_active": []})

    assert Grant.objects.get().revoked_reason == "application_deactivated"
    assert client_app.refresh().json()["error"] == "invalid_client"


def test_deleted_application_takes_its_grants_along(admin_browser, client_app):
    admin_browser.post(admin_url("application_delete", client_app.application.pk), {"post": "yes"})

    assert (Application.objects.count(), Grant.objects.count()) == (0, 0)


def test_selected_applications_take_their_grants_along(admin_browser, client_app):
    other = ApplicationFactory()
    selected = {"action": "delete_selected", "_selected_action": [client_app.application.pk], "post": "yes"}

    admin_browser.post(admin_url("application_changelist"), selected)

    assert list(Application.objects.all()) == [other]
    assert not Grant.objects.exists()


def test_active_grants_are_counted(admin_browser):
    busy, idle = ApplicationFactory(name="busy"), ApplicationFactory(name="idle")
    GrantFactory.create_batch(2, application=busy)
    for inactive in ({"revoked": True}, {"expired": True}, {"user__is_active": False}, {"generation": 0}):
        GrantFactory(application=busy, **inactive)

    response = admin_browser.get(admin_url("application_changelist"))

    assert dict(zip(column(response, "name"), column(response, "active_grants"), strict=True)) == {
        "busy": "2",
        "idle": "0",
    }
    assert list(response.context["cl"].result_list) == [busy, idle]


@pytest.mark.parametrize(
    ("query", "names"),
    [({"q": "web"}, ["One", "Two"]), ({"q": "client-2"}, ["Two"]), ({"auth_method__exact": "none"}, ["Two"])],
    ids=str,
)
def test_list_is_narrowed(admin_browser, query, names):
    ApplicationFactory(name="Two", client_id="web-client-2", public=True)
    ApplicationFactory(name="One", client_id="web-client-1")
    ApplicationFactory(name="Three", client_id="phone")

    assert column(admin_browser.get(admin_url("application_changelist", **query)), "name") == names


def test_staff_who_may_only_add_see_the_secret():
    response = browser(staff("add_application")).post(admin_url("application_add"), NEW)

    assert accepts_secret(Application.objects.get(), copyable_value(response, "client-secret"))


def test_staff_who_may_only_view_create_nothing():
    response = browser(staff("view_application")).post(admin_url("application_add"), NEW)

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert (Application.objects.count(), LogEntry.objects.count()) == (0, 0)


def test_message_of_a_public_application_is_that_of_the_stock_admin(admin_browser):
    response = admin_browser.post(admin_url("application_add"), PUBLIC, follow=True)

    assert messages_on(response) == [("success", "The application “ Notes ” was added successfully.")]
