"""The application: what its fields may hold, what it answers, and how its options override the project's."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from joserfc.jwk import ECKey, OctKey

from oauth_refresh import crypto
from oauth_refresh.models import Application, AuthMethod
from tests.factories import ApplicationFactory

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
EC_KEY = ECKey.generate_key("P-256")
PUBLIC_JWKS = {"keys": [EC_KEY.as_dict(private=False)]}

GRANT_TYPES = "authorization_code client_credentials urn:ietf:params:oauth:grant-type:jwt-bearer password refresh_token"
SCOPES = "notes:read notes:write PRODUCTION SANDBOX"
VISIBLE_ASCII = "Write visible ASCII characters; spaces only inside."
NEEDS_SCHEME = (
    "write an absolute https URI with a host and without user or password, or a private-use scheme with a period, "
    "like com.example.app:/callback, or one of REDIRECT_SCHEMES."
)
NEEDS_HTTPS = "plain http is only for loopback addresses; write https."
NEEDS_KEYS = 'Write a JSON Web Key Set: {"keys": [...]} with at least one key.'
UNREADABLE_KEY = "A key of the set cannot be read."
PUBLIC_KEYS_ONLY = "Leave private and symmetric keys out: the set may hold public keys only."

ACCEPTED = [
    ("client_id", "a client of ours!"),
    ("grant_types", GRANT_TYPES),
    ("redirect_uris", "https://app.example.org/callback?x=1\nhttps://app.example.org:8443/"),
    ("redirect_uris", "http://localhost/cb http://127.0.0.1:8000/cb http://[::1]/cb"),
    ("redirect_uris", "com.example.app:/callback"),
    ("scope", SCOPES),
    ("jwks", PUBLIC_JWKS),
]
REFUSED = [
    ("client_id", "naïve", VISIBLE_ASCII),
    ("client_id", " client", VISIBLE_ASCII),
    ("client_id", "cli\nent", VISIBLE_ASCII),
    ("grant_types", "password implicit", f"Unknown grant type: implicit. Choose from: {GRANT_TYPES}."),
    (
        "redirect_uris",
        "https://app.example.org/#x",
        "https://app.example.org/#x: leave out the fragment (RFC 6749 §3.1.2).",
    ),
    (
        "redirect_uris",
        "https://app.example.org/#",
        "https://app.example.org/#: leave out the fragment (RFC 6749 §3.1.2).",
    ),
    ("redirect_uris", "https://[::1", f"https://[::1: {NEEDS_SCHEME}"),
    ("redirect_uris", "/callback", f"/callback: {NEEDS_SCHEME}"),
    ("redirect_uris", "javascript:alert(1)", f"javascript:alert(1): {NEEDS_SCHEME}"),
    ("redirect_uris", "myapp:/callback", f"myapp:/callback: {NEEDS_SCHEME}"),
    ("redirect_uris", "https:/callback", f"https:/callback: {NEEDS_SCHEME}"),
    ("redirect_uris", "https://a.example/ http://b.example/", f"http://b.example/: {NEEDS_HTTPS}"),
    ("redirect_uris", "http://localhost.example.org/", f"http://localhost.example.org/: {NEEDS_HTTPS}"),
    (
        "scope",
        "notes:read bananas",
        f"Unknown scope: bananas. Add it to OAUTH_REFRESH['SCOPES'], or choose from: {SCOPES}.",
    ),
    ("scope", 'notes:"read"', "The scope holds a character that RFC 6749 does not allow."),
    ("jwks", ["a key"], NEEDS_KEYS),
    ("jwks", {"keys": "a key"}, NEEDS_KEYS),
    ("jwks", {"keys": []}, NEEDS_KEYS),
    ("jwks", {"keys": [{"kty": "EC"}]}, UNREADABLE_KEY),
    ("jwks", {"keys": [{}]}, UNREADABLE_KEY),
    ("jwks", {"keys": ["a key"]}, UNREADABLE_KEY),
    ("jwks", {"keys": [{"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}]}, UNREADABLE_KEY),  # not on the curve
    ("jwks", {"keys": [{"kty": "RSA", "n": "A" * 65_536, "e": "AQAB"}]}, UNREADABLE_KEY),
    ("jwks", {"keys": [EC_KEY.as_dict(private=True)]}, PUBLIC_KEYS_ONLY),
    ("jwks", {"keys": [OctKey.generate_key(256).as_dict(private=True)]}, PUBLIC_KEYS_ONLY),
]

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("field", "value"), ACCEPTED)
def test_application_accepts(field, value):
    ApplicationFactory.build(**{field: value}).full_clean()


@pytest.mark.parametrize(("field", "value", "sentence"), REFUSED)
def test_application_refuses_and_says_what_to_write(field, value, sentence):
    with pytest.raises(ValidationError) as refusal:
        ApplicationFactory.build(**{field: value}).full_clean()

    assert refusal.value.message_dict == {field: [sentence]}


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        (
            {"access_token_lifetime": timedelta(days=15)},
            {"access_token_lifetime": ["An access token may not outlive the refresh token."]},
        ),
        (
            {"refresh_token_lifetime": timedelta(minutes=59)},
            {"access_token_lifetime": ["An access token may not outlive the refresh token."]},
        ),
        (
            {"refresh_token_lifetime": timedelta(days=91)},
            {"refresh_token_lifetime": ["A refresh token may not outlive the grant."]},
        ),
        (
            {"grant_lifetime": timedelta(days=13)},
            {"refresh_token_lifetime": ["A refresh token may not outlive the grant."]},
        ),
        (
            {"public": True, "grant_types": "client_credentials"},
            {"grant_types": ["A public application cannot authenticate, so it cannot use client_credentials."]},
        ),
        (
            {"retry_window": timedelta(seconds=-1)},
            {"retry_window": ["The retry window must be shorter than the lifetime of an access token, or 0."]},
        ),
        (
            {"retry_window": timedelta(hours=1)},
            {"retry_window": ["The retry window must be shorter than the lifetime of an access token, or 0."]},
        ),
        (
            {"public": True, "grant_types": "refresh_token", "rotate_refresh_tokens": False},
            {"__all__": ["A public application must rotate its refresh tokens (RFC 9700 §4.14.2)."]},
        ),
    ],
)
def test_application_refuses_options_that_contradict_each_other(fields, errors):
    with pytest.raises(ValidationError) as refusal:
        ApplicationFactory.build(**fields).full_clean()

    assert refusal.value.message_dict == errors


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1), timedelta(milliseconds=999)])
def test_application_refuses_a_lifetime_under_a_second_as_the_settings_do(lifetime):
    with pytest.raises(ValidationError) as refusal:
        ApplicationFactory.build(access_token_lifetime=lifetime).full_clean()

    assert list(refusal.value.message_dict) == ["access_token_lifetime"]


def test_application_refuses_a_client_id_that_is_taken():
    taken = ApplicationFactory()

    with pytest.raises(ValidationError) as refusal:
        ApplicationFactory.build(client_id=taken.client_id).full_clean()

    assert refusal.value.message_dict == {"client_id": ["Application with this Client ID already exists."]}


def test_database_refuses_a_client_id_that_is_taken():
    taken = ApplicationFactory()

    with pytest.raises(IntegrityError), transaction.atomic():
        ApplicationFactory(client_id=taken.client_id)


def test_database_refuses_a_public_application_that_does_not_rotate():
    with pytest.raises(IntegrityError, match="oauth_application_public_rotates"), transaction.atomic():
        ApplicationFactory(public=True, rotate_refresh_tokens=False)


@pytest.mark.parametrize(
    ("fields", "is_public", "uses_secret", "has_credentials"),
    [
        ({}, False, True, True),
        ({"auth_method": AuthMethod.CLIENT_SECRET_POST}, False, True, True),
        ({"secret_digest": ""}, False, True, False),
        ({"secret_digest": "", "old_secret_digest": crypto.digest("old")}, False, True, False),
        (
            {"secret_digest": "", "old_secret_digest": crypto.digest("old"), "old_secret_expires_at": PAST},
            False,
            True,
            False,
        ),
        (
            {"secret_digest": "", "old_secret_digest": crypto.digest("old"), "old_secret_expires_at": FUTURE},
            False,
            True,
            True,
        ),
        ({"public": True}, True, False, True),
        ({"auth_method": AuthMethod.PRIVATE_KEY_JWT, "jwks": PUBLIC_JWKS}, False, False, True),
        ({"auth_method": AuthMethod.PRIVATE_KEY_JWT, "jwks": {"keys": []}}, False, False, False),
        ({"auth_method": AuthMethod.PRIVATE_KEY_JWT}, False, False, False),
    ],
)
def test_application_knows_how_it_authenticates(fields, is_public, uses_secret, has_credentials):
    application = ApplicationFactory.build(**fields)

    assert (application.is_public, application.uses_secret, application.has_credentials) == (
        is_public,
        uses_secret,
        has_credentials,
    )


@pytest.mark.parametrize(
    ("fields", "live"),
    [
        ({"secret_digest": "new"}, ("new",)),
        ({"secret_digest": ""}, ()),
        ({"secret_digest": "new", "old_secret_digest": "old"}, ("new",)),
        (
            {"secret_digest": "new", "old_secret_digest": "old", "old_secret_expires_at": NOW + timedelta(seconds=1)},
            ("new", "old"),
        ),
        ({"secret_digest": "new", "old_secret_digest": "old", "old_secret_expires_at": NOW}, ("new",)),
        ({"secret_digest": "new", "old_secret_expires_at": NOW + timedelta(seconds=1)}, ("new",)),
    ],
)
def test_old_secret_is_valid_until_it_expires(fields, live):
    assert ApplicationFactory.build(**fields).live_secret_digests(NOW) == live


def test_application_allows_the_grant_types_of_its_own_list():
    application = ApplicationFactory.build(grant_types="password refresh_token")

    assert application.allows_grant_type("refresh_token")
    assert not application.allows_grant_type("refresh")
    assert not application.allows_grant_type("client_credentials")


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("", ("notes:read", "notes:write", "PRODUCTION", "SANDBOX")),
        ("SANDBOX notes:read", ("SANDBOX", "notes:read")),
        ("notes:read forgotten", ("notes:read",)),
        ("forgotten", ()),
    ],
)
def test_allowed_scopes_are_its_own_as_far_as_the_project_knows_them(scope, allowed):
    assert ApplicationFactory.build(scope=scope).allowed_scopes == allowed


@pytest.mark.parametrize(
    ("name", "configured", "project_wide", "own"),
    [
        ("access_token_lifetime", 7200, timedelta(hours=2), timedelta(minutes=1)),
        ("refresh_token_lifetime", 7200, timedelta(hours=2), timedelta(days=1)),
        ("grant_lifetime", 7200, timedelta(hours=2), timedelta(days=2)),
        ("retry_window", 7200, timedelta(hours=2), timedelta(0)),
        ("rotate_refresh_tokens", True, True, False),
        ("revoke_access_tokens_on_refresh", True, True, False),
    ],
)
def test_own_setting_overrides_that_of_the_project(oauth_settings, name, configured, project_wide, own):
    oauth_settings(**{name.upper(): configured})

    assert ApplicationFactory.build().effective(name) == project_wide
    assert ApplicationFactory.build(**{name: own}).effective(name) == own


def test_public_application_rotates_whatever_the_project_says(oauth_settings):
    oauth_settings(ROTATE_REFRESH_TOKENS=False)

    assert ApplicationFactory.build(public=True).rotates
    assert not ApplicationFactory.build().rotates


def test_application_shows_its_name_and_no_digest():
    assert repr(ApplicationFactory.build(name="Notes")) == "<Application: Notes>"
    assert repr(Application(client_id="notes")) == "<Application: notes>"
