"""Starting a grant: what is refused, what is stored, and who gets a refresh token."""

from datetime import timedelta

import pytest
from django.db import transaction

from oauth_refresh import crypto
from oauth_refresh.errors import InvalidGrant, InvalidScope
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import STAFF, AccessToken, Grant, RefreshToken, password_fingerprints
from oauth_refresh.services import issue_tokens
from oauth_refresh.signals import tokens_issued
from tests.conftest import NOW
from tests.factories import ApplicationFactory
from tests.signals import recorded

NOT_ALLOWED = "A requested scope is unknown, or this application may not request it."
NO_SCOPE = "Request a scope: this application has none by default."


def start(application, user, *, grant_type="password", **parameters):
    return issue_tokens(application, user=user, grant_type=grant_type, **parameters)


@pytest.mark.parametrize(
    ("allowed", "requested", "reason"),
    [
        ("", "bananas", NOT_ALLOWED),
        ("", "notes:read bananas", NOT_ALLOWED),
        ("", "Notes:Read", NOT_ALLOWED),
        ("notes:read", "notes:write", NOT_ALLOWED),
        ("notes:read bananas", "bananas", NOT_ALLOWED),
        ("", "", NO_SCOPE),
        ("", "  ", NO_SCOPE),
        ("SANDBOX", None, NO_SCOPE),
        ("", 'notes:"read"', "The scope holds a character that RFC 6749 does not allow."),
    ],
)
def test_refused_scope_starts_no_grant(application, user, allowed, requested, reason):
    application.scope = allowed

    with pytest.raises(InvalidScope) as refusal:
        start(application, user, scope=requested)

    assert refusal.value.reason == reason
    assert not Grant.objects.exists()


def of_an_inactive_application(application, user):
    application.is_active = False


def of_an_inactive_user(application, user):
    type(user).objects.update(is_active=False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (of_an_inactive_application, "A grant cannot start: application inactive."),
        (of_an_inactive_user, "A grant cannot start: user inactive."),
    ],
)
def test_refused_start_leaves_no_grant(application, user, change, reason):
    change(application, user)

    with pytest.raises(InvalidGrant) as refusal:
        start(application, user)

    assert refusal.value.reason == reason
    assert not Grant.objects.exists()


def test_grant_of_a_deleted_user_does_not_start(application, user):
    type(user).objects.filter(pk=user.pk).delete()

    with pytest.raises(InvalidGrant, match="the user is gone"):
        start(application, user)


@pytest.mark.parametrize("grant_type", ["password", "authorization_code", STAFF])
def test_grant_without_a_user_is_for_client_credentials_only(application, grant_type):
    with pytest.raises(ValueError, match=f"'{grant_type}' cannot start a grant without a user"):
        start(application, None, grant_type=grant_type)

    assert not Grant.objects.exists()


def test_grant_is_stored_as_it_was_started(stopped_clock, application, user):
    issued = start(application, user, client_info=ClientInfo(address="192.0.2.7", user_agent="curl/8"))

    grant = Grant.objects.values().get()
    assert len(grant.pop("mac_key")) == 32
    assert grant == {
        "id": issued.grant.pk,
        "public_id": issued.grant.public_id,
        "application_id": application.pk,
        "user_id": user.pk,
        "grant_type": "password",
        "scope": "notes:read",
        "resources": "",
        "consented": False,
        "generation": 1,
        "access_floor": 1,
        "imported_generation": 0,
        "created_at": NOW,
        "refreshed_at": None,
        "idle_expires_at": NOW + timedelta(days=14),
        "expires_at": NOW + timedelta(days=90),
        "password_fingerprint": next(password_fingerprints(user)),
        "retry_slots": None,
        "retries": 0,
        "address": "192.0.2.7",
        "user_agent": "curl/8",
        "revoked_at": None,
        "revoked_reason": "",
        "revoked_by_id": None,
        "revocation_id": None,
    }


def test_tokens_are_stored_by_their_digests(stopped_clock, application, user):
    issued = start(application, user, client_info=ClientInfo(address="192.0.2.7", user_agent="curl/8"))

    assert list(RefreshToken.objects.values()) == [
        {
            "id": RefreshToken.objects.get().pk,
            "grant_id": issued.grant.pk,
            "generation": 1,
            "digest": crypto.digest(issued.refresh_token),
            "created_at": NOW,
            "expires_at": NOW + timedelta(days=14),
            "address": "192.0.2.7",
            "user_agent": "curl/8",
        }
    ]
    assert list(AccessToken.objects.values()) == [
        {
            "id": AccessToken.objects.get().pk,
            "grant_id": issued.grant.pk,
            "generation": 1,
            "digest": crypto.digest(issued.access_token),
            "scope": "notes:read",
            "audience": "",
            "created_at": NOW,
            "expires_at": NOW + timedelta(hours=1),
            "revoked_at": None,
        }
    ]


