"""The scope by which clients of OpenID Connect ask for a refresh token: OIDC Core §11, RFC 6749 §3.3."""

from http import HTTPStatus

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from oauth_refresh.models import AccessToken, Application, Grant, GrantType
from tests.consent import start_flow
from tests.factories import PASSWORD, SECRET, ApplicationFactory, TrustedIssuerFactory
from tests.jwts import EC_KEY, grant_claims, jwks, sign
from tests.oauth import OAuthClient
from tests.refusals import INVALID_SCOPE, invalid_scope

TEXT = "Act for you while you are away"
BOTH = "notes:read offline_access"


@pytest.fixture
def client(db):
    """A client of every grant type, which may request one scope only."""
    application = ApplicationFactory(raw_secret=SECRET, scope="notes:read", grant_types=" ".join(GrantType.values))
    return OAuthClient(application, SECRET)


def by_password(client, user, **form):
    return client.token(grant_type="password", username=user.get_username(), password=PASSWORD, **form)


def by_assertion(client, user, **form):
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY), scope="notes:read")
    return client.token(grant_type=GrantType.JWT_BEARER, assertion=sign(grant_claims(issuer, user)), **form)


def by_code(client, user, **form):
    flow, stored = start_flow(user), Application.objects.get(pk=client.application.pk)
    Application.objects.update(scope=stored.scope, grant_types=stored.grant_types)
    return flow.redeem(flow.code(**form))


def by_client_credentials(client, user, **form):
    return client.token(grant_type="client_credentials", **form)


STARTS = {"password": by_password, "assertion": by_assertion, "code": by_code}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_sh_011_offline_access_is_granted_to_an_application_that_may_refresh(client, user, start):
    body = start(client, user, scope=BOTH).json()

    assert (body["scope"], "refresh_token" in body) == (BOTH, True)
    assert Grant.objects.get().scope == AccessToken.objects.get().scope == BOTH


def test_sh_011_offline_access_is_granted_for_client_credentials_that_are_refreshed(client, user, oauth_settings):
    oauth_settings(REFRESH_TOKEN_GRANT_TYPES=["client_credentials"])

    assert by_client_credentials(client, user, scope=BOTH).json()["scope"] == BOTH


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_sh_011_offline_access_is_not_needed_for_a_refresh_token(client, user, start):
    body = start(client, user, scope="notes:read").json()

    assert (body["scope"], "refresh_token" in body) == ("notes:read", True)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_sh_012_offline_access_is_left_out_where_the_application_may_not_refresh(client, user, start):
    offered = " ".join(name for name in GrantType.values if name != GrantType.REFRESH_TOKEN)
    Application.objects.update(grant_types=offered)

    body = start(client, user, scope=BOTH).json()

    assert (body["scope"], "refresh_token" in body) == ("notes:read", False)
    assert Grant.objects.get().scope == "notes:read"


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_sh_012_offline_access_is_left_out_where_the_grant_type_yields_no_refresh_token(
    client, user, oauth_settings, start
):
    oauth_settings(REFRESH_TOKEN_GRANT_TYPES=[])

    assert start(client, user, scope=BOTH).json()["scope"] == "notes:read"


def test_sh_012_offline_access_is_left_out_for_client_credentials(client, user):
    assert by_client_credentials(client, user, scope=BOTH).json()["scope"] == "notes:read"


def test_sh_012_offline_access_is_left_out_where_the_server_offers_no_refresh(client, user, oauth_settings):
    oauth_settings(GRANT_TYPES=["password"])

    assert by_password(client, user, scope=BOTH).json()["scope"] == "notes:read"


def test_sh_012_offline_access_is_left_out_if_the_application_lost_refresh_after_the_consent(user):
    flow = start_flow(user)
    code = flow.code(scope=BOTH)
    Application.objects.update(grant_types="authorization_code")

    assert flow.redeem(code).json()["scope"] == "notes:read"


@pytest.mark.parametrize("start", [by_password, by_assertion, by_client_credentials])
@pytest.mark.parametrize("grant_types", [" ".join(GrantType.values), None])
def test_offline_access_alone_is_no_scope(client, user, start, grant_types):
    if grant_types is None:
        offered = " ".join(name for name in GrantType.values if name != GrantType.REFRESH_TOKEN)
        Application.objects.update(grant_types=offered)

    response = start(client, user, scope="offline_access")

    assert (HTTPStatus(response.status_code), response.json()) == invalid_scope("offline_access")
    assert not Grant.objects.exists()


def test_refresh_without_offline_access_omits_it_from_the_access_token_only(client, user):
    client.refresh_token = by_password(client, user, scope=BOTH).json()["refresh_token"]

    assert client.rotate(scope="notes:read")["scope"] == "notes:read"
    assert Grant.objects.get().scope == BOTH
    assert client.rotate()["scope"] == BOTH


def test_refresh_may_request_offline_access_that_was_granted(client, user):
    client.refresh_token = by_password(client, user, scope=BOTH).json()["refresh_token"]

    assert client.rotate(scope="offline_access notes:read")["scope"] == "offline_access notes:read"


def test_refresh_for_offline_access_alone_is_refused_and_revokes_nothing(client, user, refused):
    client.refresh_token = by_password(client, user, scope=BOTH).json()["refresh_token"]

    assert refused(lambda: client.refresh(scope="offline_access")) == invalid_scope("offline_access")
    assert client.rotate()["scope"] == BOTH


