from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path

urlpatterns = [
    path("oauth/", include("oauth_refresh.urls")),
    path("", include("oauth_refresh.urls.well_known")),
    path("admin/", admin.site.urls),
    path("login/", LoginView.as_view(), name="login"),
]
