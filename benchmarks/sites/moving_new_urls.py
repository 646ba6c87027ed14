from django.urls import include, path

urlpatterns = [path("o/", include("oauth_refresh.contrib.toolkit.urls"))]
