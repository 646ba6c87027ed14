"""The endpoints at the addresses of django-oauth-toolkit; ``tests/test_toolkit.py`` runs this."""

from http import HTTPStatus

import pytest
from django.test import override_settings
from django.urls import include, path, reverse

from oauth_refresh.checks.project import check_toolkit
from tests.factories import SECRET, ApplicationFactory
from tests.oauth import OAuthClient
from tests.toolkit.old import NEW, OldClient

pytestmark = pytest.mark.django_db

BESIDE = [
    path("o/", include("oauth_refresh.contrib.toolkit.urls", namespace="toolkit")),
    path("oauth/", include("oauth_refresh.urls")),
    path("", include("oauth_refresh.urls.well_known")),
]


class Beside:
    """A URLconf where both spellings are served."""

    urlpatterns = BESIDE


@pytest.fixture
def old_client(application, user):
    issued = OAuthClient(application, SECRET).start(user=user)
    return OldClient(application.client_id, SECRET, NEW, issued.access_token, issued.refresh_token)


def test_endpoints_answer_where_those_of_the_toolkit_did(old_client, client):
    old_client.rotate()
    assert old_client.post("introspect", token=old_client.access_token).json()["active"] is True
    assert old_client.post("revoke_token", token=old_client.access_token).status_code == HTTPStatus.OK
    assert old_client.refresh().status_code == HTTPStatus.BAD_REQUEST


def test_checks_find_nothing_where_both_apps_are_installed():
    assert check_toolkit() == []


def test_users_are_asked_for_consent_where_they_were(client):
    application = ApplicationFactory(redirect_uris="https://shop.example/")
    question = {
        "client_id": application.client_id,
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
        "response_type": "code",
    }

    response = client.get("/o/authorize/", question)

    assert response.status_code == HTTPStatus.FOUND
    assert response["Location"].startswith("/login/?next=/o/authorize/%3F")


def test_everything_else_is_served_beside_them(client):
    assert reverse("oauth_refresh:applications") == "/o/applications"
    assert reverse("oauth_refresh:revocations") == "/o/revocations"


def test_metadata_names_these_addresses(client):
    members = client.get("/.well-known/oauth-authorization-server").json()

    assert {
        name: members[f"{name}_endpoint"] for name in ("authorization", "token", "revocation", "introspection")
    } == {
        "authorization": "https://auth.example/o/authorize/",
        "token": "https://auth.example/o/token/",
        "revocation": "https://auth.example/o/revoke_token/",
        "introspection": "https://auth.example/o/introspect/",
    }


@override_settings(ROOT_URLCONF=Beside)
def test_metadata_names_the_other_addresses_where_both_are_served(client):
    members = client.get("/.well-known/oauth-authorization-server").json()

    assert members["token_endpoint"] == "https://auth.example/oauth/token"
    assert members["revocation_endpoint"] == "https://auth.example/oauth/revoke"
