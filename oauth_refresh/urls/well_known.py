"""Where clients look for metadata (RFC 8414 §3): include this at the site root, with an empty prefix."""

from urllib.parse import urlsplit

from django.urls import path, re_path, register_converter

from oauth_refresh.authorization_server.metadata import (
    MetadataView,
    OpenIDConfigurationView,
    ResourceMetadataView,
)
from oauth_refresh.conf import app_settings


class OpenIDConfigurationConverter:
    """The address at which clients of OpenID Connect look, if ``OPENID_CONFIGURATION_ALIAS`` is on.

    The path of the issuer, which is its value, may stand in front of it or behind it (RFC 8414 §5). Otherwise it
    matches nothing: a project may include an OpenID provider after these URLs, at this address or below a path.
    """

    regex = r"(?:.+/)?\.well-known/openid-configuration(?:/.*)?"
    _name = ".well-known/openid-configuration"

    def to_python(self, value: str) -> str:
        before, _name, behind = value.partition(self._name)
        issuer_path = (before + behind).strip("/")
        issuer = app_settings.issuer if app_settings.openid_configuration_alias else None
        if issuer is None or (before and behind.strip("/")) or issuer_path != urlsplit(issuer).path.strip("/"):
            raise ValueError("no address of the server metadata")
        return issuer_path

    def to_url(self, value: str) -> str:
        return f"{self._name}/{value}".rstrip("/")


register_converter(OpenIDConfigurationConverter, "oauth_refresh_openid_configuration")

_METADATA = r"^\.well-known/oauth-authorization-server"
_RESOURCE = r"^\.well-known/oauth-protected-resource"
_REST = r"[\s\S]+"  # also with the end of a line, so that every refusal is JSON

urlpatterns = [
    # Two patterns, because OpenAPI describes two addresses; the slash is in a group for the reason given in ``urls``.
    re_path(rf"{_METADATA}(?:/)?$", MetadataView.as_view(), name="oauth_metadata"),
    re_path(rf"{_METADATA}/(?P<issuer_path>{_REST})$", MetadataView.as_view(), name="oauth_metadata"),
    re_path(rf"{_RESOURCE}(?:/)?$", ResourceMetadataView.as_view(), name="oauth_resource_metadata"),
    re_path(
        rf"{_RESOURCE}/(?P<resource_path>{_REST})$", ResourceMetadataView.as_view(), name="oauth_resource_metadata"
    ),
    path(
        "<oauth_refresh_openid_configuration:issuer_path>",
        OpenIDConfigurationView.as_view(),
        name="openid_configuration",
    ),
]