def test_issued_pair_says_how_long_it_is_valid(stopped_clock, application, user):
    issued = start(application, user, scope="notes:write notes:read")

    assert (issued.expires_in, issued.refresh_token_expires_in, issued.scope) == (
        3600,
        1209600,
        "notes:write notes:read",
    )


def test_issued_tokens_show_nothing_of_themselves(application, user):
    issued = start(application, user)

    assert repr(issued).startswith("<oauth_refresh.services.tokens.IssuedTokens object")


def test_grant_of_the_application_itself_has_an_access_token_only(stopped_clock, application):
    issued = start(application, None, grant_type="client_credentials")

    assert (issued.expires_in, issued.refresh_token, issued.refresh_token_expires_in) == (3600, None, None)
    assert not RefreshToken.objects.exists()
    assert issued.grant.idle_expires_at == NOW + timedelta(hours=1)


@pytest.fixture
def start_by(oauth_settings, application, user):
    """Start a grant by some grant type, under settings and an own list that a test chooses."""

    def start_by(grant_type, *, server, own_grant_types):
        oauth_settings(**server)
        application.grant_types = own_grant_types
        return start(application, user, grant_type=grant_type)

    return start_by


@pytest.mark.parametrize(
    ("server", "own_grant_types", "grant_type", "refreshable"),
    [
        ({}, "refresh_token", "authorization_code", True),
        ({}, "refresh_token", "password", True),
        ({}, "refresh_token", STAFF, True),
        ({}, "refresh_token", "client_credentials", False),
        ({"REFRESH_TOKEN_GRANT_TYPES": ["client_credentials"]}, "refresh_token", "client_credentials", True),
        ({"REFRESH_TOKEN_GRANT_TYPES": ["client_credentials"]}, "refresh_token", "password", False),
        ({}, "password", "password", False),
        ({}, "authorization_code", STAFF, False),
        ({"GRANT_TYPES": ["password"]}, "password refresh_token", "password", False),
    ],
)
def test_refresh_token_needs_server_and_application_to_agree(
    start_by, server, own_grant_types, grant_type, refreshable
):
    issued = start_by(grant_type, server=server, own_grant_types=own_grant_types)

    assert (issued.refresh_token is not None) is refreshable
    assert RefreshToken.objects.exists() is refreshable


@pytest.mark.usefixtures("stopped_clock")
@pytest.mark.parametrize(
    ("own", "lives_for", "cap"),
    [
        ({"access_token_lifetime": timedelta(seconds=30)}, (30, 1209600), timedelta(days=90)),
        ({"refresh_token_lifetime": timedelta(days=1)}, (3600, 86400), timedelta(days=90)),
        ({"grant_lifetime": timedelta(days=20)}, (3600, 1209600), timedelta(days=20)),
        ({"grant_lifetime": timedelta(minutes=10)}, (600, 600), timedelta(minutes=10)),
    ],
)
def test_lifetimes_of_the_application_override_those_of_the_project(user, own, lives_for, cap):
    issued = start(ApplicationFactory(**own), user)

    assert (issued.expires_in, issued.refresh_token_expires_in) == lives_for
    assert issued.grant.expires_at == NOW + cap


def test_project_may_do_without_a_cap(oauth_settings, application, user):
    oauth_settings(GRANT_LIFETIME=None)

    assert start(application, user).grant.expires_at is None


def test_project_without_scopes_grants_an_empty_one(oauth_settings, application, user):
    oauth_settings(unset=["SCOPES", "DEFAULT_SCOPES"])

    assert start(application, user).scope == ""


def test_prefixes_are_those_of_the_project(oauth_settings, application, user):
    oauth_settings(ACCESS_TOKEN_PREFIX="acme_at_", REFRESH_TOKEN_PREFIX="acme_rt_")

    issued = start(application, user)

    assert issued.access_token.startswith("acme_at_")
    assert issued.refresh_token.startswith("acme_rt_")


def test_start_sends_a_signal_after_commit(application, user, django_capture_on_commit_callbacks):
    with recorded(tokens_issued) as sent, django_capture_on_commit_callbacks(execute=True):
        issued = start(application, user)
        sent_before_commit = list(sent)

    assert sent_before_commit == []
    assert sent == [{"grant": issued.grant, "grant_type": "password"}]


@pytest.mark.django_db(transaction=True)
def test_start_may_be_part_of_a_transaction_that_is_undone(application, user):
    with recorded(tokens_issued) as sent, transaction.atomic():
        start(application, user)
        transaction.set_rollback(True)

    assert not Grant.objects.exists()
    assert sent == []
