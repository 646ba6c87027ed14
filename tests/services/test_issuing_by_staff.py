"""Tokens that staff issues: for a user, or for an application that may act for itself."""

import pytest

from oauth_refresh.errors import InvalidGrant, InvalidScope, UnauthorizedClient
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import Grant, RefreshToken
from oauth_refresh.services.issuing import issue_by_staff
from oauth_refresh.signals import tokens_issued
from tests.factories import ApplicationFactory, UserFactory
from tests.signals import recorded

pytestmark = pytest.mark.django_db


def test_grant_for_a_user_has_the_grant_type_of_staff(application, user):
    issued = issue_by_staff(
        application, user=user, scope="notes:write", client_info=ClientInfo(address="192.0.2.1", user_agent="Firefox")
    )

    grant = Grant.objects.get()
    assert (issued.grant, grant.user, grant.application) == (grant, user, application)
    assert (grant.grant_type, grant.scope, grant.address, grant.user_agent) == (
        "operator",
        "notes:write",
        "192.0.2.1",
        "Firefox",
    )
    assert RefreshToken.objects.get().is_live


def test_grant_without_a_user_is_that_of_client_credentials(application):
    issued = issue_by_staff(application, user=None)

    grant = Grant.objects.get()
    assert (grant.user, grant.grant_type, grant.scope) == (None, "client_credentials", "notes:read")
    assert issued.refresh_token is None


def test_client_info_and_scope_may_be_left_out(application, user):
    issue_by_staff(application, user=user)

    assert Grant.objects.values_list("scope", "address", "user_agent").get() == ("notes:read", None, "")


INACTIVE = {"is_active": False}


@pytest.mark.parametrize(
    "application",
    [{"public": True}, {"public": True, "grant_types": "client_credentials"}, {"grant_types": "refresh_token"}],
    ids=str,
)
def test_application_that_may_not_act_for_itself_needs_a_user(application):
    with pytest.raises(UnauthorizedClient) as refusal:
        issue_by_staff(ApplicationFactory.build(**application), user=None)

    assert refusal.value.reason == ("The application may not act for itself (client_credentials), so it needs a user.")
    assert not Grant.objects.exists()


@pytest.mark.parametrize(
    ("changes", "scope", "error", "reason"),
    [
        ({"user": INACTIVE}, None, InvalidGrant, "A grant cannot start: user inactive."),
        ({"application": INACTIVE}, None, InvalidGrant, "A grant cannot start: application inactive."),
        ({}, "no such", InvalidScope, "A requested scope is unknown, or this application may not request it."),
        ({}, "", InvalidScope, "Request a scope: this application has none by default."),
    ],
    ids=str,
)
def test_what_the_rules_refuse_starts_nothing(changes, scope, error, reason):
    application, user = ApplicationFactory(**changes.get("application", {})), UserFactory(**changes.get("user", {}))

    with pytest.raises(error) as refusal:
        issue_by_staff(application, user=user, scope=scope)

    assert refusal.value.reason == reason
    assert not Grant.objects.exists()


def test_inactive_application_does_not_act_for_itself():
    with pytest.raises(InvalidGrant):
        issue_by_staff(ApplicationFactory(is_active=False), user=None)


def test_signal_names_the_grant_type(application, user, django_capture_on_commit_callbacks):
    with recorded(tokens_issued) as arguments, django_capture_on_commit_callbacks(execute=True):
        issue_by_staff(application, user=user)

    assert arguments == [{"grant": Grant.objects.get(), "grant_type": "operator"}]
