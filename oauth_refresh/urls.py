"""``path("oauth/", include("oauth_refresh.urls"))``. Each endpoint answers with and without its trailing slash."""

from django.urls import re_path

from oauth_refresh.api.views import RevokeView, TokenView

app_name = "oauth_refresh"
urlpatterns = [
    re_path(r"^token/?$", TokenView.as_view(), name="token"),
    re_path(r"^revoke/?$", RevokeView.as_view(), name="revoke"),
]
