"""Where clients look for metadata (RFC 8414 §3): include this at the site root, with an empty prefix."""

from django.urls import re_path

from oauth_refresh.authorization_server.views import MetadataView

_METADATA = r"^\.well-known/oauth-authorization-server"

urlpatterns = [
    # Two patterns, because OpenAPI describes two addresses; the slash is in a group for the reason given in ``urls``.
    re_path(rf"{_METADATA}(?:/)?$", MetadataView.as_view(), name="oauth_metadata"),
    re_path(rf"{_METADATA}/(?P<issuer_path>.+)$", MetadataView.as_view(), name="oauth_metadata"),
]
