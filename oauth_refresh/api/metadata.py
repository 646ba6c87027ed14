"""Metadata (RFC 8414 §3): a public document at the well-known address, with the issuer's path behind it."""

from http import HTTPStatus
from urllib.parse import urlsplit

from rest_framework.request import Request
from rest_framework.response import Response

from oauth_refresh.api.views import ProtocolView
from oauth_refresh.conf import app_settings
from oauth_refresh.grant_types import HANDLERS
from oauth_refresh.services.metadata import server_metadata


class MetadataView(ProtocolView):
    """``GET /.well-known/oauth-authorization-server``; 404 without an issuer, or at another issuer's path."""

    http_method_names = ["get"]

    def get(self, request: Request, issuer_path: str | None = None) -> Response:
        issuer = app_settings.issuer
        if issuer is None or (issuer_path or "").rstrip("/") != urlsplit(issuer).path.rstrip("/"):
            return Response(
                {"error": "not_found", "error_description": "There is no such issuer."}, status=HTTPStatus.NOT_FOUND
            )
        response = Response(server_metadata(grant_types=HANDLERS))
        response["Access-Control-Allow-Origin"] = "*"  # public, and read by browser clients (RFC 9700 §2.6)
        return response
