"""The server metadata at the address where clients of OpenID Connect look for them (RFC 8414 §5)."""

from http import HTTPStatus

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path, reverse

from tests.urls import urlpatterns as ours

OPENID = "/.well-known/openid-configuration"
WELL_KNOWN = "/.well-known/oauth-authorization-server"


def provider_of_the_project(request):
    return HttpResponse("another provider")


urlpatterns = [
    *ours,
    path(OPENID.removeprefix("/"), provider_of_the_project),
    path(f"provider{OPENID}", provider_of_the_project),
]


@pytest.fixture(autouse=True)
def alias_is_on(oauth_settings):
    oauth_settings(OPENID_CONFIGURATION_ALIAS=True)


@pytest.mark.parametrize("address", [OPENID, f"{OPENID}/"])
def test_document_is_the_same(address):
    response = Client().get(address)

    assert response.status_code == HTTPStatus.OK
    assert response.json() == Client().get(WELL_KNOWN).json()
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("address", [f"/tenant/a{OPENID}", f"{OPENID}/tenant/a", f"/tenant/a{OPENID}/"])
def test_document_of_an_issuer_with_a_path_is_in_front_of_it_and_behind_it(oauth_settings, address):
    assert Client().get(address).status_code == HTTPStatus.NOT_FOUND

    oauth_settings(ISSUER="https://auth.example/tenant/a")

    assert Client().get(address).json()["issuer"] == "https://auth.example/tenant/a"
    assert Client().get(OPENID).status_code == HTTPStatus.NOT_FOUND
    assert Client().get(f"/tenant{OPENID}/a").status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("changes", [{"OPENID_CONFIGURATION_ALIAS": False}, {"ISSUER": None}])
def test_there_is_none_without_the_setting_or_an_issuer(oauth_settings, changes):
    oauth_settings(**changes)

    assert Client().get(OPENID).status_code == HTTPStatus.NOT_FOUND


def test_provider_of_the_project_keeps_its_addresses(settings, oauth_settings):
    settings.ROOT_URLCONF = __name__
    assert Client().get(f"/provider{OPENID}").content == b"another provider"
    assert Client().get(OPENID).json()["issuer"] == "https://auth.example"

    oauth_settings(OPENID_CONFIGURATION_ALIAS=False)

    assert Client().get(OPENID).content == b"another provider"


def test_preflight_and_head_are_answered():
    assert Client().options(OPENID).status_code == HTTPStatus.NO_CONTENT
    assert Client().head(OPENID).status_code == HTTPStatus.OK


@pytest.mark.parametrize("issuer_path", ["", "tenant/a"])
def test_address_has_a_name(issuer_path):
    assert reverse("openid_configuration", args=[issuer_path]) == f"{OPENID}/{issuer_path}".rstrip("/")
