"""The OpenAPI description: it is valid, has each endpoint once, and describes what the server really answers."""

import copy
import re
from http import HTTPStatus
from pathlib import Path

import pytest
import yaml
from django.db import OperationalError, connection
from django.test import Client
from django.urls import include, path, reverse
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.settings import patched_settings, spectacular_settings
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated

from oauth_refresh.authorization_server.views import ProtocolView, TokenView
from oauth_refresh.models import Application, GrantType
from oauth_refresh.resource_server.permissions import HasScope, HasScopeOrSession
from tests.factories import SECRET
from tests.oauth import FORM, basic, post_form
from tests.openapi import Notes, described

PACKAGE = Path(__file__).parents[2] / "oauth_refresh"
RESOURCE = "/.well-known/oauth-protected-resource"
WELL_KNOWN = "/.well-known/oauth-authorization-server"
VERIFY = "/oauth/verify"
ENDPOINTS = {
    **{f"/oauth/{name}": "post" for name in ("token", "revoke", "introspect", "revocations")},
    VERIFY: "get",
    WELL_KNOWN: "get",
}
JSON = "application/json"
FORMS = {
    "refresh_token": "Refresh",
    "authorization_code": "Code",
    "client_credentials": "ClientCredentials",
    "password": "Password",
    "urn:ietf:params:oauth:grant-type:jwt-bearer": "Assertion",
}


class Inline(Notes):
    permission_classes = [HasScope("notes:read"), HasScope("notes:write") & IsAuthenticated]


class Either(Notes):
    permission_classes = [HasScope("notes:read") | HasScope("PRODUCTION") | HasScope("notes:read")]


class WithSession(Notes):
    authentication_classes = [*Notes.authentication_classes, SessionAuthentication]
    permission_classes = [HasScopeOrSession]


class Unscoped(Notes):
    permission_classes = [IsAuthenticated]


class Incomplete(Notes):
    required_scopes = {"GET": ["notes:read"]}


class OwnTokenView(TokenView):
    pass


class Unknown(ProtocolView):
    post = TokenView.post


@pytest.fixture(scope="module")
def schema():
    return described()


@pytest.fixture
def configure(oauth_settings):
    """Return a function that changes settings of the app."""

    def change(**changes):
        oauth_settings(**changes)

    return change


def operations_of(*views):
    """Return the description of views alone, each at its name in lower case."""
    patterns = [path(view.__name__.lower(), view.as_view()) for view in views]
    return {address.strip("/"): methods for address, methods in described(None, patterns=patterns)["paths"].items()}


def resolved(schema, part):
    """Return ``part``, or the component that it refers to."""
    if "$ref" not in part:
        return part
    _hash, _components, kind, name = part["$ref"].split("/")
    return schema["components"][kind][name]


def validator(schema, part):
    return Draft202012Validator({**part, "components": schema["components"]})


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_schema_is_valid_and_made_without_a_warning(version, capsys):
    with patched_settings({"OAS_VERSION": version}):
        schema = described()

    validate_schema(schema)
    assert not GENERATOR_STATS
    assert capsys.readouterr().err == ""


def test_each_endpoint_has_one_path_without_slash_and_one_method(schema):
    assert {address: list(methods) for address, methods in schema["paths"].items()} == {
        **{address: [method] for address, method in ENDPOINTS.items()},
        "/api/notes": ["get", "post"],
    }


def test_hooks_of_the_project_are_left_alone():
    assert spectacular_settings.PREPROCESSING_HOOKS == []


def test_document_is_valid_by_itself_and_has_every_grant_type():
    document = yaml.safe_load((PACKAGE / "authorization_server" / "openapi.yaml").read_text("utf-8"))

    validate_schema(document)
    content = document["paths"]["/token"]["post"]["requestBody"]["content"][FORM]
    mapping = content["schema"]["discriminator"]["mapping"]
    assert set(mapping) == set(GrantType.values)
    assert content["schema"]["oneOf"] == [{"$ref": reference} for reference in mapping.values()]


def test_every_address_is_really_served(schema, db):
    for address, method in ENDPOINTS.items():
        assert Client().generic(method.upper(), address).status_code != HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("issuer", ["https://auth.example/a/tenant", "https://auth.example/a/tenant/"])
