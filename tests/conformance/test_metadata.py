"""Metadata: RFC 8414, RFC 9207, and that the server keeps what it promises there."""

from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client

from oauth_refresh.models import Application, AuthMethod, GrantType
from tests.factories import PASSWORD, SECRET, ApplicationFactory, AuthorizationCodeFactory, TrustedIssuerFactory
from tests.jwts import (
    EC_KEY,
    ED_KEY,
    RSA_KEY,
    KeyClient,
    client_assertion,
    client_claims,
    grant_claims,
    jwks,
    key_application,
    sign,
)
from tests.oauth import FORM, OAuthClient, basic, post_form
from tests.refusals import NOT_SECURE, assert_protocol_headers, invalid_request, read_refusal

WELL_KNOWN = "/.well-known/oauth-authorization-server"
ISSUER = "https://auth.example"
ALGORITHMS = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519"),
]
AUTH_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
GRANT_TYPES = [
    *("authorization_code", "client_credentials", "password", "refresh_token"),
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
]
NO_SUCH_ISSUER = {"error": "not_found", "error_description": "There is no such issuer."}


def fetch(path=WELL_KNOWN, **extra):
    return Client().get(path, **extra)


def test_md_001_metadata_are_at_the_well_known_address():
    response = fetch()

    assert response.status_code == HTTPStatus.OK
    assert_protocol_headers(response)
    assert response.json() == {
        "issuer": ISSUER,
        "authorization_endpoint": "https://auth.example/oauth/authorize",
        "token_endpoint": "https://auth.example/oauth/token",
        "revocation_endpoint": "https://auth.example/oauth/revoke",
        "introspection_endpoint": "https://auth.example/oauth/introspect",
        "revocations_endpoint": "https://auth.example/oauth/revocations",
        "scopes_supported": ["notes:read", "notes:write", "PRODUCTION", "SANDBOX", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GRANT_TYPES,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "access_token_prefix": "oat_",
        "foreign_tokens_accepted": False,
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": [name for name in AUTH_METHODS if name != "none"],
        "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
    }


def test_md_001_metadata_say_that_tokens_of_another_server_are_accepted(other_server):
    assert fetch().json()["foreign_tokens_accepted"] is True


def test_md_001_server_without_an_issuer_has_no_metadata(oauth_settings):
    oauth_settings(ISSUER=None)

    response = fetch()

    assert (response.status_code, response.json()) == (HTTPStatus.NOT_FOUND, NO_SUCH_ISSUER)


def test_md_001_metadata_over_plain_http_are_refused_where_https_is_required(oauth_settings):
    oauth_settings(REQUIRE_HTTPS=True)

    assert read_refusal(fetch()) == NOT_SECURE
    assert fetch(secure=True).status_code == HTTPStatus.OK


def test_md_002_path_of_the_issuer_comes_behind_the_well_known_one(oauth_settings):
    oauth_settings(ISSUER="https://auth.example/tenant1")

    response = fetch(f"{WELL_KNOWN}/tenant1")

    assert response.status_code == HTTPStatus.OK
    assert response.json()["issuer"] == "https://auth.example/tenant1"
    assert response.json()["token_endpoint"] == "https://auth.example/oauth/token"


@pytest.mark.parametrize(
    ("issuer", "path"),
    [("https://auth.example/", WELL_KNOWN), ("https://auth.example/tenant1/", f"{WELL_KNOWN}/tenant1")],
)
def test_md_003_slash_at_the_end_of_the_issuer_is_not_looked_for_but_returned(oauth_settings, issuer, path):
    oauth_settings(ISSUER=issuer)

    assert fetch(path).json()["issuer"] == issuer


@pytest.mark.parametrize(
    ("issuer", "path"),
    [
        (ISSUER, f"{WELL_KNOWN}/tenant1"),
        ("https://auth.example/tenant1", WELL_KNOWN),
        ("https://auth.example/tenant1", f"{WELL_KNOWN}/tenant2"),
        ("https://auth.example/tenant1", f"{WELL_KNOWN}/Tenant1"),
        ("https://auth.example/tenant1", f"{WELL_KNOWN}/tenant1/more"),
        ("https://auth.example/tenant1", f"{WELL_KNOWN}-tenant1"),
        ("https://auth.example/tenant1", f"/tenant1{WELL_KNOWN}"),
    ],
)
def test_md_004_address_of_another_issuer_is_not_found(oauth_settings, issuer, path):
    oauth_settings(ISSUER=issuer)

    assert fetch(path).status_code == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("grant_types", [GRANT_TYPES, ["client_credentials"]], ids=["all", "client_credentials"])
def test_md_005_required_members_are_there(oauth_settings, grant_types):
    oauth_settings(GRANT_TYPES=grant_types)

    members = fetch().json()

    assert {"issuer", "token_endpoint", "response_types_supported"} <= members.keys()
    assert ("authorization_endpoint" in members) == ("authorization_code" in grant_types)


def test_md_006_grant_types_are_those_the_project_offers(oauth_settings):
    oauth_settings(GRANT_TYPES=["refresh_token", "client_credentials"])
    assert fetch().json()["grant_types_supported"] == ["refresh_token", "client_credentials"]

    oauth_settings(unset=["GRANT_TYPES"])
    assert fetch().json()["grant_types_supported"] == ["authorization_code", "client_credentials", "refresh_token"]


def test_md_006_grant_type_that_the_server_has_no_code_for_is_not_named(oauth_settings):
    oauth_settings(GRANT_TYPES=["refresh_token", "urn:ietf:params:oauth:grant-type:device_code"])

    assert fetch().json()["grant_types_supported"] == ["refresh_token"]


def test_md_007_authentication_methods_are_named_with_none():
    assert fetch().json()["token_endpoint_auth_methods_supported"] == AUTH_METHODS


def test_md_008_signing_algorithms_are_named_and_need_a_key():
    algorithms = fetch().json()["token_endpoint_auth_signing_alg_values_supported"]

    assert "RS256" in algorithms
    assert not [name for name in algorithms if name.lower() == "none" or name.startswith("HS")]


def test_md_009_revocation_endpoint_is_described_like_the_token_endpoint():
    members = fetch().json()

    for name in ("auth_methods_supported", "auth_signing_alg_values_supported"):
        assert members[f"revocation_endpoint_{name}"] == members[f"token_endpoint_{name}"]


def test_md_010_empty_lists_are_left_out_but_for_the_required_one(oauth_settings):
    oauth_settings(GRANT_TYPES=["client_credentials"], SCOPES={}, DEFAULT_SCOPES=[])

    members = fetch().json()

    assert [name for name, value in members.items() if value in ([], None)] == ["response_types_supported"]
    assert "scopes_supported" not in members


def test_md_011_challenge_methods_are_named_only_with_the_authorization_endpoint(oauth_settings):
    assert fetch().json()["code_challenge_methods_supported"] == ["S256"]

    oauth_settings(GRANT_TYPES=["client_credentials"])
    assert "code_challenge_methods_supported" not in fetch().json()


def test_md_012_issuer_in_the_authorization_response_is_announced():
    assert fetch().json()["authorization_response_iss_parameter_supported"] is True


@pytest.mark.parametrize(
    "name",
    [
        "device_authorization_endpoint",
        "dpop_signing_alg_values_supported",
        "jwks_uri",
        "protected_resources",
        "pushed_authorization_request_endpoint",
        "registration_endpoint",
    ],
)
def test_md_012_what_the_server_has_not_is_not_announced(name):
    assert name not in fetch().json()


def test_md_013_response_mode_is_the_query_alone_if_there_is_any(oauth_settings):
    assert fetch().json()["response_modes_supported"] == ["query"]

    oauth_settings(GRANT_TYPES=["client_credentials"])
    assert "response_modes_supported" not in fetch().json()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_md_014_other_methods_are_not_allowed(method):
    response = Client().generic(method, WELL_KNOWN, "grant_type=refresh_token", FORM)

    assert read_refusal(response) == invalid_request("Only GET is allowed.", status=HTTPStatus.METHOD_NOT_ALLOWED)
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", [WELL_KNOWN, f"{WELL_KNOWN}/", f"{WELL_KNOWN}/tenant"])
def test_md_001_head_is_answered_like_get_without_a_body(path):
    response, whole = Client().head(path), fetch(path)

    assert (response.status_code, response.content) == (whole.status_code, b"")
    assert dict(response.headers) == dict(whole.headers)


def test_md_015_addresses_are_built_from_the_issuer_and_never_from_the_request(settings):
    settings.ALLOWED_HOSTS = ["*"]
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}

    response = fetch(headers=forged)

    assert response.json() == fetch().json()
    addresses = [value for name, value in response.json().items() if name == "issuer" or name.endswith("_endpoint")]
    assert len(addresses) == 6
    assert {urlsplit(address)[:2] for address in addresses} == {("https", "auth.example")}


