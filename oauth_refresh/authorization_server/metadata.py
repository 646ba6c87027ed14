"""The documents that clients look up: metadata of the server (RFC 8414) and of its resources (RFC 9728)."""

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from rest_framework.request import Request
from rest_framework.response import Response

from oauth_refresh.authorization_server import grant_types
from oauth_refresh.authorization_server.views import ProtocolResponse, ProtocolView
from oauth_refresh.conf import app_settings
from oauth_refresh.resources import find_resource
from oauth_refresh.services.metadata import resource_metadata, server_metadata

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2


class PublicView(ProtocolView):
    """A document that browser clients read (RFC 9700 §2.6), so any web page may see each answer, also a refusal."""

    http_method_names = ["get", "head", "options"]

    @property
    def default_response_headers(self) -> dict[str, str]:
        return super().default_response_headers | {"Access-Control-Allow-Origin": "*"}

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Answer a CORS preflight, which browsers send before a GET with headers of the client's own."""
        asked = _HEADER_NAME.findall(request.headers.get("Access-Control-Request-Headers", ""))
        allowed = {"Access-Control-Allow-Methods": "GET, HEAD", "Access-Control-Allow-Headers": ", ".join(asked)}
        return ProtocolResponse(status=HTTPStatus.NO_CONTENT, headers=allowed)


class MetadataView(PublicView):
    """``GET /.well-known/oauth-authorization-server``; 404 without an issuer, or at another issuer's path."""

    def get(self, request: Request, issuer_path: str | None = None) -> Response:
        issuer = app_settings.issuer
        if issuer is None or f"/{issuer_path or ''}".rstrip("/") != urlsplit(issuer).path.rstrip("/"):
            return _not_found("There is no such issuer.")
        return ProtocolResponse(server_metadata(grant_types=grant_types.HANDLERS))


class OpenIDConfigurationView(MetadataView):
    """``GET /.well-known/openid-configuration``: the same document, for clients that ask only there (RFC 8414 §5)."""


class ResourceMetadataView(PublicView):
    """``GET /.well-known/oauth-protected-resource``, with the path of a resource behind it (RFC 9728 §3)."""

    def get(self, request: Request, resource_path: str = "") -> Response:
        query = request.META.get("QUERY_STRING", "")
        resource = find_resource(f"/{resource_path}", query, host=request.META.get("HTTP_HOST", ""))
        if resource is None or app_settings.issuer is None:
            return _not_found("There is no such resource.")
        return ProtocolResponse(resource_metadata(resource))


def _not_found(description: str) -> Response:
    return ProtocolResponse({"error": "not_found", "error_description": description}, status=HTTPStatus.NOT_FOUND)
