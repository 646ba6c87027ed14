"""The OpenAPI description of the endpoints, and of views that ask for our tokens: for drf-spectacular, where installed.

No other file of the package knows it, and nothing imports this one but ``apps`` where the project has it installed.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import cache
from itertools import product
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse
from drf_spectacular.drainage import warn
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiViewExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent
from drf_spectacular.settings import spectacular_settings
from rest_framework.permissions import AND, OR
from rest_framework.views import APIView

from oauth_refresh.api.applications import OwnSessionsView
from oauth_refresh.api.authentication import BearerAuthentication
from oauth_refresh.api.metadata import MetadataView
from oauth_refresh.api.permissions import HasScope, _scopes_of
from oauth_refresh.api.schema import operations
from oauth_refresh.api.views import IntrospectView, ProtocolView, RevokeView, TokenView
from oauth_refresh.conf import app_settings
from oauth_refresh.models import GrantType
from oauth_refresh.services.endpoints import endpoint_url

OPERATIONS: Mapping[type[ProtocolView], Callable[[], operations.Operation]] = {
    IntrospectView: operations.introspect,
    MetadataView: operations.metadata,
    RevokeView: operations.revoke,
    TokenView: operations.token,
}
_REFERENCE = re.compile(r'"#/components/(\w+)/(\w+)"')


class BearerScheme(OpenApiAuthenticationExtension):
    """Views that BearerAuthentication guards: each operation names the scopes that its permissions ask for.

    The scheme is ``oauth2``, because OpenAPI lets no other list scopes; with the addresses, tools can sign in by it.
    """

    target_class = BearerAuthentication
    match_subclasses = True
    name = "oauthToken"

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        """Return the sets of scopes, any one of which is enough."""
        view = auto_schema.view
        try:
            alternatives = _all_of(view.get_permissions(), view=view, method=auto_schema.method)
        except ImproperlyConfigured as error:
            warn(f"{error} Until then every request is refused with a fault.")
            alternatives = [()]
        return [{self.name: list(scopes) if _flows() else []} for scopes in dict.fromkeys(alternatives)]

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        flows = _flows()
        definition = {"type": "oauth2", "flows": flows} if flows else {"type": "http", "scheme": "bearer"}
        return definition | {"description": "Send the access token as `Authorization: Bearer …` (RFC 6750 §2.1)."}


class ProtocolViews(OpenApiViewExtension):
    """The endpoints of the protocol, which have no serializers to look at; a project may have derived its own."""

    target_class = ProtocolView
    match_subclasses = True

    def view_replacement(self) -> type[APIView]:
        return _with_schema(self.target)


class ProtocolSchema(AutoSchema):
    """Describes a view as OPERATIONS has it, and what else derives from ProtocolView not at all."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> operations.Operation | None:
        described = [OPERATIONS[view] for view in type(self.view).__mro__ if view in OPERATIONS]
        if not described:
            return None
        operation = {"operationId": "_".join(re.findall("[A-Za-z0-9]+", path)), **deepcopy(described[0]())}
        if operation["security"]:
            definition = operations.CLIENT_SCHEME_DEFINITION
            _register(registry, "securitySchemes", operations.CLIENT_SCHEME, dict(definition))
        _register_references(operation, registry=registry, library=operations.components())
        return operation


@cache
def _with_schema(view: type[ProtocolView]) -> type[ProtocolView]:
    return type(view.__name__, (view,), {"schema": ProtocolSchema()})


def tidy_paths(endpoints: Iterable[tuple[str, str, str, Any]], **_kwargs: Any) -> list[tuple[str, str, str, Any]]:
    """Return the endpoints with ours under the one address that metadata publishes.

    drf-spectacular reads a pattern with an optional slash as one with a slash, and the issuer's path as a parameter.
    What a user's own pages ask for is left out: it is for the project's front end, by its session, and not for clients.
    """
    issuer_path = urlsplit(app_settings.issuer or "").path
    return [
        (path.replace("{issuer_path}", issuer_path).rstrip("/"), regex, method, callback)
        if issubclass(callback.cls, ProtocolView)
        else (path, regex, method, callback)
        for path, regex, method, callback in endpoints
        if not issubclass(callback.cls, OwnSessionsView)
    ]


def _flows() -> dict[str, Any]:
    """Return the ways to a token that OpenAPI has a name for; none where this site has no token endpoint."""
    try:
        authorize, token = _address("authorize"), _address("token")
    except NoReverseMatch:
        return {}
    offered = app_settings.grant_types
    scopes = {name: str(text) for name, text in app_settings.scopes.items()}
    common = {"tokenUrl": token, "scopes": scopes}
    refreshing = common | ({"refreshUrl": token} if GrantType.REFRESH_TOKEN in offered else {})
    flows = {
        GrantType.AUTHORIZATION_CODE: ("authorizationCode", {"authorizationUrl": authorize, **refreshing}),
        GrantType.CLIENT_CREDENTIALS: ("clientCredentials", common),
        GrantType.PASSWORD: ("password", refreshing),
    }
    return {flow: members for grant_type, (flow, members) in flows.items() if grant_type in offered}


def _address(name: str) -> str:
    return endpoint_url(name) if app_settings.issuer else reverse(f"oauth_refresh:{name}")


def _all_of(permissions: Iterable[Any], *, view: APIView, method: str) -> list[tuple[str, ...]]:
    """Return the sets of scopes, any one of which satisfies all the permissions as far as scopes go."""
    choices = product(*(_alternatives(permission, view=view, method=method) for permission in permissions))
    return [tuple(dict.fromkeys(scope for scopes in choice for scope in scopes)) for choice in choices]


def _alternatives(permission: Any, *, view: APIView, method: str) -> list[tuple[str, ...]]:
    if isinstance(permission, HasScope):
        return [tuple(permission.scopes or _scopes_of(view, method))]
    if isinstance(permission, AND):
        return _all_of(vars(permission).values(), view=view, method=method)
    if isinstance(permission, OR):
        operands = vars(permission).values()
        return [scopes for operand in operands for scopes in _alternatives(operand, view=view, method=method)]
    return [()]


def _register_references(part: Any, *, registry: ComponentRegistry, library: Mapping[str, Mapping[str, Any]]) -> None:
    """Register the components that ``part`` refers to, and those that they refer to in turn."""
    for kind, name in _REFERENCE.findall(json.dumps(part)):
        definition = library[kind][name]
        if _register(registry, kind, name, deepcopy(definition)):
            _register_references(definition, registry=registry, library=library)


def _register(registry: ComponentRegistry, kind: str, name: str, definition: Any) -> bool:
    """Add a component. Returns whether it is new."""
    component = ResolvedComponent(name=name, type=kind, schema=definition, object=name)
    is_new = component not in registry
    registry.register_on_missing(component)
    return is_new


spectacular_settings.PREPROCESSING_HOOKS.insert(0, tidy_paths)
