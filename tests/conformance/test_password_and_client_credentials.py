"""The password and the client credentials grant: RFC 6749 §4.3 and §4.4, RFC 9700 §2.4."""

import logging
from http import HTTPStatus

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from oauth_refresh import crypto
from oauth_refresh.checks import check_deployment
from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken
from tests.factories import PASSWORD, SECRET, ApplicationFactory, UserFactory
from tests.oauth import OAuthClient, post_form, read_issued
from tests.refusals import (
    INVALID_CLIENT,
    INVALID_GRANT,
    INVALID_SCOPE,
    UNAUTHORIZED_CLIENT,
    UNSUPPORTED_GRANT_TYPE,
    invalid_scope,
    missing,
)


@pytest.fixture
def client(application):
    """A confidential client that holds nothing yet."""
    return OAuthClient(application, SECRET)


def log_in(client, *, username, password=PASSWORD, **parameters):
    return client.token(grant_type="password", username=username, password=password, **parameters)


def test_pw_001_password_grant_is_off_by_default(client, user, refused, oauth_settings):
    oauth_settings(unset=["GRANT_TYPES"])

    assert refused(lambda: log_in(client, username=user.username)) == UNSUPPORTED_GRANT_TYPE


def test_pw_001_password_grant_is_not_in_the_metadata_by_default(oauth_settings):
    oauth_settings(unset=["GRANT_TYPES"])

    metadata = Client().get(reverse("oauth_metadata")).json()

    assert "password" not in metadata["grant_types_supported"]


def test_pw_002_right_password_gets_a_pair(client, user):
    response = log_in(client, username=user.username, scope="notes:read notes:write")

    body = read_issued(response, scope="notes:read notes:write")
    assert AccessToken.objects.live().get(digest=crypto.digest(body["access_token"])).grant.user == user
    assert RefreshToken.objects.live().get(digest=crypto.digest(body["refresh_token"])).grant.user == user


def test_pw_002_password_grant_must_be_enabled_for_the_client(client, user, refused):
    Application.objects.update(grant_types="authorization_code refresh_token")

    assert refused(lambda: log_in(client, username=user.username)) == UNAUTHORIZED_CLIENT


def test_pw_002_check_warns_of_the_password_grant():
    assert "oauth_refresh.W004" in [message.id for message in check_deployment()]


def test_pw_003_wrong_password_is_refused(client, user, refused):
    answer = refused(lambda: log_in(client, username=user.username, password="incorrect horse battery staple"))

    assert answer == INVALID_GRANT


def test_pw_003_unknown_user_is_refused(client, refused):
    assert refused(lambda: log_in(client, username="nobody")) == INVALID_GRANT


def test_pw_003_inactive_user_is_refused(client, refused):
    inactive = UserFactory(is_active=False)

    assert refused(lambda: log_in(client, username=inactive.username)) == INVALID_GRANT


@pytest.mark.parametrize("username", ["abc", "²", "1.5"])
def test_pw_003_text_that_cannot_be_a_user_name_is_a_wrong_one(client, refused, monkeypatch, username):
    monkeypatch.setattr(get_user_model(), "USERNAME_FIELD", "id")

    answer = refused(lambda: log_in(client, username=username))

    assert answer == INVALID_GRANT


@pytest.mark.parametrize("empty", [{"username": ""}, {"password": ""}], ids=["username", "password"])
def test_pw_004_user_name_and_password_are_required(client, user, refused, empty):
    parameter = next(iter(empty))

    answer = refused(lambda: log_in(client, **{"username": user.username, **empty}))

    assert answer == missing(parameter)


@pytest.mark.parametrize("parameter", ["username", "password"])
def test_pw_004_parameter_left_out_is_named(client, user, refused, parameter):
    credentials = {"username": user.username, "password": PASSWORD}
    del credentials[parameter]

    assert refused(lambda: client.token(grant_type="password", **credentials)) == missing(parameter)


@pytest.mark.parametrize("password", [PASSWORD, "incorrect horse battery staple"], ids=["right", "wrong"])
def test_pw_006_client_is_authenticated_before_the_user(application, user, refused, password):
    form = {
        "grant_type": "password",
        "client_id": application.client_id,
        "username": user.username,
        "password": password,
    }

    assert refused(lambda: post_form("token", form)) == INVALID_CLIENT


def test_pw_008_password_is_decoded_as_it_was_encoded_and_never_logged(client, caplog):
    caplog.set_level(logging.DEBUG)
    user = UserFactory(raw_password="pässword + p%26 & more €")

    response = log_in(client, username=user.username, password="pässword + p%26 & more €")

    assert response.status_code == HTTPStatus.OK
    assert "pässword" not in caplog.text
    assert response.wsgi_request.sensitive_post_parameters == "__ALL__"


def test_pw_009_scope_beyond_the_application_is_refused(client, user, refused):
    Application.objects.update(scope="notes:read")

    assert refused(lambda: log_in(client, username=user.username, scope="notes:write")) == invalid_scope("notes:write")


def test_cc_001_confidential_client_gets_an_access_token(client):
    response = client.token(grant_type="client_credentials", scope="PRODUCTION")

    assert response.status_code == HTTPStatus.OK
    body = response.json()
    assert body == {
        "access_token": body["access_token"],
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "PRODUCTION",
    }
    assert AccessToken.objects.live().get().digest == crypto.digest(body["access_token"])


def test_cc_002_public_client_is_refused(refused):
    public = OAuthClient(ApplicationFactory(public=True, grant_types="client_credentials"))

    assert refused(lambda: public.token(grant_type="client_credentials")) == INVALID_CLIENT


def test_cc_003_no_refresh_token_is_issued(client):
    client.token(grant_type="client_credentials")

    assert AccessToken.objects.count() == 1
    assert not RefreshToken.objects.exists()


def test_cc_003_project_may_add_refresh_tokens(client, oauth_settings):
    added = {"REFRESH_TOKEN_GRANT_TYPES": ["client_credentials"]}
    oauth_settings(**added)

    raw = client.token(grant_type="client_credentials").json()["refresh_token"]

    assert client.refresh(raw).status_code == HTTPStatus.OK


def test_cc_004_scope_left_out_is_the_default_one(client):
    assert client.token(grant_type="client_credentials").json()["scope"] == "notes:read"


def test_cc_004_without_a_default_the_list_of_the_application_is_granted(client, oauth_settings):
    oauth_settings(DEFAULT_SCOPES=[])
    Application.objects.update(scope="notes:write SANDBOX")

    assert client.token(grant_type="client_credentials").json()["scope"] == "notes:write SANDBOX"


def test_cc_004_without_a_default_and_a_list_a_scope_is_required(client, refused, oauth_settings):
    oauth_settings(DEFAULT_SCOPES=[])

    assert refused(lambda: client.token(grant_type="client_credentials")) == INVALID_SCOPE


@pytest.mark.parametrize(
    ("scope", "wrong"),
    [("notes:write", "notes:write"), ("unknown SANDBOX", "unknown"), ("notes:read notes:write", "notes:write")],
)
def test_cc_004_scope_beyond_the_application_is_refused(client, refused, scope, wrong):
    Application.objects.update(scope="notes:read")

    assert refused(lambda: client.token(grant_type="client_credentials", scope=scope)) == invalid_scope(wrong)


def test_cc_005_access_token_of_a_client_belongs_to_no_user(user):
    namesake = OAuthClient(ApplicationFactory(client_id=str(user.pk), raw_secret=SECRET), SECRET)

    namesake.token(grant_type="client_credentials")

    assert get_user_model().objects.filter(pk=namesake.application.client_id).exists()
    assert Grant.objects.get().user is None