def test_refresh_may_not_add_offline_access(client, user, refused):
    client.refresh_token = by_password(client, user, scope="notes:read").json()["refresh_token"]

    assert refused(lambda: client.refresh(scope=BOTH)) == invalid_scope("offline_access")


def test_refresh_is_refused_if_only_offline_access_is_still_allowed(client, user, refused):
    client.refresh_token = by_password(client, user, scope=BOTH).json()["refresh_token"]
    Application.objects.update(scope="SANDBOX")

    assert refused(client.refresh) == INVALID_SCOPE
    assert refused(lambda: client.refresh(scope="offline_access notes:read")) == invalid_scope("notes:read")


def test_policy_is_not_asked_about_offline_access(client, user, oauth_settings):
    asked = []

    def policy(user, application, scopes):
        asked.append(scopes)
        return ["notes:read"]

    oauth_settings(SCOPE_POLICY=policy)

    assert by_password(client, user, scope="offline_access notes:read").json()["scope"] == "offline_access notes:read"
    assert asked == [("notes:read",)]


def test_offline_access_does_not_make_up_for_scopes_that_the_policy_refuses(client, user, oauth_settings):
    oauth_settings(SCOPE_POLICY=lambda user, application, scopes: ["offline_access"])

    response = by_password(client, user, scope="offline_access notes:read")

    assert (HTTPStatus(response.status_code), response.json()) == invalid_scope("notes:read")


@pytest.mark.parametrize("defaults", [["notes:read", "offline_access"], []])
def test_offline_access_may_be_in_the_defaults_and_in_the_list_of_an_application(
    client, user, oauth_settings, defaults
):
    oauth_settings(DEFAULT_SCOPES=defaults)
    Application.objects.update(scope=BOTH)

    assert by_password(client, user).json()["scope"] == BOTH


def test_consent_page_says_what_offline_access_means(user):
    flow = start_flow(user)

    assert TEXT in flow.ask(scope=BOTH).content.decode()
    assert TEXT not in flow.ask(scope="notes:read").content.decode()


def test_consent_page_says_what_offline_access_means_in_german(user):
    flow = start_flow(user)

    with translation.override("de"):
        page = flow.ask(scope=BOTH).content.decode()

    assert "Auch in Ihrer Abwesenheit für Sie handeln" in page


def test_consent_without_offline_access_does_not_cover_it(user):
    flow = start_flow(user)
    flow.redeem(flow.code(scope="notes:read"))

    assert TEXT in flow.ask(scope=BOTH).content.decode()


def test_list_of_connected_applications_shows_offline_access(user):
    flow = start_flow(user)
    flow.redeem(flow.code(scope=BOTH))

    assert TEXT in flow.browser.get(reverse("oauth_refresh:applications")).content.decode()
    (result,) = flow.browser.get(reverse("oauth_refresh:api_applications")).json()["results"]
    assert result["scopes"][1] == {"name": "offline_access", "text": TEXT}


def test_text_of_the_project_replaces_ours(user, oauth_settings):
    oauth_settings(SCOPES={"offline_access": "Work at night", "notes:read": "Read"}, DEFAULT_SCOPES=[])
    flow = start_flow(user)

    page = flow.ask(scope=BOTH).content.decode()

    assert ("Work at night" in page, TEXT in page) == (True, False)
    assert flow.redeem(flow.code(scope=BOTH)).json()["scope"] == BOTH


def test_offline_access_alone_is_refused_also_if_the_project_lists_it(client, user, oauth_settings):
    oauth_settings(SCOPES={"offline_access": "Work at night", "notes:read": "Read"}, DEFAULT_SCOPES=[])

    response = by_password(client, user, scope="offline_access")

    assert (HTTPStatus(response.status_code), response.json()) == invalid_scope("offline_access")


@pytest.mark.parametrize(
    ("scopes", "grant_types", "named"),
    [
        ({"a": "A"}, ["refresh_token"], ["a", "offline_access"]),
        ({"a": "A"}, ["client_credentials"], ["a"]),
        ({"offline_access": "Work at night", "a": "A"}, ["refresh_token"], ["offline_access", "a"]),
        ({"offline_access": "Work at night", "a": "A"}, ["client_credentials"], ["a"]),
        ({}, ["refresh_token"], ["offline_access"]),
        ({}, ["client_credentials"], None),
    ],
)
def test_metadata_name_offline_access_where_refresh_tokens_are_issued(oauth_settings, scopes, grant_types, named):
    oauth_settings(SCOPES=scopes, DEFAULT_SCOPES=[], GRANT_TYPES=grant_types)

    assert Client().get(reverse("oauth_metadata")).json().get("scopes_supported") == named


def test_project_without_scopes_grants_offline_access_alone(user, oauth_settings):
    oauth_settings(SCOPES={}, DEFAULT_SCOPES=[])
    client = OAuthClient(ApplicationFactory(raw_secret=SECRET, grant_types="password refresh_token"), SECRET)

    body = by_password(client, user, scope="offline_access").json()
    client.refresh_token = body["refresh_token"]

    assert (
        body["scope"] == client.rotate()["scope"] == client.rotate(scope="offline_access")["scope"] == "offline_access"
    )
