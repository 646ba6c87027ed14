"""The home page, which tells the story and begins it; the page to sign in; and the one about the API."""

from typing import Any

from django.conf import settings
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.generic import TemplateView
from drf_spectacular.generators import SchemaGenerator

from example_project.demo.accounts import ADMIN, APPLICATIONS, USER
from example_project.reference import operations


def demonstration(request: HttpRequest) -> dict[str, bool]:
    """Tell every template whether this is the demonstration."""
    return {"is_demonstration": settings.DEBUG}


def home(request: HttpRequest) -> HttpResponse:
    """Show the demonstration only while DEBUG is on: its accounts exist nowhere else."""
    demonstration = {"applications": APPLICATIONS, "demo_user": USER, "demo_admin": ADMIN} if settings.DEBUG else {}
    return render(request, "example_project/home.html", {"origin": request.build_absolute_uri("/"), **demonstration})


class SignInView(LoginView):
    """Django's own, with a button for those who are here for the demonstration."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        demo_user = USER if settings.DEBUG else None
        return super().get_context_data(demo_user=demo_user, **kwargs)


class ApiPage(TemplateView):
    """What the schema says, for people."""

    template_name = "example_project/api.html"
    patterns: list[Any] = []

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        document = SchemaGenerator(patterns=self.patterns).get_schema(request=None, public=True)
        return super().get_context_data(operations=operations(document), **kwargs)
