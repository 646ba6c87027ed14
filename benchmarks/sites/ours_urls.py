"""The example's own addresses, the view to compare with, and one that needs an access token."""

from django.urls import include, path
from rest_framework.parsers import FormParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oauth_refresh.api.authentication import BearerAuthentication
from oauth_refresh.api.permissions import HasScope


class BareView(APIView):
    """Parse a form and answer in JSON, with no default of DRF that costs: what any token endpoint on DRF must do."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    parser_classes = (FormParser,)
    renderer_classes = (JSONRenderer,)

    def post(self, request: Request) -> Response:
        return Response(request.data.dict())


class ProtectedView(BareView):
    """The same for a token's bearer, so that nothing is added but what protects it."""

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
