"""``path("oauth/", include("oauth_refresh.urls"))``. Each endpoint answers with and without its trailing slash."""

from django.urls import re_path
from django.urls.converters import UUIDConverter

from oauth_refresh.api.applications import ApplicationListView, RevokeAllView, RevokeSessionView
from oauth_refresh.api.views import IntrospectView, RevokeView, TokenView
from oauth_refresh.web.applications import ApplicationsView, SignOutOfAllView, SignOutView
from oauth_refresh.web.authorize import AuthorizeView

SESSION = f"(?P<public_id>{UUIDConverter.regex})"

app_name = "oauth_refresh"
urlpatterns = [
    re_path(r"^authorize/?$", AuthorizeView.as_view(), name="authorize"),
    re_path(r"^token/?$", TokenView.as_view(), name="token"),
    re_path(r"^revoke/?$", RevokeView.as_view(), name="revoke"),
    re_path(r"^introspect/?$", IntrospectView.as_view(), name="introspect"),
    re_path(r"^applications/?$", ApplicationsView.as_view(), name="applications"),
    re_path(r"^applications/revoke/?$", SignOutOfAllView.as_view(), name="applications_revoke"),
    re_path(rf"^applications/{SESSION}/revoke/?$", SignOutView.as_view(), name="application_revoke"),
    re_path(r"^api/applications/?$", ApplicationListView.as_view(), name="api_applications"),
    re_path(r"^api/applications/revoke/?$", RevokeAllView.as_view(), name="api_applications_revoke"),
    re_path(rf"^api/applications/{SESSION}/revoke/?$", RevokeSessionView.as_view(), name="api_application_revoke"),
]
