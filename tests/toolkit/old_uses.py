"""A URLconf of a project whose views use django-oauth-toolkit in every way that there is, and some that do not."""

from django.http import HttpResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from oauth2_provider.contrib.rest_framework import OAuth2Authentication, TokenHasScope
from oauth2_provider.decorators import protected_resource, rw_protected_resource
from oauth2_provider.views.generic import ProtectedResourceView
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from tests import resource


class Authenticated(APIView):
    authentication_classes = [OAuth2Authentication]


class OwnScope(TokenHasScope):
    """A permission of the project, built on one of the toolkit's."""


class Permitted(resource.Notes):
    permission_classes = [IsAuthenticated | ~OwnScope]


class Mixed(ProtectedResourceView):
    pass


@method_decorator(protected_resource(scopes=["read"]), name="dispatch")
class DecoratedClass(View):
    pass


@never_cache
@rw_protected_resource()
def decorated(request):
    return HttpResponse()


@api_view(["GET"])
@permission_classes([TokenHasScope])
def decorated_api(request):
    return Response()


class Actions(ViewSet):
    authentication_classes = []

    @action(detail=False, permission_classes=[TokenHasScope])
    def special(self, request):
        return Response()

    def list(self, request):
        return Response()


def with_a_variable_that_has_no_value_yet():
    def view(request):
        return HttpResponse(later)

    urls = [path("unset", view)]
    if not urls:
        later = ""
    return urls


router = SimpleRouter()
router.register("actions", Actions, basename="actions")

inner = [path("decorated", decorated), path("plain", resource.plain)]
urlpatterns = [
    path("authenticated", Authenticated.as_view()),
    path("permitted", Permitted.as_view()),
    path("mixed", Mixed.as_view()),
    path("class", DecoratedClass.as_view()),
    path("api", decorated_api),
    path("notes", resource.Notes.as_view()),
    path("inner/", include(inner)),
    path("", include(router.urls)),
    path("", include(with_a_variable_that_has_no_value_yet())),
]
