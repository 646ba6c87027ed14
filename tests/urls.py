from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path

from tests import resource

urlpatterns = [
    path("oauth/", include("oauth_refresh.urls")),
    path("", include("oauth_refresh.urls.well_known")),
    path("admin/", admin.site.urls),
    path("api/notes", resource.Notes.as_view(), name="notes"),
    path("api/inline", resource.Inline.as_view(), name="inline"),
    path("api/one-list", resource.OneList.as_view(), name="one_list"),
    path("api/without-scopes", resource.WithoutScopes.as_view(), name="without_scopes"),
    path("api/method-without-scopes", resource.MethodWithoutScopes.as_view(), name="method_without_scopes"),
    path("api/session-first", resource.SessionFirst.as_view(), name="session_first"),
    path("api/basic-first", resource.BasicFirst.as_view(), name="basic_first"),
    path("api/bearer-first", resource.BearerFirst.as_view(), name="bearer_first"),
    path("api/signed-in", resource.SignedIn.as_view(), name="signed_in"),
    path("api/plain", resource.plain, name="plain"),
    path("api/plain-async", resource.plain_async, name="plain_async"),
    path("api/plain-class", resource.plain_class, name="plain_class"),
    path("api/async-user", resource.async_user, name="async_user"),
    path("login/", LoginView.as_view(), name="login"),
]
