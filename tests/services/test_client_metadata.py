"""Clients that a metadata document describes: when one is looked for, and what of it is written when a user allows."""

import pytest
from django.db import connection

from oauth_refresh.errors import NoLongerActive, UnusableRedirect
from oauth_refresh.models import Application, AuthorizationCode
from oauth_refresh.services.client_metadata import describing_host, find_client, needs_document, store_application
from oauth_refresh.services.codes import issue_code
from tests.consent import consent_to
from tests.factories import ApplicationFactory, UserFactory
from tests.jwts import EC_KEY, jwks
from tests.threads import run_together

PUBLIC_URL = "https://app.example/client.json"
UNUSABLE = "The application that sent you here is not registered, and the document that describes it cannot be used."


@pytest.fixture(autouse=True)
def documents_are_accepted(oauth_settings):
    oauth_settings(CLIENT_ID_METADATA_DOCUMENTS=True)


def described(client_id, **fields):
    """Return the row of a client that a document described before."""
    old = {"public": True, "redirect_uris": "https://app.example/old", "grant_types": "authorization_code"}
    return ApplicationFactory(client_id=client_id, from_metadata_document=True, **old | fields)


# When a document is looked for.


@pytest.mark.parametrize(
    ("changes", "awaited"),
    [
        ({}, True),
        ({"CLIENT_ID_METADATA_DOCUMENTS": False}, False),
        ({"CLIENT_ID_METADATA_HOSTS": []}, False),
        ({"CLIENT_ID_METADATA_HOSTS": ["app.example"]}, True),
        ({"CLIENT_ID_METADATA_HOSTS": ["example", "pp.example", "www.app.example"]}, False),
    ],
)
@pytest.mark.parametrize("port", ["", ":8443"])
def test_setting_and_host_decide_whether_there_may_be_a_document(db, oauth_settings, changes, awaited, port):
    oauth_settings(**changes)

    assert needs_document(PUBLIC_URL.replace("example/", f"example{port}/")) is awaited


def test_client_id_of_another_form_is_unknown(db):
    assert not needs_document("notebook")
    assert find_client("notebook", user=None) is None
    assert find_client("https://app.example/\x00", user=None) is None


def test_registered_application_is_used_and_nothing_fetched(db):
    application = ApplicationFactory(client_id=PUBLIC_URL)

    assert not needs_document(PUBLIC_URL)
    assert find_client(PUBLIC_URL, user=None) == application
    assert describing_host(application) == ""


@pytest.mark.parametrize("fields", [{}, {"from_metadata_document": True}], ids=["registered", "described"])
def test_deactivated_application_is_unknown_and_nothing_fetched(db, fields):
    ApplicationFactory(client_id=PUBLIC_URL, is_active=False, **fields)

    assert not needs_document(PUBLIC_URL)
    assert find_client(PUBLIC_URL, user=None) is None


@pytest.mark.parametrize(
    "changes", [{"CLIENT_ID_METADATA_DOCUMENTS": False}, {"CLIENT_ID_METADATA_HOSTS": ["other.example"]}]
)
def test_described_application_starts_nothing_once_documents_are_no_longer_accepted(db, oauth_settings, changes):
    described(PUBLIC_URL)
    oauth_settings(**changes)

    assert find_client(PUBLIC_URL, user=None) is None


@pytest.mark.parametrize(
    ("client_id", "host"),
    [(PUBLIC_URL, "app.example"), ("https://xn--bcher-kva.example:8443/c", "xn--bcher-kva.example")],
)
def test_host_is_shown_in_ascii_and_without_port(client_id, host):
    assert describing_host(Application(client_id=client_id, from_metadata_document=True)) == host


# What is found.


def test_client_is_found_as_described_and_nothing_is_saved(key_server, user):
    client_id = key_server.describe()

    application = find_client(client_id, user=user)

    assert (application.pk, application.client_id, application.name) == (None, client_id, "Notebook")
    assert application.from_metadata_document
    assert application.is_active
    assert not Application.objects.exists()


def test_document_counts_and_not_the_row_that_was_written_before(key_server, user):
    stored = described(key_server.describe(), scope="notes:read", name="Old")

    application = find_client(stored.client_id, user=user)

    assert application.pk == stored.pk
    assert (application.name, application.redirect_uris) == ("Notebook", "https://app.example/callback")
    assert application.scope == "notes:read"
    assert Application.objects.get().name == "Old"


