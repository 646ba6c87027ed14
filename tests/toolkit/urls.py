"""Both servers at once: django-oauth-toolkit at ``old/``, and the package at ``o/``, its former address."""

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path

from tests import resource

urlpatterns = [
    path("old/", include("oauth2_provider.urls")),
    path("o/", include("oauth_refresh.contrib.toolkit.urls")),
    path("", include("oauth_refresh.urls.well_known")),
    path("admin/", admin.site.urls),
    path("api/notes", resource.Notes.as_view(), name="notes"),
    path("login/", LoginView.as_view(), name="login"),
]
