"""A user's own applications, for the front end of the project: JSON, by the session that the browser already has."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from rest_framework import ISO_8601, exceptions, serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.generics import ListAPIView
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import JSONParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler, set_rollback

from oauth_refresh.api.views import AlwaysJSON
from oauth_refresh.conf import app_settings
from oauth_refresh.faults import log_fault
from oauth_refresh.models import Application, Grant
from oauth_refresh.models.grant import GrantQuerySet
from oauth_refresh.services.sessions import find_session, sessions_of, sign_out, sign_out_of_all


class ApplicationSerializer(serializers.ModelSerializer[Application]):
    class Meta:
        model = Application
        fields = ("name", "client_id")


class SessionSerializer(serializers.ModelSerializer[Grant]):
    id = serializers.UUIDField(source="public_id")
    application = ApplicationSerializer()
    scopes = serializers.SerializerMethodField()
    started_at = serializers.DateTimeField(source="created_at", format=ISO_8601)
    refreshed_at = serializers.DateTimeField(format=ISO_8601)
    expires_at = serializers.DateTimeField(source="idle_expires_at", format=ISO_8601)

    class Meta:
        model = Grant
        fields = ("id", "application", "scopes", "started_at", "refreshed_at", "expires_at", "address", "user_agent")

    def get_scopes(self, session: Grant) -> list[dict[str, str]]:
        return [{"name": name, "text": text} for name, text in session.scope_texts.items()]


class NoParameters(serializers.Serializer[None]):
    """A request that says everything by its address: an empty body, or a JSON object."""


class SessionPagination(PageNumberPagination):
    page_size = 25


class ForgivingJSONParser(JSONParser):
    """What is nested too deep to be read is the client's fault."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except RecursionError as error:
            raise exceptions.ParseError from error


class OwnSessionsView(APIView):
    """What the signed-in user has, whatever the project's defaults of DRF are; a fault is JSON and 503 too."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (IsAuthenticated,)
    throttle_classes = ()
    parser_classes = (ForgivingJSONParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AlwaysJSON
    versioning_class = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if app_settings.https_is_required and not request.is_secure():
            raise exceptions.ParseError("Use https.")
        super().initial(request, *args, **kwargs)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        return _answer_in_json


class ApplicationListView(OwnSessionsView, ListAPIView[Grant]):
    """``GET api/applications``: what acts in the user's name, by application, the newest session first."""

    http_method_names = ["get", "head"]
    serializer_class = SessionSerializer
    pagination_class = SessionPagination
    filter_backends = ()

    def get_queryset(self) -> GrantQuerySet:
        return sessions_of(self.request.user)


class RevokeSessionView(OwnSessionsView):
    """``POST api/applications/<grant>/revoke``: end one session; one that is over already stays over."""

    http_method_names = ["post"]

    def post(self, request: Request, public_id: str) -> Response:
        NoParameters(data=request.data).is_valid(raise_exception=True)
        session = find_session(request.user, public_id)
        if session is None:
            raise exceptions.NotFound
        sign_out(session)
        return Response(status=HTTPStatus.NO_CONTENT)


class RevokeAllView(OwnSessionsView):
    """``POST api/applications/revoke``: end every session, and say how many they were."""

    http_method_names = ["post"]

    def post(self, request: Request) -> Response:
        NoParameters(data=request.data).is_valid(raise_exception=True)
        return Response({"count": sign_out_of_all(request.user)})


def _answer_in_json(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answer as DRF does, whatever handler the project has; for a fault of ours, ask to come again."""
    answer = exception_handler(exc, context)
    if answer is not None:
        return answer
    set_rollback()
    body = {"detail": "The server could not answer now. Try again."}
    response = Response(body, status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "5"})
    http_request: HttpRequest = context["request"]._request
    log_fault(exc, request=http_request, response=response)
    return response