def test_metadata_are_described_at_the_path_of_the_issuer(configure, issuer, capsys):
    configure(ISSUER=issuer)

    schema = described()

    validate_schema(schema)
    assert WELL_KNOWN not in schema["paths"]
    (parameter,) = schema["paths"][f"{WELL_KNOWN}/{{issuer_path}}"]["get"]["parameters"]
    assert (parameter["name"], parameter["schema"]["enum"]) == ("issuer_path", ["a/tenant"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("resources", "served"),
    [
        ({}, {}),
        ({"https://api.example": {}}, {RESOURCE: None}),
        ({"https://api.example/b": {}}, {RESOURCE: None, f"{RESOURCE}/{{resource_path}}": ["b"]}),
        ({"https://api.example/b": {}, "https://api.example/a": {}}, {f"{RESOURCE}/{{resource_path}}": ["a", "b"]}),
    ],
)
def test_metadata_of_resources_is_described_where_it_is_served(configure, capsys, resources, served):
    configure(RESOURCES=resources)

    schema = described()

    validate_schema(schema)
    found = {path: methods["get"].get("parameters") for path, methods in schema["paths"].items() if RESOURCE in path}
    assert {path: names and names[0]["schema"]["enum"] for path, names in found.items()} == served
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("path", ["a/tenant", "a%2Ftenant"])  # clients may encode the value of a parameter
def test_path_of_the_issuer_that_is_described_is_served(configure, path):
    configure(ISSUER="https://auth.example/a/tenant")

    assert Client().get(f"{WELL_KNOWN}/{path}").status_code == HTTPStatus.OK


def test_aliases_have_operations_of_their_own(capsys):
    patterns = [
        path("oauth/", include("oauth_refresh.urls")),
        path("oauth2/v1/", include("oauth_refresh.urls", namespace="oracle")),
        path("", include("oauth_refresh.urls", namespace="wso2")),
    ]

    paths = described(None, patterns=patterns)["paths"]

    names = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert sorted(names) == sorted(
        prefix + name
        for prefix in ("oauth_", "oauth2_v1_", "")
        for name in ("token", "revoke", "introspect", "revocations", "verify")
    )
    assert capsys.readouterr().err == ""


def test_view_derived_from_an_endpoint_is_described_like_it_and_an_unknown_one_is_not(schema):
    operations = operations_of(OwnTokenView, Unknown)

    expected = copy.deepcopy(schema["paths"]["/oauth/token"])
    expected["post"]["operationId"] = "owntokenview"
    assert operations == {"owntokenview": expected}


def test_endpoints_take_client_credentials_in_the_header_or_none_there(schema):
    for address, method in ENDPOINTS.items():
        expected = [{"oauthClient": []}, {}] if method == "post" else []
        if address == VERIFY:
            expected = [{"oauthAccessToken": []}]
        assert schema["paths"][address][method]["security"] == expected

    assert schema["components"]["securitySchemes"]["oauthClient"]["scheme"] == "basic"


def test_operations_name_the_scopes_that_they_need():
    operations = operations_of(Notes, Inline, Either, WithSession, Unscoped)

    assert {
        (name, method): operation["security"]
        for name, methods in operations.items()
        for method, operation in methods.items()
        if (name == "notes" or method == "get")
    } == {
        ("notes", "get"): [{"oauthToken": ["notes:read"]}],
        ("notes", "post"): [{"oauthToken": ["notes:write"]}],
        ("inline", "get"): [{"oauthToken": ["notes:read", "notes:write"]}],
        ("either", "get"): [{"oauthToken": ["notes:read"]}, {"oauthToken": ["PRODUCTION"]}],
        ("withsession", "get"): [{"oauthToken": ["notes:read"]}, {"cookieAuth": []}],
        ("unscoped", "get"): [{"oauthToken": []}],
    }


def test_view_without_scopes_for_a_method_is_warned_of(capsys):
    operations = operations_of(Incomplete)

    assert operations["incomplete"]["post"]["security"] == [{"oauthToken": []}]
    assert "Incomplete.required_scopes must list the scopes for POST." in capsys.readouterr().err


def test_flows_are_those_of_the_grant_types_that_are_offered(schema, settings):
    token, texts = "https://auth.example/oauth/token", settings.OAUTH_REFRESH["SCOPES"]

    assert schema["components"]["securitySchemes"]["oauthToken"]["flows"] == {
        "authorizationCode": {
            "authorizationUrl": "https://auth.example/oauth/authorize",
            "tokenUrl": token,
            "refreshUrl": token,
            "scopes": texts,
        },
        "clientCredentials": {"tokenUrl": token, "scopes": texts},
        "password": {"tokenUrl": token, "refreshUrl": token, "scopes": texts},
    }


def test_addresses_are_relative_without_an_issuer(configure):
    configure(ISSUER=None, GRANT_TYPES=["client_credentials"])

    flows = described()["components"]["securitySchemes"]["oauthToken"]["flows"]

    assert {flow: members["tokenUrl"] for flow, members in flows.items()} == {"clientCredentials": "/oauth/token"}


def test_site_without_a_token_endpoint_has_a_plain_bearer_scheme(settings):
    settings.ROOT_URLCONF = "oauth_refresh.urls.well_known"

    schema = described(None, patterns=[path("notes", Notes.as_view())])

    validate_schema(schema)
    scheme = schema["components"]["securitySchemes"]["oauthToken"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert schema["paths"]["/notes"]["get"]["security"] == [{"oauthToken": []}]


def test_requests_are_forms_and_nothing_else(schema):
    for address, method in ENDPOINTS.items():
        body = schema["paths"][address][method].get("requestBody")
        assert (body and list(body["content"])) == (None if method == "get" else [FORM])


@pytest.mark.parametrize("offered", [["refresh_token", "password"], list(FORMS)])
def test_grant_type_chooses_among_the_forms_that_are_offered(configure, offered):
    configure(GRANT_TYPES=offered)

    schema = described()

    content = schema["paths"]["/oauth/token"]["post"]["requestBody"]["content"][FORM]
    form = content["schema"]
    mapping = {name: f"#/components/schemas/OAuth{FORMS[name]}Request" for name in offered}
    assert form["discriminator"] == {"propertyName": "grant_type", "mapping": mapping}
    assert sorted(choice["$ref"] for choice in form["oneOf"]) == sorted(mapping.values())
    assert {example["value"]["grant_type"] for example in content["examples"].values()} == set(offered)
    for name, reference in mapping.items():
        grant_type = resolved(schema, {"$ref": reference})["properties"]["grant_type"]
        assert resolved(schema, grant_type)["enum"] == [name]


def test_every_component_is_used_and_every_reference_leads_somewhere(schema):
    used = set(re.findall(r"#/components/(\w+)/(\w+)", repr(schema)))
    schemes = {("securitySchemes", name) for name in schema["components"]["securitySchemes"]}

    assert used | schemes == {(kind, name) for kind, parts in schema["components"].items() for name in parts}


def test_every_example_is_an_example_of_its_schema(schema):
    seen = 0
    for address, method in ENDPOINTS.items():
        operation = schema["paths"][address][method]
        for described_part in [operation.get("requestBody", {}), *operation["responses"].values()]:
            for content in resolved(schema, described_part).get("content", {}).values():
                for example in content["examples"].values():
                    validator(schema, content["schema"]).validate(example["value"])
                    seen += 1
    assert seen > 40


def refreshed(client, **_world):
    return client.refresh()


def posted(endpoint, parameters=None, authorization=True):
    """Return how to send a form as the application, or with another Authorization header."""

    def send(client, **_world):
        return post_form(
            endpoint, parameters or {}, authorization=client.authorization if authorization is True else authorization
        )

    return send


def too_large(endpoint):
    def send(client, settings, **_world):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        return posted(endpoint, {"token": "a" * 11})(client)

    return send


def too_often(endpoint):
    def send(client, configure, **_world):
        configure(FAILURE_RATE="1/day")
        for _attempt in range(2):
            answer = posted(endpoint, {"token": "a"}, basic(client.application.client_id, "a wrong secret"))(client)
        return answer

    return send


def failing(send):
    """Return how to send while the database is down."""

    def fail(execute, *statement):
        raise OperationalError("the connection is lost")

    def send_and_fail(**world):
        with connection.execute_wrapper(fail):
            return send(**world)

    return send_and_fail


def without_database(endpoint):
    return failing(posted(endpoint, {"token": "a"}))


def verified(query="", token=True):
    """Return how to ask as a gateway, with the token of the client or another one."""

    def send(client, **_world):
        raw = client.access_token if token is True else token
        return Client().get(VERIFY + query, headers={"Authorization": f"Bearer {raw}"})

    return send


def fetched(**changes):
    def send(configure, **_world):
        configure(**changes)
        return Client(raise_request_exception=False).get(WELL_KNOWN)

    return send


def read_by_a_resource_server(after=""):
    def send(client, **_world):
        Application.objects.update(is_resource_server=True)
        client.revoke(client.access_token)
        return post_form("revocations", {"after": after}, authorization=client.authorization)

    return send


def by_another_method(endpoint):
    def send(**_world):
        return Client().get(reverse(f"oauth_refresh:{endpoint}"))

    return send


ANSWERS = {
    ("/oauth/token", 200): refreshed,
    ("/oauth/token", 400): posted("token"),
    ("/oauth/revoke", 200): posted("revoke", {"token": "unknown"}),
    ("/oauth/revoke", 400): posted("revoke"),
    ("/oauth/introspect", 200): lambda client, **world: posted("introspect", {"token": client.access_token})(client),
    ("/oauth/introspect", 400): posted("introspect"),
    ("/oauth/revocations", 200): read_by_a_resource_server(),
    ("/oauth/revocations", 400): read_by_a_resource_server("nonsense"),
    ("/oauth/revocations", 403): posted("revocations"),
    **{
        (f"/oauth/{endpoint}", status): make(endpoint)
        for endpoint in ("token", "revoke", "introspect", "revocations")
        for status, make in {
            401: lambda endpoint: posted(endpoint, {"token": "a"}, "Basic nonsense"),
            405: by_another_method,
            413: too_large,
            429: too_often,
            503: without_database,
        }.items()
    },
    (VERIFY, 204): verified("?scope=notes:read"),
    (VERIFY, 401): verified(token="unknown"),
    (VERIFY, 403): verified("?scope=PRODUCTION"),
    (VERIFY, 405): lambda **world: Client().post(VERIFY),
    (VERIFY, 503): failing(verified()),
    (WELL_KNOWN, 200): fetched(),
    (WELL_KNOWN, 400): fetched(REQUIRE_HTTPS=True),
    (WELL_KNOWN, 404): fetched(ISSUER=None),
    (WELL_KNOWN, 405): lambda **world: Client().post(WELL_KNOWN),
    (WELL_KNOWN, 503): fetched(SCOPES="not a dict"),
}


def test_answers_that_are_made_here_are_those_that_are_described(schema):
    assert {
        (address, int(status))
        for address, method in ENDPOINTS.items()
        for status in schema["paths"][address][method]["responses"]
    } == set(ANSWERS)


@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_server_answers_as_described(schema, client_app, settings, configure, case):
    address, status = case

    response = ANSWERS[case](client=client_app, settings=settings, configure=configure)

    answer = resolved(schema, schema["paths"][address][ENDPOINTS[address]]["responses"][str(status)])
    assert response.status_code == status
    for name, part in answer["headers"].items():
        value, header = response.headers[name], resolved(schema, part)["schema"]
        validator(schema, header).validate(int(value) if header["type"] == "integer" else value)
    if status == HTTPStatus.NO_CONTENT:
        assert (response.content, "Content-Type" in response.headers) == (b"", False)
        return
    assert response.headers["Content-Type"] == JSON
    validator(schema, answer["content"][JSON]["schema"]).validate(response.json())


def test_further_fields_of_a_project_fit_the_schemas(schema, client_app, configure):
    configure(TOKEN_RESPONSE_FIELDS=lambda grant, grant_type: {"tier": 1}, INTROSPECTION_FIELDS=lambda token: {"a": []})

    for endpoint, response in {
        "introspect": post_form(
            "introspect",
            {"token": client_app.access_token},
            authorization=basic(client_app.application.client_id, SECRET),
        ),
        "token": client_app.refresh(),
    }.items():
        content = schema["paths"][f"/oauth/{endpoint}"]["post"]["responses"]["200"]["content"][JSON]
        validator(schema, content["schema"]).validate(response.json())


def test_one_module_imports_drf_spectacular():
    importing = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if re.search(r"^\s*(from|import) drf_spectacular", file.read_text(), re.MULTILINE)
    }

    assert importing == {"authorization_server/openapi.py"}
