"""What a shared cache may keep: Django's own for a whole site, and others by the headers of the answer (RFC 9111)."""

from http import HTTPStatus

import pytest
from django.core.cache import cache
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import Client
from django.urls import path, reverse
from django.views.decorators.cache import cache_control, cache_page, never_cache
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from oauth_refresh.resource_server.authentication import BearerAuthentication
from oauth_refresh.resource_server.decorators import bearer_required
from oauth_refresh.resource_server.permissions import HasScope, HasScopeOrSession
from tests.factories import SECRET, GrantFactory
from tests.oauth import OAuthClient
from tests.urls import urlpatterns as usual
from tests.user_pages.pages import signed_in

SITE_CACHE = "django.middleware.cache.UpdateCacheMiddleware", "django.middleware.cache.FetchFromCacheMiddleware"


class Private(APIView):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScope("notes:read")]

    def get(self, request):
        return Response({"user": request.user.get_username()})


class ScopeOrSession(Private):
    authentication_classes = [SessionAuthentication, BearerAuthentication]
    permission_classes = [HasScopeOrSession("notes:read")]


class Nobody(BasePermission):
    def has_permission(self, request, view):
        return False


class RefusedByAnother(Private):
    permission_classes = [Nobody]


class Faulty(Private):
    def get(self, request):
        return HttpResponse(status=HTTPStatus.INTERNAL_SERVER_ERROR)


class Notes(ViewSet):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScope("notes:read")]

    def list(self, request):
        return Response({"user": request.user.get_username()})


class Public(Private):
    def get(self, request):
        return Response({}, headers={"Cache-Control": "public, max-age=60"})


class Aged(Private):
    def get(self, request):
        return Response({}, headers={"Cache-Control": "max-age=60", "Vary": "Accept-Language"})


@api_view()
@authentication_classes([BearerAuthentication])
@permission_classes([IsAuthenticated])
def function(request):
    return Response({"user": request.user.get_username()})


@bearer_required("notes:read")
def plain(request):
    return JsonResponse({"user": request.user.get_username()})


@bearer_required("notes:read")
async def plain_async(request):
    return JsonResponse({"user": request.user.get_username()})


@bearer_required("notes:read")
def streaming(request):
    return StreamingHttpResponse([b"notes"])


@bearer_required("notes:read")
@cache_control(public=True, max_age=60)
def plain_public(request):
    return JsonResponse({})


@bearer_required("notes:read")
@cache_control(max_age=60)
async def plain_aged(request):
    return JsonResponse({})


@bearer_required("notes:read")
def nothing(request):
    return None


