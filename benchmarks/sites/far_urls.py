"""A view that does nothing, the same behind a token of another server, and the state of the checks."""

from django.http import HttpRequest, JsonResponse
from django.urls import path
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oauth_refresh.resource_server.permissions import HasScope
from oauth_refresh.resource_server.remote.authentication import RemoteBearerAuthentication
from oauth_refresh.resource_server.remote.configured import remote_tokens


class BareView(APIView):
    """Answer with JSON, without costly defaults of DRF."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    renderer_classes = (JSONRenderer,)

    def get(self, request: Request) -> Response:
        return Response({"user": "eve"})


class FarView(BareView):
    """The same behind an access token."""

    authentication_classes = (RemoteBearerAuthentication,)
    permission_classes = (HasScope,)
    required_scopes = ("notes:read",)

    def get(self, request: Request) -> Response:
        return Response({"user": request.user.get_username()})


def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse(remote_tokens().state())


urlpatterns = [path("bare/", BareView.as_view()), path("far/", FarView.as_view()), path("health/", health)]
