"""Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document), over HTTP."""

from http import HTTPStatus

import pytest
from django.test import Client

from oauth_refresh.models import Application, Grant
from tests.admin.pages import admin_url, browser, form_with, page_text, staff
from tests.conformance.redirects import error_page
from tests.consent import read_answer, start_described_flow
from tests.factories import ApplicationFactory, UserFactory
from tests.jwts import EC_KEY, KeyClient, jwks
from tests.oauth import OAuthClient
from tests.refusals import INVALID_CLIENT, INVALID_GRANT, answer_of
from tests.user_pages.pages import LOGIN, text_of

UNKNOWN = "The application that sent you here is unknown or no longer active."
UNUSABLE = "The application that sent you here is not registered, and the document that describes it cannot be used."
NOT_ITS_URI = "The application asked to send you back to a URL that is not registered for it."
LOOPBACK = "http://127.0.0.1:33418/callback"
WARNING = "The answer goes to a program on your device."


@pytest.fixture(autouse=True)
def documents_are_accepted(oauth_settings):
    oauth_settings(CLIENT_ID_METADATA_DOCUMENTS=True)


@pytest.fixture
def described_flow(key_server, user):
    """The flow of a client that its document describes, and that was not allowed yet."""
    return start_described_flow(user, key_server.describe())


def connect(flow, **changes):
    """Allow the client, redeem the code, and return the client with its tokens."""
    response = flow.redeem(flow.code(**changes))
    assert response.status_code == HTTPStatus.OK, response.content
    flow.client.access_token, flow.client.refresh_token = (
        response.json()[f"{kind}_token"] for kind in ("access", "refresh")
    )
    return flow.client


# CM-001


@pytest.mark.parametrize("signed_in", [True, False])
def test_cm_001_without_the_setting_an_https_client_id_is_unknown(
    described_flow, key_server, oauth_settings, signed_in
):
    oauth_settings(CLIENT_ID_METADATA_DOCUMENTS=False)
    if not signed_in:
        described_flow.browser = Client()

    assert UNKNOWN in error_page(described_flow)
    assert key_server.paths == []


def test_cm_001_metadata_say_nothing_without_the_setting(oauth_settings):
    oauth_settings(CLIENT_ID_METADATA_DOCUMENTS=False)

    assert "client_id_metadata_document_supported" not in Client().get("/.well-known/oauth-authorization-server").json()


# CM-002


def test_cm_002_metadata_say_that_documents_are_accepted(oauth_settings):
    url = "/.well-known/oauth-authorization-server"
    assert Client().get(url).json()["client_id_metadata_document_supported"] is True

    oauth_settings(GRANT_TYPES=["client_credentials"])

    assert "client_id_metadata_document_supported" not in Client().get(url).json()


def test_cm_002_consent_page_names_client_its_host_and_the_destination(described_flow, user):
    response = described_flow.ask()

    assert text_of(response) == (
        "Allow Notebook to act for you? "
        "This application comes from 127.0.0.1 . It chose its name itself; this site has not checked it. "
        f"You are signed in as {user.username} . Not you? "
        "It will be able to Read your notes "
        "You will then return to app.example . Allow Deny"
    )
    assert not Application.objects.exists()


@pytest.mark.parametrize("redirect_uri", [LOOPBACK, "com.example.app:/callback", "cursor://oauth/callback"])
def test_cm_002_consent_page_warns_where_the_redirect_stays_on_the_device(
    key_server, user, oauth_settings, redirect_uri
):
    oauth_settings(REDIRECT_SCHEMES=["cursor"])
    uris = [redirect_uri.replace(":33418", ""), "https://app.example/callback"]
    flow = start_described_flow(user, key_server.describe(redirect_uris=uris), redirect_uri=redirect_uri)

    assert f"{WARNING} Any program there could receive it." in text_of(flow.ask())
    assert connect(flow).rotate()
    assert WARNING in text_of(flow.ask())  # asked for each time (RFC 8252 §8.6)
    assert WARNING not in text_of(flow.ask(redirect_uri="https://app.example/callback"))


def test_cm_002_registered_application_is_shown_with_the_same_warning(user):
    application = ApplicationFactory(public=True, redirect_uris="http://127.0.0.1/callback")
    flow = start_described_flow(user, application.client_id, redirect_uri=LOOPBACK)

    text = text_of(flow.ask())

    assert WARNING in text
    assert "comes from" not in text


def test_cm_002_client_goes_the_whole_way_without_being_registered(described_flow):
    client = connect(described_flow)

    assert client.rotate()["scope"] == "notes:read"
    assert OAuthClient(Application.objects.get(), refresh_token=client.refresh_token).rotate()
    assert Application.objects.get().from_metadata_document


