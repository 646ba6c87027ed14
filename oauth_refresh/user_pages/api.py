"""The connected applications as JSON, for the project's own front end; authenticated by Django's session."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from rest_framework import ISO_8601, exceptions, serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.mixins import ListModelMixin
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import JSONParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback
from rest_framework.viewsets import GenericViewSet

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import RETRY_AFTER_SECONDS
from oauth_refresh.http import log_server_error
from oauth_refresh.models import Application, Grant
from oauth_refresh.models.grant import GrantQuerySet
from oauth_refresh.user_pages.grants import (
    connected_grants,
    disconnect,
    disconnect_all,
    disconnect_application,
    find_grant,
)


class ApplicationSerializer(serializers.ModelSerializer[Application]):
    class Meta:
        model = Application
        fields = ("name", "client_id")


class GrantSerializer(serializers.ModelSerializer[Grant]):
    id = serializers.UUIDField(source="public_id")
    application = ApplicationSerializer()
    scopes = serializers.SerializerMethodField()
    started_at = serializers.DateTimeField(source="created_at", format=ISO_8601)
    refreshed_at = serializers.DateTimeField(format=ISO_8601)
    expires_at = serializers.DateTimeField(source="idle_expires_at", format=ISO_8601)

    class Meta:
        model = Grant
        fields = (
            "id",
            "application",
            "scopes",
            "started_at",
            "refreshed_at",
            "expires_at",
            "address",
            "user_agent",
            "program",
        )

    def get_scopes(self, grant: Grant) -> list[dict[str, str]]:
        return [{"name": name, "text": text} for name, text in grant.scope_texts.items()]


class GrantPagination(PageNumberPagination):
    page_size = 25


class BoundedJSONParser(JSONParser):
    """Refuse a body that is nested too deep to be parsed as a malformed one, not as a server error."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except RecursionError as error:
            raise exceptions.ParseError from error


class ConnectedApplicationViewSet(ListModelMixin, GenericViewSet[Grant]):
    """The active grants of the signed-in user.

    ``GET api/applications`` lists them by application. ``POST api/applications/<grant>/revoke`` revokes one,
    ``…/<grant>/revoke-all`` all for the application of that one, and ``POST api/applications/revoke`` all of them.
    Server errors are answered in JSON with 503. The project's defaults for DRF do not apply: they could accept a
    bearer token, or change the format of the answer.
    """

    schema = None  # not in the project's OpenAPI schema: it is for the project's own pages, not for clients
    http_method_names = ["get", "head", "post"]
    # The session only: an application must not disconnect others, or itself, by its access token. It also checks the
    # CSRF token, whether or not the project uses Django's middleware.
    authentication_classes = (SessionAuthentication,)
    permission_classes = (IsAuthenticated,)
    throttle_classes = ()
    parser_classes = (BoundedJSONParser,)
    renderer_classes = (JSONRenderer,)
    versioning_class = None
    serializer_class = GrantSerializer
    pagination_class = GrantPagination
    filter_backends = ()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if app_settings.https_is_required and not request.is_secure():
            raise exceptions.ParseError("Use https.")
        super().initial(request, *args, **kwargs)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Answer in JSON, also if the Accept header asks for another format."""
        return super().perform_content_negotiation(request, force=True)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return _error_response

    def get_queryset(self) -> GrantQuerySet:
        return connected_grants(self.request.user)

    def revoke(self, request: Request, public_id: str) -> Response:
        """Revoke one grant; a second time changes nothing."""
        _require_object(request)
        grant = find_grant(request.user, public_id)
        if grant is None:
            raise exceptions.NotFound
        disconnect(grant)
        return Response(status=HTTPStatus.NO_CONTENT)

    def revoke_application(self, request: Request, public_id: str) -> Response:
        """Revoke all grants for the application of one, and answer how many there were."""
        _require_object(request)
        grant = find_grant(request.user, public_id)
        if grant is None:
            raise exceptions.NotFound
        return Response({"count": disconnect_application(request.user, grant.application)})

    def revoke_all(self, request: Request) -> Response:
        """Revoke all grants, and answer how many there were."""
        _require_object(request)
        return Response({"count": disconnect_all(request.user)})


def _require_object(request: Request) -> None:
    """Refuse a body that is neither empty nor a JSON object; members are not used, since the address says it all."""
    serializers.Serializer(data=request.data).is_valid(raise_exception=True)


def _error_response(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answer as DRF does, and a server error with 503; the project's own exception handler is not used."""
    answer = exception_handler(exc, context)
    if answer is not None:
        return answer
    set_rollback()  # with ATOMIC_REQUESTS, Django would commit what was written before the error
    response = Response(
        {"detail": "The server could not answer now. Try again."},
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
    log_server_error(exc, request=context["request"]._request, response=response)
    return response
