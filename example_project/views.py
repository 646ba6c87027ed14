"""The home page, the sign-in page, the page about the API, and the page for a failed CSRF check."""

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.generic import TemplateView
from drf_spectacular.generators import SchemaGenerator

from example_project.api_reference import operations
from example_project.demo.accounts import ADMIN, APPLICATIONS, USER


def demonstration(request: HttpRequest) -> dict[str, bool]:
    """Context processor: whether the demonstration is available."""
    return {"is_demonstration": settings.DEBUG}


def home(request: HttpRequest) -> HttpResponse:
    """Show the demonstration only while DEBUG is on, since its accounts do not exist otherwise."""
    demo = {"applications": APPLICATIONS, "demo_user": USER, "demo_admin": ADMIN} if settings.DEBUG else {}
    return render(request, "example_project/home.html", {"origin": request.build_absolute_uri("/"), **demo})


class SignInView(LoginView):
    """Django's view, with a button to sign in as the user of the demonstration."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        # A client's pop-up may pass this page. By Django's default it would lose the page that opened it.
        response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        demo_user = USER if settings.DEBUG else None
        return super().get_context_data(demo_user=demo_user, **kwargs)


class ApiReferenceView(TemplateView):
    """The OpenAPI description as a page."""

    template_name = "example_project/api_reference.html"
    patterns: list[Any] = []

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        document = SchemaGenerator(patterns=self.patterns).get_schema(request=None, public=True)
        return super().get_context_data(operations=operations(document), **kwargs)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Offer to reload the page: its token is out of date after a sign-in, for example in another tab."""
    return render(request, "example_project/csrf_failure.html", {"path": request.path}, status=HTTPStatus.FORBIDDEN)