def test_cm_002_client_with_keys_goes_the_whole_way(key_server, user):
    client_id = key_server.describe(token_endpoint_auth_method="private_key_jwt", jwks=jwks(EC_KEY))
    flow = start_described_flow(user, client_id)
    code = flow.code()

    assert answer_of(flow.redeem(code)) == INVALID_CLIENT
    flow.client = KeyClient(Application.objects.get())
    assert flow.redeem(code).status_code == HTTPStatus.OK


def test_cm_002_visitor_who_is_not_signed_in_causes_no_fetch(described_flow, key_server):
    response = Client().get(described_flow.url())

    assert response.headers["Location"].startswith(LOGIN)
    assert read_answer(response) == {"next": described_flow.url()}
    assert key_server.paths == []
    assert not Application.objects.exists()


def test_cm_002_prompt_none_redirects_no_visitor_to_an_unchecked_uri(described_flow, key_server):
    described_flow.browser = Client()

    assert "prompt=none forbids asking" in error_page(described_flow, prompt="none")
    assert key_server.paths == []


def test_cm_002_visits_write_no_row(described_flow, key_server):
    for _visit in range(20):
        assert described_flow.ask().status_code == HTTPStatus.OK
    described_flow.decide("deny")

    assert not Application.objects.exists()
    assert key_server.paths == ["/client.json"]


def test_cm_002_consent_is_remembered_for_the_redirect_host_only(key_server, user):
    uris = [
        "https://app.example/callback",
        "https://app.example/other?x=1",
        "https://app.example.evil.example/callback",
    ]
    flow = start_described_flow(user, key_server.describe(redirect_uris=uris))
    connect(flow)

    assert "code" in read_answer(flow.ask())
    assert "code" in read_answer(flow.ask(redirect_uri=uris[1]))
    assert "to act for you?" in text_of(flow.ask(redirect_uri=uris[2]))


def test_cm_002_consent_is_remembered_without_a_redirect_uri_where_there_is_one(described_flow):
    response = described_flow.redeem(described_flow.code(redirect_uri=None), redirect_uri=None)

    assert response.status_code == HTTPStatus.OK
    assert "code" in read_answer(described_flow.ask())


def test_cm_002_registered_application_is_used_instead_of_the_document(described_flow, key_server):
    ApplicationFactory(
        client_id=described_flow.client.application.client_id,
        public=True,
        name="Registered",
        redirect_uris="https://app.example/callback",
    )

    assert text_of(described_flow.ask()).startswith("Allow Registered to act for you?")
    assert key_server.paths == []


@pytest.mark.parametrize(("hosts", "accepted"), [(["127.0.0.1"], True), (["localhost"], False), ([], False)])
def test_cm_002_hosts_may_be_limited(described_flow, key_server, oauth_settings, hosts, accepted):
    oauth_settings(CLIENT_ID_METADATA_HOSTS=hosts)

    assert (described_flow.ask().status_code == HTTPStatus.OK) is accepted
    assert bool(key_server.paths) is accepted


# CM-003


@pytest.mark.parametrize(
    "path",
    ["/redirect", "/permanent-redirect", "/not-found", "/fault", "/huge", "/no-json", "/empty", "/list", "/slow-body"],
)
def test_cm_003_document_that_cannot_be_read_is_refused_with_a_page(key_server, user, monkeypatch, path):
    if path == "/slow-body":
        monkeypatch.setattr("oauth_refresh.services.fetching._TIMEOUT_SECONDS", 0.3)

    assert UNUSABLE in error_page(start_described_flow(user, key_server.origin + path))
    assert key_server.paths == [path]


@pytest.mark.parametrize("prompt", [None, "none"])
def test_cm_003_document_with_another_url_as_client_id_is_refused_with_a_page(key_server, user, prompt):
    flow = start_described_flow(user, key_server.describe(client_id="https://bank.example/client.json"))

    assert UNUSABLE in error_page(flow, prompt=prompt)


def test_cm_003_redirect_uri_that_is_not_in_the_document_is_refused_with_a_page(described_flow):
    assert NOT_ITS_URI in error_page(described_flow, redirect_uri="https://evil.example/callback")


@pytest.mark.parametrize("wrong", [{"response_type": "token"}, {"scope": "unknown"}, {"prompt": "none"}])
def test_cm_003_error_goes_to_no_host_that_neither_the_user_nor_the_project_has_vetted(
    key_server, user, oauth_settings, wrong
):
    other = "https://evil.example/callback"
    flow = start_described_flow(user, key_server.describe(redirect_uris=[other, "https://app.example/callback"]))
    connect(start_described_flow(UserFactory(), flow.client.application.client_id))  # another user does not matter

    error_page(flow, **wrong)

    assert read_answer(flow.decide("deny"))["error"] == "access_denied"
    error_page(flow, **wrong)
    connect(flow)
    assert "error" in read_answer(flow.ask(**wrong | {"prompt": "none consent"}))
    error_page(flow, **wrong | {"redirect_uri": other, "prompt": "none consent"})
    oauth_settings(CLIENT_ID_METADATA_HOSTS=["127.0.0.1"])
    assert "error" in read_answer(flow.ask(**wrong | {"redirect_uri": other, "prompt": "none consent"}))