def test_failure_has_one_text_and_its_reason_is_logged(key_server, user, caplog):
    caplog.set_level("INFO", "oauth_refresh")
    for path, members in {"/a": {"client_id": "other"}, "/b": {"client_secret": "do-not-log"}}.items():
        with pytest.raises(UnusableRedirect) as refusal:
            find_client(key_server.describe(path, **members), user=user)
        assert refusal.value.reason == UNUSABLE

    assert [record.getMessage() for record in caplog.records] == [
        "The metadata document of a client at 127.0.0.1 is refused: its client_id is not its URL.",
        "The metadata document of a client at 127.0.0.1 is refused: it holds a secret.",
    ]


@pytest.mark.parametrize("fields", [{"rotate_refresh_tokens": False}, {"requires_pkce": False}])
def test_client_that_became_public_is_refused_what_staff_allowed_it_with_keys(key_server, user, fields):
    client_id = key_server.describe()
    ApplicationFactory(client_id=client_id, from_metadata_document=True, **fields)

    with pytest.raises(UnusableRedirect):
        find_client(client_id, user=user)


# What is written.


def allow(application, **fields):
    """Issue a code, as when a user allowed the application."""
    return issue_code(consent_to(application, fields.pop("user", None) or UserFactory(), **fields))


def unsaved(**fields):
    return Application(
        **{
            "client_id": PUBLIC_URL,
            "name": "Notebook",
            "redirect_uris": "https://app.example/callback",
            "auth_method": "none",
            "grant_types": "authorization_code refresh_token",
            "from_metadata_document": True,
            "repeats_redirect_uri": False,
            **fields,
        }
    )


def test_row_is_written_when_a_user_allows(db):
    allow(unsaved())

    row = Application.objects.values().get()
    assert row == {
        **row,
        "client_id": PUBLIC_URL,
        "name": "Notebook",
        "redirect_uris": "https://app.example/callback",
        "auth_method": "none",
        "grant_types": "authorization_code refresh_token",
        "jwks": None,
        "jwks_uri": "",
        "from_metadata_document": True,
        "repeats_redirect_uri": False,
        "is_active": True,
        "is_trusted": False,
        "requires_pkce": True,
        "scope": "",
        "owner_id": None,
        "secret_digest": "",
    }
    assert AuthorizationCode.objects.get().grant.application_id == row["id"]


def test_second_user_gets_the_row_of_the_first(db):
    allow(unsaved())
    allow(unsaved())

    assert list(AuthorizationCode.objects.values_list("grant__application__client_id", flat=True)) == [PUBLIC_URL] * 2
    assert Application.objects.count() == 1


def test_change_of_the_document_is_written_and_what_staff_set_stays(db):
    described(PUBLIC_URL, scope="notes:read", is_trusted=True, access_token_lifetime=None, repeats_redirect_uri=True)

    allow(unsaved(auth_method="private_key_jwt", jwks=jwks(EC_KEY), scope="", is_trusted=False))

    row = Application.objects.get()
    assert (row.name, row.redirect_uris) == ("Notebook", "https://app.example/callback")
    assert (row.auth_method, row.jwks) == ("private_key_jwt", jwks(EC_KEY))
    assert (row.scope, row.is_trusted, row.repeats_redirect_uri) == ("notes:read", True, True)


def test_registered_application_is_not_written(db):
    application = ApplicationFactory()
    application.name = "unsaved"

    store_application(application)

    assert Application.objects.get().name != "unsaved"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "Another application has the client ID of the one that was allowed."),
        ({"from_metadata_document": True, "is_active": False}, "A grant cannot start: application inactive."),
    ],
    ids=["registered", "deactivated"],
)
def test_application_that_staff_registered_or_deactivated_meanwhile_gets_no_code(db, fields, reason):
    ApplicationFactory(client_id=PUBLIC_URL, **fields)

    with pytest.raises(NoLongerActive) as refusal:
        allow(unsaved())

    assert refusal.value.reason == reason
    assert not AuthorizationCode.objects.exists()


def test_client_id_that_differs_in_case_is_another_or_gets_no_code(db):
    described(PUBLIC_URL)
    other = unsaved(client_id=PUBLIC_URL.replace("client", "CLIENT"))

    if connection.vendor == "mysql":  # the collation ignores case
        with pytest.raises(NoLongerActive):
            allow(other)
        return
    allow(other)
    assert Application.objects.count() == 2


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer")
def test_users_who_allow_a_new_client_at_the_same_moment_all_get_a_code():
    users = UserFactory.create_batch(4)

    codes = run_together(*[lambda user=user: allow(unsaved(), user=user) for user in users])

    assert len(set(codes)) == 4
    assert Application.objects.count() == 1
