"""APIs that a host project protects with our tokens, in the ways there are."""

from django.http import JsonResponse
from django.views import View
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from oauth_refresh.api.authentication import BearerAuthentication
from oauth_refresh.api.permissions import HasScope, HasScopeOrSession
from oauth_refresh.decorators import bearer_required


class Notes(APIView):
    """GET needs notes:read, POST notes:write; tells who asks, and with which token."""

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


class Forgotten(Notes):
    required_scopes = None


class HalfForgotten(Notes):
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
async def asked_asynchronously(request):
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
