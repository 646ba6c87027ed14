"""The URLs of the example, and an API to try an access token at, whatever the example itself protects."""

from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.decorators import api_view, authentication_classes, permission_classes

from example_project.urls import urlpatterns as urls_of_the_example
from oauth_refresh.api.authentication import BearerAuthentication
from oauth_refresh.api.permissions import HasScope


@api_view(["GET"])
@authentication_classes([BearerAuthentication])
@permission_classes([HasScope("notes:read")])
def protected(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for a live token only")


urlpatterns = [*urls_of_the_example, path("protected/", protected)]
