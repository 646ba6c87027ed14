"""``path("oauth/", include("oauth_refresh.urls"))``. Each endpoint answers with and without its trailing slash."""

from django.urls import re_path

from oauth_refresh.api.views import RevokeView, TokenView
from oauth_refresh.web.authorize import AuthorizeView

app_name = "oauth_refresh"
urlpatterns = [
    re_path(r"^authorize/?$", AuthorizeView.as_view(), name="authorize"),
    re_path(r"^token/?$", TokenView.as_view(), name="token"),
    re_path(r"^revoke/?$", RevokeView.as_view(), name="revoke"),
]
