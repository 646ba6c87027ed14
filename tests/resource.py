"""Views that a host project protects with access tokens, in every way that there is."""

from django.http import JsonResponse
from django.views import View
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from oauth_refresh.resource_server.authentication import BearerAuthentication
from oauth_refresh.resource_server.decorators import bearer_required
from oauth_refresh.resource_server.permissions import HasScope, HasScopeOrSession


class Notes(APIView):
    """GET needs notes:read, POST notes:write; answers with the user and the token of the request."""

    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScope]
    required_scopes = {"GET": ["notes:read"], "POST": ["notes:write"]}

    def get(self, request):
        return Response(described(request))

    def post(self, request):
        return Response(described(request))


class Inline(Notes):
    permission_classes = [HasScope("notes:read", "notes:write") & IsAuthenticated]
    required_scopes = None


class OneList(Notes):
    required_scopes = ["notes:read"]


class WithoutScopes(Notes):
    required_scopes = None


class MethodWithoutScopes(Notes):
    delete = Notes.get


class SessionFirst(Notes):
    authentication_classes = [SessionAuthentication, BearerAuthentication]
    permission_classes = [HasScopeOrSession]


class BasicFirst(Notes):
    authentication_classes = [BasicAuthentication, BearerAuthentication]


class BearerFirst(Notes):
    authentication_classes = [BearerAuthentication, SessionAuthentication]
    permission_classes = [HasScopeOrSession]


class SignedIn(Notes):
    permission_classes = [IsAuthenticated]


@bearer_required("notes:read")
def plain(request):
    return JsonResponse(described(request))


@bearer_required("notes:read")
async def plain_async(request):
    return JsonResponse(described(request))


class PlainClass(View):
    async def get(self, request):
        return JsonResponse(described(request))

    post = get


plain_class = bearer_required("notes:read")(PlainClass.as_view())


@bearer_required("notes:read")
async def async_user(request):
    user = await request.auser()
    return JsonResponse({"user": user.get_username()})


def described(request):
    token = request.auth
    return {
        "user": request.user.get_username(),
        "client": token and token.application.client_id,
        "grant": token and str(token.grant.public_id),
        "scopes": token and list(token.scopes),
    }
