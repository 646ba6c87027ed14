"""One mount of the app, and an alias for each vendor whose documented requests must work as printed."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularAPIView

from example_project.notes.api import NotesView
from example_project.views import SignInView, home

DESCRIBED = [path("api/notes/", NotesView.as_view(), name="notes"), path("oauth/", include("oauth_refresh.urls"))]
"""What the API's description describes: not the aliases."""

urlpatterns = [
    path("", home, name="home"),
    path("playground/", include("example_project.playground.urls")),
    path("api/", TemplateView.as_view(template_name="example_project/api.html"), name="api"),
    path("api/schema/", SpectacularAPIView.as_view(patterns=DESCRIBED), name="schema"),
    *DESCRIBED,
    path("admin/", admin.site.urls),
    path("login/", SignInView.as_view(), name="login"),
    path("oauth-api/oauth/", include("oauth_refresh.urls", namespace="tyk")),
    path("oauth2/v1/", include("oauth_refresh.urls", namespace="oracle")),
    path("", include("oauth_refresh.urls", namespace="wso2")),
    path("", include("oauth_refresh.urls.well_known")),
]
