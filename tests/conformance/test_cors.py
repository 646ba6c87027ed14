"""Browser clients on other origins, by django-cors-headers: RFC 9700 §2.6."""

from http import HTTPStatus

import pytest
from django.test import Client
from django.urls import reverse

from oauth_refresh.models import Application, Grant
from tests.oauth import post_form


def preflight(endpoint, origin):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    return Client().options(reverse(f"oauth_refresh:{endpoint}"), headers=headers)


@pytest.fixture
def spa(public_application):
    """A public application on origins of its own."""
    Application.objects.update(redirect_uris="https://spa.example/callback\nhttps://spa.example:8443/callback")


@pytest.mark.parametrize("endpoint", ["token", "revoke"])
@pytest.mark.parametrize("origin", ["https://spa.example", "https://spa.example:8443"])
def test_t_028_preflight_from_a_registered_origin_is_allowed(spa, endpoint, origin):
    response = preflight(endpoint, origin)

    assert response.status_code == HTTPStatus.OK
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert {"authorization", "content-type"} <= set(response.headers["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://spa.example",
        "https://spa.example.evil.example",
        "https://spa.exampl",
        "null",
        "",
    ],
)
def test_t_028_preflight_from_elsewhere_is_not_allowed(spa, origin):
    assert "Access-Control-Allow-Origin" not in preflight("token", origin).headers


@pytest.mark.parametrize(
    ("redirect_uri", "origin"),
    [
        ("https://spa.example:443/callback", "https://spa.example"),
        ("http://127.0.0.1:80/callback", "http://127.0.0.1"),
        ("https://[2001:db8::1]:443/callback", "https://[2001:db8::1]"),
        ("https://[2001:db8::1]/callback", "https://[2001:db8::1]"),
        ("https://SPA.example/callback", "https://spa.example"),
        ("https://spa.example:80/callback", "https://spa.example:80"),
        ("http://127.0.0.1:443/callback", "http://127.0.0.1:443"),
    ],
)
def test_t_028_origin_is_that_which_browsers_make_of_a_redirect_uri(public_application, redirect_uri, origin):
    Application.objects.update(redirect_uris=redirect_uri)

    assert preflight("token", origin).headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize(
    ("redirect_uri", "origin"),
    [
        ("https://spa.example:80/callback", "https://spa.example"),
        ("https://spa.example:4430/callback", "https://spa.example"),
        ("https://spa.example:99999/callback", "https://spa.example"),
        ("http://spa.example/callback", "http://spa.example"),
    ],
)
def test_t_028_other_port_or_unusable_redirect_uri_is_another_origin(public_application, redirect_uri, origin):
    Application.objects.update(redirect_uris=redirect_uri)

    assert "Access-Control-Allow-Origin" not in preflight("token", origin).headers


@pytest.mark.parametrize("state", [{"is_active": False}, {"auth_method": "client_secret_basic"}])
def test_t_028_origin_counts_only_for_active_public_applications(spa, state):
    Application.objects.update(**state)

    assert "Access-Control-Allow-Origin" not in preflight("token", "https://spa.example").headers


@pytest.mark.parametrize("endpoint", ["introspect", "authorize"])
def test_t_028_other_endpoints_are_not_for_other_origins(spa, endpoint):
    assert "Access-Control-Allow-Origin" not in preflight(endpoint, "https://spa.example").headers


def test_t_028_unknown_address_has_no_cors_headers(spa):
    response = Client().options("/nothing", headers={"Origin": "https://spa.example"})

    assert "Access-Control-Allow-Origin" not in response.headers


WELL_KNOWN = ["/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/"]


def metadata_preflight(path):
    headers = {
        "Origin": "https://anywhere.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "mcp-protocol-version,\tX-Own",
    }
    return Client().options(path, headers=headers)


@pytest.mark.parametrize("path", WELL_KNOWN)
def test_preflight_for_metadata_is_answered_by_the_middleware_for_any_origin(path):
    response = metadata_preflight(path)

    assert response.status_code == HTTPStatus.OK
    assert response.headers["Access-Control-Allow-Origin"] == "https://anywhere.example"
    assert "GET" in response.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("path", [*WELL_KNOWN, f"{WELL_KNOWN[0]}/of-another-issuer"])
def test_preflight_for_metadata_is_answered_without_the_middleware(settings, path):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "corsheaders" not in name]

    response = metadata_preflight(path)

    assert (response.status_code, response.content) == (HTTPStatus.NO_CONTENT, b"")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert response.headers["Access-Control-Allow-Headers"] == "mcp-protocol-version, X-Own"


def test_options_without_a_preflight_is_answered(settings):
    response = Client().options(WELL_KNOWN[0])

    assert (response.status_code, response.content) == (HTTPStatus.NO_CONTENT, b"")
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_names_of_headers_are_all_that_a_preflight_repeats(settings):
    settings.MIDDLEWARE = []
    odd = {"Access-Control-Request-Headers": "x-own: 1\r\nSet-Cookie: a=b, \u00fc\u20ac"}

    response = Client().options(WELL_KNOWN[0], headers=odd)

    assert response.headers["Access-Control-Allow-Headers"] == "x-own, 1, Set-Cookie, a, b"
    assert not response.cookies


def test_rv_017_browser_on_a_registered_origin_may_revoke(public_client):
    Application.objects.update(redirect_uris="https://spa.example/callback")

    response = post_form(
        "revoke",
        {**public_client.credentials, "token": public_client.access_token},
        headers={"Origin": "https://spa.example"},
    )

    assert response.status_code == HTTPStatus.OK
    assert Grant.objects.get().revoked_reason == "client_request"
    assert response.headers["Access-Control-Allow-Origin"] == "https://spa.example"
