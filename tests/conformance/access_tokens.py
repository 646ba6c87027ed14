"""Access tokens that must not be accepted: each function spoils the token of a client, or makes one, and returns it."""

from oauth_refresh.models import Application
from tests.factories import AccessTokenFactory
from tests.oauth import OAuthClient


def expired(client: OAuthClient) -> str:
    return of_row(client, expired=True)


def revoked(client: OAuthClient) -> str:
    return of_row(client, revoked=True)


def of_row(client: OAuthClient, **traits: bool) -> str:
    raw = "oat_" + "B" * 43
    AccessTokenFactory(grant=client.grant, raw=raw, **traits)
    return raw


def of_a_revoked_grant(client: OAuthClient) -> str:
    client.revoke(client.refresh_token)
    return client.access_token


def replaced(client: OAuthClient) -> str:
    old = client.access_token
    client.rotate()
    return old


def of_an_inactive_user(client: OAuthClient) -> str:
    type(client.grant.user).objects.update(is_active=False)  # no signal
    return client.access_token


def of_an_inactive_application(client: OAuthClient) -> str:
    Application.objects.filter(pk=client.application.pk).update(is_active=False)  # no signal
    return client.access_token


def of_an_old_password(client: OAuthClient) -> str:
    type(client.grant.user).objects.update(password="another")  # no signal
    return client.access_token


INVALID_ACCESS_TOKENS = {
    "unknown": lambda client: "oat_" + "A" * 43,
    "malformed": lambda client: "garbage",
    "another server's": lambda client: "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
    "expired": expired,
    "revoked": revoked,
    "of a revoked grant": of_a_revoked_grant,
    "replaced by a refresh": replaced,
    "of an inactive user": of_an_inactive_user,
    "of an inactive application": of_an_inactive_application,
    "of an old password": of_an_old_password,
}
