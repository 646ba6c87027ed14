"""The app at ``oauth/``, and once more for each vendor, so that the requests in its documentation work as printed."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from example_project.notes.api import NotesView
from example_project.notes.mcp import McpView
from example_project.views import ApiReferenceView, SignInView, home

DESCRIBED = [path("api/notes/", NotesView.as_view(), name="notes"), path("oauth/", include("oauth_refresh.urls"))]
"""What the OpenAPI description covers: not the aliases of the vendors."""

urlpatterns = [
    path("", home, name="home"),
    path("favicon.ico", RedirectView.as_view(url=static("example_project/icon.svg"))),
    path("playground/", include("example_project.playground.urls")),
    path("api/", ApiReferenceView.as_view(patterns=DESCRIBED), name="api"),
    path("api/schema/", SpectacularAPIView.as_view(patterns=DESCRIBED), name="schema"),
    *DESCRIBED,
    path("mcp", McpView.as_view(), name="mcp"),
    path("admin/", admin.site.urls),
    path("login/", SignInView.as_view(), name="login"),
    path("oauth-api/oauth/", include("oauth_refresh.urls", namespace="tyk")),
    path("oauth2/v1/", include("oauth_refresh.urls", namespace="oracle")),
    path("", include("oauth_refresh.urls", namespace="wso2")),
    path("", include("oauth_refresh.urls.well_known")),
]
