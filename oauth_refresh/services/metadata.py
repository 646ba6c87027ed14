"""Addresses of the endpoints, and the server metadata (RFC 8414 §2), computed from settings and grant types."""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from oauth_refresh import jose
from oauth_refresh.conf import app_settings
from oauth_refresh.http import endpoint_path
from oauth_refresh.models import AuthMethod, GrantType
from oauth_refresh.scopes import OFFLINE_ACCESS, scope_texts
from oauth_refresh.services.foreign import accepts_foreign_tokens


def issuer_origin() -> str:
    """Return scheme, host and port of the issuer. Raises ValueError where the project set none."""
    if app_settings.issuer is None:
        raise ValueError("OAUTH_REFRESH['ISSUER'] is not set.")
    parts = urlsplit(app_settings.issuer)
    return f"{parts.scheme}://{parts.netloc}"


def endpoint_url(name: str) -> str:
    """Return the address of an endpoint, such as ``token``, at the issuer: never at the Host header of a request."""
    return issuer_origin() + endpoint_path(name)


def server_metadata(*, grant_types: Collection[str]) -> dict[str, Any]:
    """Return the members that have a value. ``grant_types`` are those the server has code for.

    Raises ValueError where the project set no issuer.
    """
    offered = [name for name in app_settings.grant_types if name in grant_types]
    has_codes = GrantType.AUTHORIZATION_CODE in offered
    has_refresh_tokens = GrantType.REFRESH_TOKEN in offered
    has_documents = has_codes and app_settings.client_id_metadata_documents
    members = {
        "issuer": app_settings.issuer,
        "authorization_endpoint": endpoint_url("authorize") if has_codes else None,
        "token_endpoint": endpoint_url("token"),
        "revocation_endpoint": endpoint_url("revoke"),
        "introspection_endpoint": endpoint_url("introspect"),
        "revocations_endpoint": endpoint_url("revocations"),
        "scopes_supported": [name for name in scope_texts() if name != OFFLINE_ACCESS or has_refresh_tokens],
        "response_types_supported": ["code"] if has_codes else [],
        "response_modes_supported": ["query"] if has_codes else [],
        "grant_types_supported": offered,
        "code_challenge_methods_supported": ["S256"] if has_codes else [],
        # Members of our own, for ``resource_server.remote``: which text can be an access token at all.
        "access_token_prefix": app_settings.access_token_prefix,
        "foreign_tokens_accepted": accepts_foreign_tokens(),
        "authorization_response_iss_parameter_supported": True if has_codes else None,
        "client_id_metadata_document_supported": True if has_documents else None,
        "protected_resources": list(app_settings.resources),
    }
    for endpoint in ("token", "revocation", "introspection"):
        may_be_public = endpoint != "introspection"
        methods = [method for method in AuthMethod.values if may_be_public or method != AuthMethod.NONE]
        members[f"{endpoint}_endpoint_auth_methods_supported"] = methods
        members[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = list(jose.ALGORITHMS)
    # Empty lists are left out (§3.2), but for one that is required and one that would mean something else if left out.
    kept = {"response_types_supported", "grant_types_supported", "foreign_tokens_accepted"}
    return {name: value for name, value in members.items() if value or name in kept}


def resource_metadata(resource: str) -> dict[str, Any]:
    """Return the metadata of one of ``RESOURCES`` (RFC 9728 §2): members that have a value."""
    configured = app_settings.resources[resource]
    scopes = [*app_settings.scopes] if configured.scopes is None else [*configured.scopes]
    members = {
        "resource": resource,
        "resource_name": str(configured.name) if configured.name != resource else None,
        "authorization_servers": [app_settings.issuer],
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
    }
    return {name: value for name, value in members.items() if value}
