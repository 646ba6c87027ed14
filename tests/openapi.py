"""The OpenAPI description that a project with drf-spectacular has: of the endpoints, and of an API of its own."""

from contextlib import contextmanager

from django.core.checks.registry import registry
from django.test import modify_settings, override_settings
from django.urls import include, path
from drf_spectacular.checks import schema_check
from drf_spectacular.generators import SchemaGenerator
from rest_framework import generics, serializers

from oauth_refresh.resource_server.authentication import BearerAuthentication
from oauth_refresh.resource_server.permissions import HasScope

registry.deployment_checks.discard(schema_check)  # importing it has registered it, for all tests

REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}


class Note(serializers.Serializer):
    text = serializers.CharField()


class Notes(generics.ListCreateAPIView):
    serializer_class = Note
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScope]
    required_scopes = {"GET": ["notes:read"], "POST": ["notes:write"]}


urlpatterns = [
    path("oauth/", include("oauth_refresh.urls")),
    path("", include("oauth_refresh.urls.well_known")),
    path("api/notes", Notes.as_view()),
]


@contextmanager
def spectacular_installed():
    with (
        modify_settings(INSTALLED_APPS={"append": "drf_spectacular"}),
        override_settings(REST_FRAMEWORK=REST_FRAMEWORK),
    ):
        yield


def described(urlconf="tests.openapi", **options):
    """Return the description of a URLconf."""
    with spectacular_installed():
        return SchemaGenerator(urlconf=urlconf, **options).get_schema(public=True)
