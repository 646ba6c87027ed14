"""The system check of views that take access tokens and ask for no scope."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from django.http import HttpResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.decorators import action, api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny, BasePermission, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework.schemas import get_schema_view
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from oauth_refresh import checks
from oauth_refresh.resource_server.authentication import BearerAuthentication
from oauth_refresh.resource_server.decorators import bearer_required
from oauth_refresh.resource_server.permissions import HasScope, HasScopeOrSession
from oauth_refresh.resource_server.remote.authentication import RemoteBearerAuthentication
from oauth_refresh.resource_server.remote.decorators import remote_bearer_required
from tests import urls

HERE = __name__


class Bearer(APIView):
    authentication_classes = [SessionAuthentication, BearerAuthentication]
    permission_classes = [IsAuthenticated]


class OwnBearer(BearerAuthentication):
    pass


class OwnScope(HasScope):
    def required_scopes_for(self, view, method):
        return ("notes:read",)


class TokenHasScope(BasePermission):
    """As other packages name it."""


class OwnRule(BasePermission):
    """May look at the scopes, or not."""


def view(**attributes):
    """Return the callback of a view of DRF that takes bearer tokens, with these attributes."""
    return type("Notes", (Bearer,), {"__module__": HERE, **attributes}).as_view()


@api_view()
@authentication_classes([BearerAuthentication])
@permission_classes([IsAuthenticated])
def function(request):
    return Response()


@api_view()
@authentication_classes([BearerAuthentication])
@permission_classes([HasScope("notes:read")])
def scoped_function(request):
    return Response()


@api_view()
@authentication_classes([BearerAuthentication])
def function_for_any_token(request):
    return Response()


function_for_any_token.required_scopes = ()


@bearer_required()
def plain(request):
    return HttpResponse()


@bearer_required()
async def plain_async(request):
    return HttpResponse()


@bearer_required()
def plain_for_any_token(request):
    return HttpResponse()


plain_for_any_token.required_scopes = ()


@method_decorator(bearer_required(), name="dispatch")
class PlainClass(View):
    pass


class PlainClassForAnyToken(PlainClass):
    required_scopes = ()


class Decides(Bearer):
    def get_permissions(self):
        return [HasScope("notes:read")]


class AuthenticatesByRequest(Bearer):
    def get_authenticators(self):
        return [BearerAuthentication()]


class Notes(ViewSet):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScope]
    required_scopes = ["notes:read"]

    def list(self, request):
        return Response()

    @action(detail=False, permission_classes=[IsAuthenticated])
    def export(self, request):
        return Response()

    @action(detail=False, permission_classes=[HasScope("notes:export")])
    def archive(self, request):
        return Response()

    @action(detail=False, authentication_classes=[TokenAuthentication], permission_classes=[])
    def public(self, request):
        return Response()

    @action(detail=False, methods=["post"], required_scopes=())
    def write(self, request):
        return Response()


class Unscoped(ViewSet):
    authentication_classes = [BearerAuthentication]

    def list(self, request):
        return Response()

    def create(self, request):
        return Response()

    @action(detail=True, permission_classes=[HasScope("notes:read")])
    def show(self, request):
        return Response()


def routed(viewset):
    router = DefaultRouter()
    router.register("notes", viewset, basename="notes")
    return router.urls


@pytest.fixture
def found(settings, monkeypatch):
    """Return a function that names what the check finds in a project with these patterns or views."""

    def found(*callbacks):
        module = ModuleType("project_urls")
        patterns = (callback if not callable(callback) else path("view", callback) for callback in callbacks)
        module.urlpatterns = list(patterns)
        monkeypatch.setitem(sys.modules, "project_urls", module)
        settings.ROOT_URLCONF = "project_urls"
        messages = checks.check_scopes()
        assert {message.id for message in messages} <= {"oauth_refresh.W015"}
        return [message.msg.partition(" takes")[0].removeprefix(f"{HERE}.") for message in messages]

    return found


UNSCOPED = {
    "no scope": view(),
    "no permissions": view(permission_classes=[]),
    "anybody": view(permission_classes=[AllowAny]),
    "a rule of its own": view(permission_classes=[OwnRule]),
    "scopes that no permission asks for": view(required_scopes=["notes:write"]),
    "several permissions": view(permission_classes=[IsAuthenticated, IsAdminUser]),
    "combined permissions": view(permission_classes=[IsAuthenticated & IsAdminUser | OwnRule]),
    "a negated scope": view(permission_classes=[~HasScope("notes:read")]),
    "a derived authentication": view(authentication_classes=(OwnBearer,)),
    "no scope for HasScope": view(permission_classes=[HasScope]),
    "an empty list for HasScope": view(permission_classes=[HasScope], required_scopes=[]),
    "an empty dict for HasScope": view(permission_classes=[HasScope], required_scopes={}),
    "no scope for HasScopeOrSession": view(permission_classes=[HasScopeOrSession]),
    "no scope for HasScope in a combination": view(permission_classes=[IsAuthenticated & HasScope]),
}
SCOPED = {
    "a list": view(permission_classes=[HasScope], required_scopes=["notes:read"]),
    "a dict": view(permission_classes=(HasScope,), required_scopes={"GET": ["notes:read"]}),
    "a property": view(permission_classes=[HasScope], required_scopes=property(lambda self: ["notes:read"])),
    "inline": view(permission_classes=[HasScope("notes:read")]),
    "or a session": view(permission_classes=[HasScopeOrSession("notes:read")]),
    "and": view(permission_classes=[IsAuthenticated & HasScope("notes:read")]),
    "or": view(permission_classes=[IsAdminUser | HasScope("notes:read")]),
    "deep": view(permission_classes=[(IsAdminUser | (HasScope("notes:read") & IsAuthenticated)) & ~OwnRule]),
    "classes combined": view(permission_classes=[IsAuthenticated & HasScope], required_scopes=["notes:read"]),
    "a derived permission": view(permission_classes=[OwnScope]),
    "of another package": view(permission_classes=[TokenHasScope]),
    "any token will do": view(required_scopes=()),
    "any token will do, as a list": view(required_scopes=[]),
    "another authentication": view(authentication_classes=[SessionAuthentication]),
    "no authentication": view(authentication_classes=[]),
    "nothing where lists belong": view(authentication_classes=None, permission_classes=None),
}


@pytest.mark.parametrize("callback", UNSCOPED.values(), ids=UNSCOPED)
def test_view_without_a_scope_is_named_that_has(found, callback):
    assert found(callback) == ["Notes"]


@pytest.mark.parametrize("callback", SCOPED.values(), ids=SCOPED)
def test_view_is_not_named_that_asks_for_a_scope_by(found, callback):
    assert found(callback) == []


@pytest.mark.parametrize(
    ("callback", "names"),
    [
        (function, ["function"]),
        (scoped_function, []),
        (function_for_any_token, []),
        (plain, ["plain"]),
        (plain_async, ["plain_async"]),
        (plain_for_any_token, []),
        (PlainClass.as_view(), ["PlainClass"]),
        (PlainClassForAnyToken.as_view(), []),
        (bearer_required()(View.as_view()), ["View"]),
        (bearer_required("notes:read")(View.as_view()), []),
        (Decides.as_view(), []),
        (AuthenticatesByRequest.as_view(), []),
        (View.as_view(), []),
        (lambda request: HttpResponse(), []),
    ],
)
def test_functions_and_plain_views_are_looked_at(found, callback, names):
    assert [name.rpartition(".")[2] for name in found(callback)] == names


def test_permission_of_a_route_counts(found):
    assert found(Bearer.as_view(permission_classes=[HasScope("notes:read")])) == []
    assert found(path("notes", Bearer.as_view(permission_classes=[IsAdminUser]))) == ["Bearer"]


def test_actions_have_permissions_of_their_own(found):
    assert found(*routed(Notes)) == ["Notes (export)", "Notes (write)"]


def test_view_set_is_named_once(found):
    assert found(*routed(Unscoped)) == ["Unscoped"]


def test_included_patterns_are_looked_at_once(found):
    inner = ([path("a", view()), path("b", view(permission_classes=[HasScope("notes:read")]))], "inner")
    outer = [path("inner/", include(inner, namespace="one")), path("again/", include(inner, namespace="two"))]

    assert found(path("api/", include(outer)), path("v2/", include(outer))) == ["Notes"]


def test_views_of_frameworks_are_left_out(found, monkeypatch):
    monkeypatch.setattr(APIView, "authentication_classes", [BearerAuthentication])

    assert found(*routed(Notes), path("schema", get_schema_view())) == ["Notes (export)", "Notes (write)"]


def test_defaults_of_the_project_count(found, monkeypatch):
    monkeypatch.setattr(APIView, "authentication_classes", [BearerAuthentication])

    assert found(type("ByDefault", (APIView,), {"__module__": HERE}).as_view()) == ["ByDefault"]


@pytest.mark.parametrize("broken", ["missing.urls", "tests.test_check_of_scopes", "", None])
def test_broken_urlconf_is_left_to_django(settings, broken):
    settings.ROOT_URLCONF = broken

    assert checks.check_scopes() == []


def test_project_without_a_urlconf_has_no_views(settings):
    del settings.ROOT_URLCONF

    assert checks.check_scopes() == []


def test_entries_that_are_no_pattern_are_ignored(found):
    assert found(SimpleNamespace(), path("notes", view())) == ["Notes"]


def test_our_own_endpoints_need_no_scope(found):
    assert (
        found(path("oauth/", include("oauth_refresh.urls")), path("", include("oauth_refresh.urls.well_known"))) == []
    )


def test_views_of_the_tests_that_need_a_scope_are_named(settings):
    settings.ROOT_URLCONF = urls.__name__

    assert [message.msg.partition(" ")[0] for message in checks.check_scopes()] == [
        "tests.resource.WithoutScopes",
        "tests.resource.SignedIn",
    ]


# Views that name their resource, or do not.

NOTES, FILES = "https://api.example/notes", "https://files.example"


class AtAnyResource(Bearer):
    required_resource = None


class NotesAuthentication(BearerAuthentication):
    required_resource = NOTES


@bearer_required("notes:read", resource=NOTES)
def plain_notes(request):
    return HttpResponse()


@remote_bearer_required("notes:read")
def remote_plain(request):
    return HttpResponse()


@api_view()
@authentication_classes([NotesAuthentication])
def notes_function(request):
    return Response()


def check_resources(monkeypatch, *callbacks):
    module = ModuleType("urls_of_resources")
    module.urlpatterns = [path(str(number), callback) for number, callback in enumerate(callbacks)]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return checks.check_resources_of_views()


NAMES_ITS_RESOURCE = {
    "class": lambda: view(required_resource=NOTES),
    "issuer": lambda: view(required_resource="https://auth.example"),
    "route": lambda: AtAnyResource.as_view(required_resource=NOTES),
    "authentication": lambda: view(authentication_classes=[NotesAuthentication]),
    "decorator": lambda: plain_notes,
    "function": lambda: notes_function,
    "decorator of a remote API": lambda: remote_plain,
    "class of a remote API": lambda: view(authentication_classes=[RemoteBearerAuthentication]),
    "no token": lambda: view(authentication_classes=[SessionAuthentication]),
    "not protected": lambda: lambda request: HttpResponse(),
    "schema": lambda: get_schema_view(authentication_classes=[BearerAuthentication]),
}


@pytest.mark.parametrize("name", NAMES_ITS_RESOURCE)
def test_view_that_names_its_resource_is_not_found(settings, oauth_settings, monkeypatch, name):
    oauth_settings(RESOURCES={NOTES: {}, FILES: {}})
    settings.ROOT_URLCONF = "urls_of_resources"

    assert check_resources(monkeypatch, NAMES_ITS_RESOURCE[name]()) == []


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (view(), "does not name its resource"),
        (plain, "does not name its resource"),
        (PlainClass.as_view(), "does not name its resource"),
        (view(required_resource="https://other.example"), "names a resource that is not in RESOURCES"),
    ],
)
def test_view_without_a_resource_that_exists_is_an_error(settings, oauth_settings, monkeypatch, callback, words):
    oauth_settings(RESOURCES={NOTES: {}, FILES: {}})
    settings.ROOT_URLCONF = "urls_of_resources"

    [message] = check_resources(monkeypatch, callback)

    assert message.id == "oauth_refresh.E022"
    assert words in message.msg


@pytest.mark.parametrize("resources", [{}, {NOTES: {}}])
def test_view_need_not_name_the_only_resource(settings, oauth_settings, monkeypatch, resources):
    oauth_settings(RESOURCES=resources)
    settings.ROOT_URLCONF = "urls_of_resources"

    assert check_resources(monkeypatch, view(), plain) == []
