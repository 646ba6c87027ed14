"""The URLs of the example, and a protected view to try access tokens at."""

from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.decorators import api_view, authentication_classes, permission_classes

from example_project.urls import urlpatterns as urls_of_the_example
from oauth_refresh.resource_server.authentication import BearerAuthentication
from oauth_refresh.resource_server.permissions import HasScope


@api_view(["GET"])
@authentication_classes([BearerAuthentication])
@permission_classes([HasScope("notes:read")])
def protected(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for a valid token only")


urlpatterns = [*urls_of_the_example, path("protected/", protected)]
