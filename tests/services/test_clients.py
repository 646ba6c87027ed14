"""Client authentication and registration: every refusal, and that all of them look the same."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from joserfc.jwk import ECKey

from oauth_refresh import crypto
from oauth_refresh.errors import InvalidClient
from oauth_refresh.http import NO_CLIENT_INFO, ClientInfo
from oauth_refresh.models import Application, AuthMethod
from oauth_refresh.services.clients import authenticate_client, create_application
from oauth_refresh.services.credentials import ClientCredentials
from oauth_refresh.signals import client_authentication_failed
from tests.factories import SECRET, ApplicationFactory
from tests.signals import recorded

BASIC = {AuthMethod.CLIENT_SECRET_BASIC}
POST = {AuthMethod.CLIENT_SECRET_POST}
NONE = {AuthMethod.NONE}
OLD_SECRET = "an-old-secret-of-more-than-22-characters"
CLIENT_ID = "the-client"
JWKS = {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}

UNKNOWN = "The client is unknown."
WRONG = "The secret is wrong."
NO_SECRET = "An application that has a secret sent none."
WRONG_METHOD = "The secret was sent by the wrong method."
TOO_SHORT = (
    "A secret is stored as a plain digest, so it must be random and at least 22 characters long; "
    "leave it out to have one generated."
)

pytestmark = pytest.mark.django_db


def old_secret_expiring_in(seconds):
    return {
        "old_secret_digest": crypto.digest(OLD_SECRET),
        "old_secret_expires_at": timezone.now() + timedelta(seconds=seconds),
    }


REFUSED = [
    ({}, "another-client", SECRET, BASIC, UNKNOWN),
    ({}, CLIENT_ID.upper(), SECRET, BASIC, UNKNOWN),
    ({}, CLIENT_ID + " ", SECRET, BASIC, UNKNOWN),
    ({}, CLIENT_ID + "\x00", SECRET, BASIC, UNKNOWN),
    ({}, "", SECRET, BASIC, UNKNOWN),
    ({}, CLIENT_ID, SECRET + "x", BASIC, WRONG),
    ({}, CLIENT_ID, "", BASIC, WRONG),
    ({}, CLIENT_ID, crypto.digest(SECRET), BASIC, WRONG),
    ({}, CLIENT_ID, None, NONE, NO_SECRET),
    ({"secret_digest": ""}, CLIENT_ID, "", BASIC, WRONG),
    ({"secret_digest": ""}, CLIENT_ID, SECRET, BASIC, WRONG),
    ({"is_active": False}, CLIENT_ID, SECRET, BASIC, "The application is not active."),
    ({"is_active": False, "public": True}, CLIENT_ID, None, NONE, "The application is not active."),
    ({"public": True}, CLIENT_ID, SECRET, BASIC, "A public application sent a secret or an assertion."),
    ({"public": True}, CLIENT_ID, "", BASIC, "A public application sent a secret or an assertion."),
    (
        {"auth_method": AuthMethod.PRIVATE_KEY_JWT, "jwks": JWKS},
        CLIENT_ID,
        SECRET,
        POST,
        "The application authenticates by an assertion only.",
    ),
    (
        {"auth_method": AuthMethod.PRIVATE_KEY_JWT, "jwks": JWKS},
        CLIENT_ID,
        None,
        NONE,
        "The application authenticates by an assertion only.",
    ),
    ({"strict_auth_method": True}, CLIENT_ID, SECRET, POST, WRONG_METHOD),
    (
        {"strict_auth_method": True, "auth_method": AuthMethod.CLIENT_SECRET_POST},
        CLIENT_ID,
        SECRET,
        BASIC,
        WRONG_METHOD,
    ),
    (old_secret_expiring_in(-1), CLIENT_ID, OLD_SECRET, BASIC, WRONG),
]
ACCEPTED = [
    ({}, SECRET, BASIC),
    ({}, SECRET, POST),
    ({}, SECRET, BASIC | POST),
    ({"auth_method": AuthMethod.CLIENT_SECRET_POST}, SECRET, BASIC),
    ({"strict_auth_method": True}, SECRET, BASIC),
    ({"strict_auth_method": True}, SECRET, BASIC | POST),
    ({"public": True}, None, NONE),
    (old_secret_expiring_in(3600), SECRET, BASIC),
    (old_secret_expiring_in(3600), OLD_SECRET, BASIC),
]


def authenticate(client_id, raw_secret, methods, *, client_info=NO_CLIENT_INFO):
    credentials = ClientCredentials(client_id=client_id, raw_secret=raw_secret, methods=frozenset(methods))
    return authenticate_client(credentials, client_info=client_info)


@pytest.mark.parametrize(("fields", "client_id", "raw_secret", "methods", "reason"), REFUSED)
def test_client_is_refused(fields, client_id, raw_secret, methods, reason):
    ApplicationFactory(client_id=CLIENT_ID, raw_secret=SECRET, **fields)

    with pytest.raises(InvalidClient) as refusal:
        authenticate(client_id, raw_secret, methods)

    assert refusal.value.reason == reason


@pytest.mark.parametrize(("fields", "raw_secret", "methods"), ACCEPTED)
def test_client_is_accepted(fields, raw_secret, methods):
    application = ApplicationFactory(client_id=CLIENT_ID, raw_secret=SECRET, **fields)

    assert authenticate(CLIENT_ID, raw_secret, methods) == application


def test_client_is_looked_up_by_one_statement(application, django_assert_num_queries):
    with django_assert_num_queries(1):
        authenticate(application.client_id, SECRET, BASIC)


@pytest.mark.parametrize(
    ("client_id", "reason", "is_known"), [("another-client", UNKNOWN, False), (CLIENT_ID, WRONG, True)]
)
def test_failed_authentication_sends_a_signal_at_once(client_id, reason, is_known):
    application = ApplicationFactory(client_id=CLIENT_ID)
    caller = ClientInfo(address="192.0.2.66")

    with recorded(client_authentication_failed) as sent, pytest.raises(InvalidClient):
        authenticate(client_id, "a guess", BASIC, client_info=caller)

    assert sent == [{"application": application if is_known else None, "reason": reason, "client_info": caller}]


def test_successful_authentication_sends_no_signal(application):
    with recorded(client_authentication_failed) as sent:
        authenticate(application.client_id, SECRET, BASIC)

    assert sent == []


def test_credentials_show_nothing_of_themselves():
    credentials = ClientCredentials(client_id=CLIENT_ID, raw_secret=SECRET, methods=frozenset(BASIC))

    assert repr(credentials).startswith("<oauth_refresh.services.credentials.ClientCredentials object")


def test_registered_application_gets_a_secret_that_only_its_owner_knows():
    application, raw_secret = create_application(name="Notes")

    assert len(raw_secret) == 43
    assert Application.objects.get().secret_digest == crypto.digest(raw_secret)
    assert authenticate(application.client_id, raw_secret, BASIC) == application


def test_registered_application_may_have_chosen_credentials():
    application, raw_secret = create_application(name="Notes", client_id="notes", raw_secret=SECRET)

    assert (application.client_id, raw_secret) == ("notes", SECRET)
    assert authenticate("notes", SECRET, BASIC) == application


def test_public_application_is_registered_without_a_secret():
    application, raw_secret = create_application(name="Notes", auth_method=AuthMethod.NONE)

    assert raw_secret is None
    assert Application.objects.get().secret_digest == ""
    assert authenticate(application.client_id, None, NONE) == application


def test_application_with_keys_is_registered_without_a_secret():
    application, raw_secret = create_application(name="Notes", auth_method=AuthMethod.PRIVATE_KEY_JWT, jwks=JWKS)

    assert raw_secret is None
    assert application.has_credentials


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        (
            {"raw_secret": "x" * 21},
            {
                "client_secret": [TOO_SHORT],
            },
        ),
        (
            {"auth_method": AuthMethod.NONE, "raw_secret": SECRET},
            {"client_secret": ["This authentication method has no secret; leave it out."]},
        ),
        (
            {"auth_method": AuthMethod.PRIVATE_KEY_JWT, "jwks": JWKS, "raw_secret": SECRET},
            {"client_secret": ["This authentication method has no secret; leave it out."]},
        ),
        (
            {"auth_method": AuthMethod.PRIVATE_KEY_JWT},
            {"jwks": ["private_key_jwt needs the application's public keys, or their URL."]},
        ),
        ({"name": ""}, {"name": ["This field cannot be blank."]}),
        ({"client_id": "taken"}, {"client_id": ["Application with this Client ID already exists."]}),
    ],
)
def test_registration_is_refused_and_says_what_to_write(fields, errors):
    taken = ApplicationFactory(client_id="taken")

    with pytest.raises(ValidationError) as refusal:
        create_application(**{"name": "Notes", **fields})

    assert refusal.value.message_dict == errors
    assert list(Application.objects.all()) == [taken]