OFFERS = {
    "all": GRANT_TYPES,
    "default": ["authorization_code", "client_credentials", "refresh_token"],
    "machines": ["client_credentials"],
    "assertions": ["urn:ietf:params:oauth:grant-type:jwt-bearer", "refresh_token"],
}
UNKNOWN_GRANT_TYPES = ["implicit", "urn:ietf:params:oauth:grant-type:device_code"]
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def use_grant_type(grant_type, user):
    """Send a request that is right in every way, if only the server knows its grant type."""
    grant_types = " ".join({*GRANT_TYPES, grant_type})
    client = OAuthClient(ApplicationFactory(raw_secret=SECRET, grant_types=grant_types), SECRET).start(user=user)
    code = AuthorizationCodeFactory(
        raw="oac_" + "c" * 43, grant__application=client.application, grant__user=user, code_challenge=CHALLENGE
    )
    forms = {
        "authorization_code": {
            "code": "oac_" + "c" * 43,
            "redirect_uri": code.redirect_uri,
            "code_verifier": VERIFIER,
        },
        "password": {"username": user.username, "password": PASSWORD},
        "refresh_token": {"refresh_token": client.refresh_token},
        GrantType.JWT_BEARER: {
            "assertion": sign(grant_claims(TrustedIssuerFactory(jwks=jwks(EC_KEY)), user)),
        },
    }
    return client.token(grant_type=grant_type, **forms.get(grant_type, {}))


