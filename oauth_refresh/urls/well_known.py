"""Where clients look for metadata (RFC 8414 §3): include this at the site root, with an empty prefix."""

from django.urls import re_path

from oauth_refresh.api.metadata import MetadataView

urlpatterns = [
    re_path(
        r"^\.well-known/oauth-authorization-server(?P<issuer_path>/.*)?$", MetadataView.as_view(), name="oauth_metadata"
    )
]
