"""``path("oauth/", include("oauth_refresh.urls"))``. Each endpoint answers with and without its trailing slash.

Where OpenAPI describes an endpoint, the slash is in a group, which DRF leaves out of the address that it publishes.
"""

from django.urls import re_path
from django.urls.converters import UUIDConverter

from oauth_refresh.authorization_server.authorize import AuthorizeView
from oauth_refresh.authorization_server.verify import VerifyView
from oauth_refresh.authorization_server.views import IntrospectView, RevocationsView, RevokeView, TokenView
from oauth_refresh.user_pages.api import ConnectedApplicationViewSet
from oauth_refresh.user_pages.views import (
    ApplicationsView,
    DisconnectAllView,
    DisconnectApplicationView,
    DisconnectView,
)

_GRANT = f"(?P<public_id>{UUIDConverter.regex})"

app_name = "oauth_refresh"
urlpatterns = [
    re_path(r"^authorize/?$", AuthorizeView.as_view(), name="authorize"),
    re_path(r"^token(?:/)?$", TokenView.as_view(), name="token"),
    re_path(r"^revoke(?:/)?$", RevokeView.as_view(), name="revoke"),
    re_path(r"^introspect(?:/)?$", IntrospectView.as_view(), name="introspect"),
    re_path(r"^revocations(?:/)?$", RevocationsView.as_view(), name="revocations"),
    re_path(r"^verify(?:/)?$", VerifyView.as_view(), name="verify"),
    re_path(r"^applications/?$", ApplicationsView.as_view(), name="applications"),
    re_path(r"^applications/revoke/?$", DisconnectAllView.as_view(), name="applications_revoke"),
    re_path(rf"^applications/{_GRANT}/revoke/?$", DisconnectView.as_view(), name="application_revoke"),
    re_path(
        rf"^applications/{_GRANT}/revoke-all/?$", DisconnectApplicationView.as_view(), name="application_revoke_all"
    ),
    re_path(r"^api/applications/?$", ConnectedApplicationViewSet.as_view({"get": "list"}), name="api_applications"),
    re_path(
        r"^api/applications/revoke/?$",
        ConnectedApplicationViewSet.as_view({"post": "revoke_all"}),
        name="api_applications_revoke",
    ),
    re_path(
        rf"^api/applications/{_GRANT}/revoke/?$",
        ConnectedApplicationViewSet.as_view({"post": "revoke"}),
        name="api_application_revoke",
    ),
    re_path(
        rf"^api/applications/{_GRANT}/revoke-all/?$",
        ConnectedApplicationViewSet.as_view({"post": "revoke_application"}),
        name="api_application_revoke_all",
    ),
]