@pytest.mark.parametrize("offered", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("grant_type", [*GRANT_TYPES, *UNKNOWN_GRANT_TYPES])
def test_md_016_grant_type_works_just_if_it_is_advertised(oauth_settings, user, offered, grant_type):
    oauth_settings(GRANT_TYPES=offered)
    is_advertised = grant_type in fetch().json()["grant_types_supported"]

    response = use_grant_type(grant_type, user)

    assert (response.status_code == HTTPStatus.OK) == is_advertised
    assert is_advertised or response.json()["error"] == "unsupported_grant_type"


def credentials_by(auth_method):
    """Return an application of the method, and how a request of it looks."""
    if auth_method == "private_key_jwt":
        application = key_application(EC_KEY)
        return application, {"parameters": KeyClient(application).credentials}
    if auth_method == "none":
        application = ApplicationFactory(public=True)
        return application, {"parameters": {"client_id": application.client_id}}
    application = ApplicationFactory(raw_secret=SECRET)
    own_id = application.client_id
    if auth_method == "client_secret_jwt":
        claims = sign(client_claims(own_id)).split(".")[1]
        return application, {"parameters": client_assertion(f"eyJhbGciOiJIUzI1NiJ9.{claims}.AAAA")}
    if auth_method == "client_secret_basic":
        return application, {"parameters": {}, "authorization": basic(own_id, SECRET)}
    if auth_method == "client_secret_post":
        return application, {"parameters": {"client_id": own_id, "client_secret": SECRET}}
    return application, {"parameters": {"client_id": own_id}}


@pytest.mark.parametrize("endpoint", ["token", "revoke"])
@pytest.mark.parametrize("auth_method", [*AuthMethod.values, "client_secret_jwt", "tls_client_auth"])
def test_md_016_authentication_method_works_just_if_it_is_advertised(user, endpoint, auth_method):
    member = {"token": "token_endpoint_auth_methods_supported", "revoke": "revocation_endpoint_auth_methods_supported"}
    is_advertised = auth_method in fetch().json()[member[endpoint]]
    application, sent = credentials_by(auth_method)
    client = OAuthClient(application).start(user=user)
    form = {
        "token": {"grant_type": "refresh_token", "refresh_token": client.refresh_token},
        "revoke": {"token": client.access_token},
    }

    response = post_form(endpoint, form[endpoint] | sent.pop("parameters"), **sent)

    assert response.status_code == (HTTPStatus.OK if is_advertised else HTTPStatus.UNAUTHORIZED)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_md_016_every_advertised_algorithm_works(user, algorithm):
    curves = {"ES384": "P-384", "ES512": "P-521"}
    keys = {"RS": RSA_KEY, "PS": RSA_KEY, "ES": EC_KEY, "Ed": ED_KEY}
    key = type(EC_KEY).generate_key(curves[algorithm]) if algorithm in curves else keys[algorithm[:2]]
    application = key_application(key)
    signed = sign(client_claims(application.client_id), key, alg=algorithm)

    response = post_form("token", {"grant_type": "client_credentials", **client_assertion(signed)})

    assert algorithm in fetch().json()["token_endpoint_auth_signing_alg_values_supported"]
    assert response.status_code == HTTPStatus.OK


ENDPOINTS = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "revocation_endpoint": "revoke",
    "introspection_endpoint": "introspect",
    "revocations_endpoint": "revocations",
    "device_authorization_endpoint": "device",
    "pushed_authorization_request_endpoint": "par",
    "registration_endpoint": "register",
    "userinfo_endpoint": "userinfo",
}


