from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("oauth/", include("oauth_refresh.urls")), path("admin/", admin.site.urls)]