urlpatterns = [
    *usual,
    path("private", Private.as_view()),
    path("function", function),
    path("viewset", Notes.as_view({"get": "list"})),
    path("scope-or-session", ScopeOrSession.as_view()),
    path("refused-by-another", RefusedByAnother.as_view()),
    path("faulty", Faulty.as_view()),
    path("plain-private", plain),
    path("plain-private-async", plain_async),
    path("streaming", streaming),
    path("cache-page", cache_page(60)(Private.as_view())),
    path("plain-cache-page", cache_page(60)(plain)),
    path("public", Public.as_view()),
    path("plain-public", plain_public),
    path("aged", Aged.as_view()),
    path("plain-aged", plain_aged),
    path("never", never_cache(Private.as_view())),
    path("plain-never", never_cache(plain)),
    path("public-outside", cache_control(public=True)(Private.as_view())),
    path("nothing", nothing),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_shared_caches")]
CACHED = ["private", "function", "viewset", "scope-or-session", "plain-private", "plain-private-async", "streaming"]
PAGES_IN_CACHE = ["cache-page", "plain-cache-page"]


@pytest.fixture
def site_cache(settings):
    """Django's cache for a whole site, with the time of answers that name none."""
    update, fetch = SITE_CACHE
    settings.MIDDLEWARE = [update, *settings.MIDDLEWARE, fetch]
    settings.CACHE_MIDDLEWARE_SECONDS = 600
    cache.clear()


def get(name, client_app=None, client=None):
    headers = {} if client_app is None else {"Authorization": f"Bearer {client_app.access_token}"}
    return (client or Client()).get(f"/{name}", headers=headers)


def said(response):
    """Return who may keep the response, and by which headers of the request it differs."""
    vary = {name.strip() for name in response.headers.get("Vary", "").split(",")} - {""}
    return response.headers.get("Cache-Control"), vary


@pytest.mark.usefixtures("site_cache")
@pytest.mark.parametrize("name", CACHED + PAGES_IN_CACHE)
def test_answer_for_one_user_reaches_no_other_and_nobody_without_a_token(client_app, name):
    other = OAuthClient(client_app.application, SECRET).start(user=GrantFactory().user)

    answers = [get(name, one) for one in (client_app, other)]

    assert [answer.status_code for answer in answers] == [HTTPStatus.OK, HTTPStatus.OK]
    if name != "streaming":
        assert [answer.json()["user"] for answer in answers] == [
            one.grant.user.get_username() for one in (client_app, other)
        ]
    assert get(name).status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.usefixtures("site_cache")
@pytest.mark.parametrize("name", CACHED + PAGES_IN_CACHE)
def test_revoked_token_gets_no_answer_that_was_kept(client_app, name):
    assert get(name, client_app).status_code == HTTPStatus.OK

    client_app.revoke(client_app.refresh_token)

    assert get(name, client_app).status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.usefixtures("site_cache")
@pytest.mark.parametrize("name", ["applications", "api_applications"])
def test_list_for_a_signed_in_user_is_never_stale(user, name):
    grant, browser = GrantFactory(user=user), signed_in(user)
    address, shown = reverse(f"oauth_refresh:{name}"), str(grant.public_id).encode()
    assert shown in browser.get(address).content

    browser.generic("POST", reverse("oauth_refresh:api_application_revoke", args=[grant.public_id]))

    assert shown not in browser.get(address).content
    assert shown not in signed_in(GrantFactory().user).get(address).content


@pytest.mark.parametrize("name", CACHED)
def test_answer_is_private_and_differs_by_token(client_app, name):
    cache_control, vary = said(get(name, client_app))

    assert cache_control == "private"
    assert "Authorization" in vary


@pytest.mark.parametrize("name", ["private", "viewset", "scope-or-session", "plain-private", "plain-private-async"])
@pytest.mark.parametrize("token", [None, "oat_unknown", "a b", "of another scope"])
def test_refusal_is_private_and_differs_by_token(client_app, name, token):
    client_app.start(user=client_app.grant.user, scope="notes:write")
    raw = client_app.access_token if token == "of another scope" else token

    response = Client().get(f"/{name}", headers={} if raw is None else {"Authorization": f"Bearer {raw}"})

    cache_control, vary = said(response)
    assert response.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    assert cache_control == "private"
    assert "Authorization" in vary


@pytest.mark.parametrize(
    ("name", "status"), [("refused-by-another", HTTPStatus.FORBIDDEN), ("faulty", HTTPStatus.INTERNAL_SERVER_ERROR)]
)
def test_what_the_project_refuses_is_private_as_well(client_app, name, status):
    response = get(name, client_app)

    assert response.status_code == status
    assert said(response)[0] == "private"


def test_answer_for_a_session_is_private_where_a_token_is_accepted_too(user):
    response = get("scope-or-session", client=signed_in(user))

    assert response.json() == {"user": user.get_username()}
    assert said(response) == ("private", {"Accept", "Authorization", "Cookie", "origin"})


@pytest.mark.parametrize("name", ["public", "plain-public"])
def test_view_that_says_public_stays_public(client_app, name):
    cache_control, vary = said(get(name, client_app))

    assert set(cache_control.split(", ")) == {"public", "max-age=60"}
    assert "Authorization" not in vary


def test_view_that_is_made_public_by_a_decorator_around_it_stays_public(client_app):
    assert said(get("public-outside", client_app))[0] == "public"


@pytest.mark.parametrize("name", ["aged", "plain-aged"])
def test_view_that_says_only_how_long_is_still_private(client_app, name):
    cache_control, vary = said(get(name, client_app))

    assert set(cache_control.split(", ")) == {"private", "max-age=60"}
    assert vary >= {"Authorization"}


def test_what_the_view_says_of_other_headers_stays(client_app):
    assert said(get("aged", client_app))[1] == {"Accept", "Accept-Language", "Authorization", "origin"}


@pytest.mark.parametrize("name", ["never", "plain-never"])
def test_view_that_is_never_kept_stays_so(client_app, name):
    cache_control, _vary = said(get(name, client_app))

    assert set(cache_control.split(", ")) == {"max-age=0", "no-cache", "no-store", "must-revalidate", "private"}


@pytest.mark.parametrize("directive", ["private", "no-store", "no-cache", "s-maxage=60", "PUBLIC"])
def test_directive_of_the_view_is_not_changed(client_app, monkeypatch, directive):
    monkeypatch.setattr(Private, "get", lambda self, request: Response({}, headers={"Cache-Control": directive}))

    assert said(get("private", client_app))[0] == directive


def test_view_that_returns_no_response_is_reported_by_django(client_app):
    with pytest.raises(ValueError, match="nothing didn't return an HttpResponse object"):
        get("nothing", client_app)


def test_request_without_a_view_can_be_authenticated(rf):
    request = Request(rf.get("/"), authenticators=[BearerAuthentication()])

    assert request.auth is None
