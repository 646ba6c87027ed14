"""One mount of the app, and an alias for each vendor whose documented requests must work as printed."""

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path

from example_project.views import home

urlpatterns = [
    path("", home, name="home"),
    path("admin/", admin.site.urls),
    path("login/", LoginView.as_view(), name="login"),
    path("oauth/", include("oauth_refresh.urls")),
    path("oauth-api/oauth/", include("oauth_refresh.urls", namespace="tyk")),
    path("oauth2/v1/", include("oauth_refresh.urls", namespace="oracle")),
    path("", include("oauth_refresh.urls", namespace="wso2")),
    path("", include("oauth_refresh.urls.well_known")),
]