@pytest.mark.parametrize("member", ENDPOINTS)
def test_md_016_endpoint_answers_just_if_it_is_advertised(db, member):
    members = fetch().json()
    path = urlsplit(members.get(member, f"/oauth/{ENDPOINTS[member]}")).path

    answers = [Client().get(path), Client().post(path, "", content_type=FORM)]

    is_there = [response.status_code != HTTPStatus.NOT_FOUND for response in answers]
    assert is_there == [member in members] * 2


def test_md_016_authorization_endpoint_that_is_not_advertised_gives_no_code(oauth_settings, user, client):
    oauth_settings(GRANT_TYPES=["client_credentials"])
    redirect_uri = "https://app.example/callback"
    application = ApplicationFactory(redirect_uris=redirect_uri)
    Application.objects.update(is_trusted=True)
    query = {
        "response_type": "code",
        "client_id": application.client_id,
        "redirect_uri": redirect_uri,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    client.force_login(user)

    response = client.get("/oauth/authorize?" + urlencode(query))

    assert "authorization_endpoint" not in fetch().json()
    assert "code=" not in response.headers.get("Location", "")


def test_md_018_document_of_openid_connect_is_not_claimed():
    assert fetch("/.well-known/openid-configuration").status_code == HTTPStatus.NOT_FOUND


def test_md_019_any_origin_may_read_the_metadata():
    response = fetch(headers={"Origin": "https://app.example"})

    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_md_019_any_origin_may_read_the_404(oauth_settings):
    oauth_settings(ISSUER=None)

    response = fetch(headers={"Origin": "https://app.example"})

    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (HTTPStatus.NOT_FOUND, "*")
