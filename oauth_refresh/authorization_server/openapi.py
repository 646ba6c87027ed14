"""The OpenAPI description of the endpoints, which is written in ``openapi.yaml``, and of views that ask for our tokens.

The only module that imports drf-spectacular: ``apps`` loads it in projects that have it installed.
"""

import re
from collections.abc import Iterable
from copy import deepcopy
from functools import cache, reduce
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch
from drf_spectacular.drainage import warn
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiViewExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent
from rest_framework.permissions import AND, OR, BasePermission
from rest_framework.views import APIView

from oauth_refresh.authorization_server.metadata import MetadataView, OpenIDConfigurationView, ResourceMetadataView
from oauth_refresh.authorization_server.requests import FORM_CONTENT_TYPE
from oauth_refresh.authorization_server.verify import VerifyView
from oauth_refresh.authorization_server.views import (
    IntrospectView,
    ProtocolView,
    RevocationsView,
    RevokeView,
    TokenView,
)
from oauth_refresh.conf import app_settings
from oauth_refresh.http import endpoint_path
from oauth_refresh.models import GrantType
from oauth_refresh.services.metadata import endpoint_url

_PATHS: dict[type[ProtocolView], str] = {
    IntrospectView: "/introspect",
    MetadataView: "/.well-known/oauth-authorization-server",
    ResourceMetadataView: "/.well-known/oauth-protected-resource",
    RevocationsView: "/revocations",
    RevokeView: "/revoke",
    TokenView: "/token",
    VerifyView: "/verify",
}
_REFERENCE = re.compile(r"#/components/(\w+)/(\w+)")


class ProtocolViews(OpenApiViewExtension):
    """The endpoints, also where a project has derived its own view from one."""

    target_class = ProtocolView
    match_subclasses = True

    def view_replacement(self) -> type[APIView]:
        return type(self.target.__name__, (self.target,), {"schema": ProtocolSchema()})


class ProtocolSchema(AutoSchema):
    """Describe a view as the document describes its endpoint, and other views of the class not at all."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> dict[str, Any] | None:
        described = next((place for view, place in _PATHS.items() if isinstance(self.view, view)), None)
        if described is None or isinstance(self.view, OpenIDConfigurationView):  # an alias
            return None
        operation: dict[str, Any] = deepcopy(_document()["paths"][described][method.lower()])
        # An endpoint may be served at several addresses, so its operation is named after the address.
        operation["operationId"] = "_".join(re.findall("[A-Za-z0-9]+", path))
        if isinstance(self.view, TokenView):
            _keep_offered_grant_types(operation["requestBody"]["content"][FORM_CONTENT_TYPE])
        if (suffixes := _suffixes(self.view)) is not None:
            name, served = suffixes[0], sorted({suffix for suffix in suffixes[1] if bool(suffix) == ("{" in path)})
            if not served:
                return None  # the well-known path is followed by that of the issuer or resource, or by nothing
            if "{" in path:
                schema = {"type": "string", "enum": served}
                operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": schema}]
        schemes = [("securitySchemes", name) for scheme in operation["security"] for name in scheme]
        _register([*schemes, *_references(operation)], registry)
        return operation


def _suffixes(view: Any) -> tuple[str, list[str]] | None:
    """Return what follows the well-known path of a document (RFC 8414 §3.1, RFC 9728 §3.1): its name, and values."""
    if isinstance(view, MetadataView):
        return "issuer_path", [urlsplit(app_settings.issuer or "").path.strip("/")]
    if isinstance(view, ResourceMetadataView):
        alone = [""] if len(app_settings.resources) == 1 else []
        return "resource_path", [urlsplit(name).path.strip("/") for name in app_settings.resources] + alone
    return None


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return document


def _keep_offered_grant_types(form: dict[str, Any]) -> None:
    """Leave out the grant types that the project does not offer."""
    discriminator = form["schema"]["discriminator"]
    offered = {name: schema for name, schema in discriminator["mapping"].items() if name in app_settings.grant_types}
    discriminator["mapping"] = offered
    form["schema"]["oneOf"] = [{"$ref": schema} for schema in offered.values()]
    form["examples"] = {
        name: example for name, example in form["examples"].items() if example["value"]["grant_type"] in offered
    }


def _references(part: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the kinds and names of the components that ``part`` refers to."""
    return _REFERENCE.findall(str(part))


def _register(references: Iterable[tuple[str, str]], registry: ComponentRegistry) -> None:
    """Add components of the document to the schema, and those that they refer to in turn."""
    for kind, name in references:
        definition = deepcopy(_document()["components"][kind][name])
        component = ResolvedComponent(name=name, type=kind, schema=definition, object=name)
        if component not in registry:
            registry.register(component)
            _register(_references(definition), registry)


class BearerScheme(OpenApiAuthenticationExtension):
    """Views that BearerAuthentication protects: each operation names the scopes that its permissions require.

    The scheme is ``oauth2``, because OpenAPI lets no other list scopes; with the addresses, tools can sign in by it.
    """

    target_class = "oauth_refresh.resource_server.authentication.BearerAuthentication"
    match_subclasses = True
    name = "oauthToken"

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        """Return the sets of scopes, any one of which is enough."""
        view, has_flows = auto_schema.view, bool(_flows())
        permissions: list[Any] = [BasePermission(), *view.get_permissions()]  # never empty; the first allows everything
        try:
            alternatives = _alternatives(reduce(AND, permissions), view=view, method=auto_schema.method)
        except ImproperlyConfigured as error:
            warn(f"{error} Until then every request is answered with a server error.")
            alternatives = [()]
        return [{self.name: list(scopes) if has_flows else []} for scopes in dict.fromkeys(alternatives)]

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        flows = _flows()
        definition = {"type": "oauth2", "flows": flows} if flows else {"type": "http", "scheme": "bearer"}
        return definition | {"description": "Send the access token as `Authorization: Bearer …` (RFC 6750 §2.1)."}


def _alternatives(permission: Any, *, view: APIView, method: str) -> list[tuple[str, ...]]:
    """Return the sets of scopes, any one of which satisfies the permission as far as scopes go."""
    if isinstance(permission, (AND, OR)):
        operands = vars(permission).values()
        left, right = (_alternatives(operand, view=view, method=method) for operand in operands)
        if isinstance(permission, OR):
            return left + right
        return [tuple(dict.fromkeys(one + other)) for one, other in product(left, right)]
    required_scopes_for = getattr(permission, "required_scopes_for", None)
    return [tuple(required_scopes_for(view, method)) if required_scopes_for else ()]


def _flows() -> dict[str, Any]:
    """Return the ways to a token that OpenAPI has a name for; none where this site has no token endpoint."""
    try:
        authorize, token = _address("authorize"), _address("token")
    except NoReverseMatch:
        return {}
    offered = app_settings.grant_types
    common = {"tokenUrl": token, "scopes": {name: str(text) for name, text in app_settings.scopes.items()}}
    refreshing = common | ({"refreshUrl": token} if GrantType.REFRESH_TOKEN in offered else {})
    flows = {
        GrantType.AUTHORIZATION_CODE: ("authorizationCode", {"authorizationUrl": authorize, **refreshing}),
        GrantType.CLIENT_CREDENTIALS: ("clientCredentials", common),
        GrantType.PASSWORD: ("password", refreshing),
    }
    return {flow: members for grant_type, (flow, members) in flows.items() if grant_type in offered}


def _address(name: str) -> str:
    return endpoint_url(name) if app_settings.issuer else endpoint_path(name)
