"""Asynchronous views that a token protects, in a project whose requests are transactions (``ATOMIC_REQUESTS``)."""

from http import HTTPStatus

import pytest
from django.db import connection, transaction
from django.http import JsonResponse
from django.test import Client
from django.urls import path
from django.views import View

from oauth_refresh.resource_server.decorators import bearer_required


@transaction.non_atomic_requests
@bearer_required("notes:read")
async def outside(request):
    return JsonResponse({"user": request.user.get_username()})


@bearer_required("notes:read")
@transaction.non_atomic_requests
async def inside(request):
    return JsonResponse({"user": request.user.get_username()})


class Notes(View):
    async def get(self, request):
        return JsonResponse({"user": request.user.get_username()})


@bearer_required("notes:read")
async def not_exempt(request):
    raise NotImplementedError


@bearer_required("notes:read")
def synchronous(request):
    return JsonResponse({"user": request.user.get_username()})


urlpatterns = [
    path("outside", outside),
    path("inside", inside),
    path("class", transaction.non_atomic_requests(bearer_required("notes:read")(Notes.as_view()))),
    path("not-exempt", not_exempt),
    path("synchronous", synchronous),
]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.test_async_views")]


@pytest.fixture(autouse=True)
def atomic_requests(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


def call(name, raw):
    return Client().get(f"/{name}", headers={"Authorization": f"Bearer {raw}"})


@pytest.mark.parametrize("name", ["outside", "inside", "class", "synchronous"])
def test_view_is_protected_where_requests_are_atomic(client_app, name):
    response = call(name, client_app.access_token)

    assert response.json() == {"user": client_app.grant.user.get_username()}
    assert call(name, "oat_unknown").status_code == HTTPStatus.UNAUTHORIZED


def test_asynchronous_view_that_is_not_exempt_is_refused_by_django(client_app):
    with pytest.raises(RuntimeError, match="You cannot use ATOMIC_REQUESTS with async views"):
        call("not-exempt", client_app.access_token)
