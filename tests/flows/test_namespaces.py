"""A project that includes the URLs inside namespaces of its own, as plugins of pretix and NetBox do."""

import re
from http import HTTPStatus
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import include, path

from oauth_refresh.http import url_namespace
from oauth_refresh.user_pages.views import ApplicationsView
from tests.factories import GrantFactory, UserFactory
from tests.jwts import EC_KEY, client_assertion, client_claims, key_application, sign
from tests.oauth import FORM
from tests.user_pages.pages import signed_in, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

_ENDPOINTS = [path("oauth/", include("oauth_refresh.urls")), path("", include("oauth_refresh.urls.well_known"))]
_PLUGIN = [path("", include((_ENDPOINTS, "shop")))]

urlpatterns = [
    path("deeper/", include(([path("", include((_PLUGIN, "inner")))], "outer"))),
    path("", include(([path("", include(_PLUGIN))], "plugins"))),
    path("admin/", admin.site.urls),
    path("me", ApplicationsView.as_view()),
]


@pytest.fixture
def grant(user):
    return GrantFactory(user=user, application__name="Notebook")


def test_metadata_names_the_outermost_endpoints(oauth_settings):
    oauth_settings(ISSUER="https://auth.example")

    metadata = Client().get("/.well-known/oauth-authorization-server").json()

    assert {name: url for name, url in metadata.items() if name.endswith("_endpoint")} == {
        "authorization_endpoint": "https://auth.example/oauth/authorize",
        "token_endpoint": "https://auth.example/oauth/token",
        "revocation_endpoint": "https://auth.example/oauth/revoke",
        "introspection_endpoint": "https://auth.example/oauth/introspect",
        "revocations_endpoint": "https://auth.example/oauth/revocations",
    }


@pytest.mark.parametrize("mount", ["/oauth/", "/deeper/oauth/"])
def test_user_disconnects_an_application_where_the_pages_are(user, grant, mount):
    browser = signed_in(user)

    listed = browser.get(f"{mount}applications/")
    asked = browser.get(f"{mount}applications/{grant.public_id}/revoke")
    done = browser.post(f"{mount}applications/{grant.public_id}/revoke", follow=True)

    links = re.findall(rf'href="({mount}[^"]*)"', listed.content.decode())
    assert links == [f"{mount}applications/{grant.public_id}/revoke", f"{mount}applications/revoke"]
    assert f'href="{mount}applications"' in asked.content.decode()
    assert done.redirect_chain == [(f"{mount}applications", HTTPStatus.FOUND)]
    assert "Notebook was disconnected." in text_of(done)


def test_page_at_an_address_of_the_project_links_to_the_endpoints(user, grant):
    page = signed_in(user).get("/me").content.decode()

    assert f'href="/oauth/applications/{grant.public_id}/revoke"' in page


def test_assertion_may_name_the_token_endpoint(oauth_settings):
    oauth_settings(ACCEPT_TOKEN_ENDPOINT_AS_AUDIENCE=True, ISSUER="https://auth.example")
    application = key_application(EC_KEY)
    signed = sign(client_claims(application.client_id, aud="https://auth.example/oauth/token"))

    form = {"grant_type": "client_credentials", **client_assertion(signed)}
    answer = Client().post("/oauth/token", urlencode(form), content_type=FORM)

    assert answer.status_code == HTTPStatus.OK


def test_generated_tokens_come_with_their_curl_lines(application, user):
    staff = UserFactory(is_staff=True, is_superuser=True)
    form = {"username": user.username, "scope": ["notes:read"]}

    page = signed_in(staff).post(f"/admin/oauth_refresh/application/{application.pk}/tokens/", form).content.decode()

    assert "http://testserver/oauth/token -d" in page
    assert "http://testserver/oauth/revoke -d" in page


def test_namespace_is_found_in_a_urlconf_that_includes_itself(settings):
    settings.ROOT_URLCONF = "tests.flows.urls_that_include_themselves"

    assert url_namespace() == "oauth_refresh"
