"""Views of an API on another machine, in every way that there is, and the settings of its project."""

from django.http import JsonResponse
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from oauth_refresh.resource_server.permissions import HasScope
from oauth_refresh.resource_server.remote.authentication import RemoteBearerAuthentication
from oauth_refresh.resource_server.remote.configured import remote_tokens
from oauth_refresh.resource_server.remote.decorators import remote_bearer_required


def described(request):
    user = request.user
    return {
        "user": [user.pk, user.get_username(), user.is_authenticated, user.is_anonymous, str(user)],
        "client": request.auth.client_id,
        "scopes": list(request.auth.scopes),
    }


class Notes(APIView):
    authentication_classes = [RemoteBearerAuthentication]
    permission_classes = [HasScope]
    required_scopes = {"GET": ["notes:read"], "POST": ["PRODUCTION"]}

    def get(self, request):
        return Response(described(request))

    post = get


@remote_bearer_required("notes:read")
def plain(request):
    return JsonResponse(described(request))


@remote_bearer_required("notes:read")
async def plain_async(request):
    assert await request.auser() is request.user
    return JsonResponse(described(request))


@remote_bearer_required("PRODUCTION")
def production(request):
    raise NotImplementedError


def health(request):
    return JsonResponse(remote_tokens().state())


urlpatterns = [
    path("notes", Notes.as_view()),
    path("plain", plain),
    path("plain-async", plain_async),
    path("production", production),
    path("health", health),
]
