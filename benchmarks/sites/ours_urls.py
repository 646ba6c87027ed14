"""The URLs of the example, a view to compare with, and the same view behind an access token."""

from django.conf import settings
from django.urls import include, path
from rest_framework.parsers import FormParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oauth_refresh.resource_server.authentication import BearerAuthentication
from oauth_refresh.resource_server.permissions import HasScope


class BareView(APIView):
    """Parse a form and respond with JSON, without costly defaults of DRF: the least that a token endpoint does."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    parser_classes = (FormParser,)
    renderer_classes = (JSONRenderer,)

    def post(self, request: Request) -> Response:
        return Response(request.data.dict())


class ProtectedView(BareView):
    """The same behind an access token, to measure what the protection costs."""

    required_resource = settings.OAUTH_REFRESH["ISSUER"]
    authentication_classes = (BearerAuthentication,)
    permission_classes = (HasScope,)
    required_scopes = ("notes:read",)

    def get(self, request: Request) -> Response:
        return Response({"user": request.user.get_username()})


urlpatterns = [
    path("bare/", BareView.as_view()),
    path("protected/", ProtectedView.as_view()),
    path("", include("example_project.urls")),
]