def test_cm_003_private_address_is_not_connected_to(described_flow, key_server, oauth_settings):
    oauth_settings(JWKS_ALLOW_PRIVATE_ADDRESSES=False)

    assert UNUSABLE in error_page(described_flow)
    assert key_server.paths == []


# CM-004


@pytest.mark.parametrize(
    "members",
    [
        {"client_secret": "secret"},
        *[{"token_endpoint_auth_method": f"client_secret_{method}"} for method in ("basic", "post", "jwt")],
    ],
)
def test_cm_004_document_with_a_secret_or_a_method_that_needs_one_is_refused(key_server, user, members):
    assert UNUSABLE in error_page(start_described_flow(user, key_server.describe(**members)))


# CM-005


def test_cm_005_changed_document_counts_at_the_next_fetch(described_flow, key_server, stopped_clock):
    connect(described_flow)
    key_server.describe(client_name="Renamed", redirect_uris=["https://new.example/callback"])

    assert "code" in read_answer(described_flow.ask())  # as it was kept
    stopped_clock.shift(300)
    assert NOT_ITS_URI in error_page(described_flow)
    new = {"redirect_uri": "https://new.example/callback"}
    assert text_of(described_flow.ask(**new)).startswith("Allow Renamed to act for you?")
    assert Application.objects.get().name == "Notebook"
    described_flow.decide("allow", **new)
    assert Application.objects.get().name == "Renamed"
    assert key_server.paths == ["/client.json"] * 2


def test_cm_005_code_is_redeemed_as_the_client_was_described_when_it_was_allowed(
    described_flow, key_server, stopped_clock
):
    code = described_flow.code()
    key_server.describe(
        token_endpoint_auth_method="private_key_jwt", jwks=jwks(EC_KEY), redirect_uris=["https://b.example/"]
    )
    stopped_clock.shift(59)

    assert described_flow.redeem(code).status_code == HTTPStatus.OK


def test_cm_005_grants_stay_active_when_the_document_is_gone_and_no_new_one_starts(
    described_flow, key_server, stopped_clock
):
    client = connect(described_flow)
    key_server.documents.clear()
    stopped_clock.shift(300)

    assert UNUSABLE in error_page(described_flow)
    assert client.rotate()["scope"] == "notes:read"


# CM-006


def test_cm_006_application_that_staff_deactivated_starts_no_grant_by_its_document(described_flow, key_server):
    client = connect(described_flow)
    application = Application.objects.get()
    fetched = len(key_server.paths)

    person, url = browser(staff("change_application")), admin_url("application_change", application.pk)

    assert person.post(url, form_with(person.get(url), "is_active") | {"is_active": []}).status_code == HTTPStatus.FOUND

    assert answer_of(client.refresh()) == INVALID_CLIENT
    assert UNKNOWN in error_page(described_flow)
    assert UNKNOWN in error_page(start_described_flow(UserFactory(), application.client_id))
    assert len(key_server.paths) == fetched


def test_cm_006_user_is_asked_again_after_staff_revoked_the_grant(described_flow):
    client = connect(described_flow)

    browser(staff("revoke_grant", "view_grant")).post(
        admin_url("grant_revoke", Grant.objects.get().pk), {"confirm": "yes", "reason": "test"}
    )

    assert answer_of(client.refresh()) == INVALID_GRANT
    assert "to act for you?" in text_of(described_flow.ask())


def test_cm_006_admin_shows_where_it_came_from_and_keeps_what_the_document_decides(described_flow):
    connect(described_flow)
    ApplicationFactory(name="Registered")
    application = Application.objects.get(from_metadata_document=True)
    person, url = browser(staff("change_application")), admin_url("application_change", application.pk)

    listed = person.get(admin_url("application_changelist", from_metadata_document__exact="1")).content.decode()
    page = person.get(url).content.decode()
    forged = {"name": "Bank", "redirect_uris": "https://evil.example/", "auth_method": "client_secret_basic"}
    person.post(url, form_with(person.get(url), "is_active") | forged | {"scope": ["notes:read"]})
    refused = person.post(url, form_with(person.get(url), "is_active") | {"rotate_refresh_tokens": "False"})

    assert application.client_id in listed
    assert "Registered" not in listed
    assert "escribed by its metadata document" in page
    for name in ("name", "redirect_uris", "auth_method", "grant_types", "jwks", "jwks_uri", "client_id"):
        assert f'name="{name}"' not in page
    assert "A public application must rotate its refresh tokens" in page_text(refused)
    stored = Application.objects.get(pk=application.pk)
    assert (stored.name, stored.redirect_uris, stored.scope) == (
        "Notebook",
        "https://app.example/callback",
        "notes:read",
    )
