"""A URLconf without the endpoints, which includes itself: Django resolves an address in it."""

from django.urls import include, path

urlpatterns = [path("folder/", include("tests.flows.urls_that_include_themselves"))]
