"""The home page, which tells the story and begins it, and the page to sign in."""

from typing import Any

from django.conf import settings
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from example_project.demo.data import ADMIN, APPLICATIONS, USER


def home(request: HttpRequest) -> HttpResponse:
    """Show the demonstration only while DEBUG is on: its accounts exist nowhere else."""
    demonstration = {"applications": APPLICATIONS, "demo_user": USER, "demo_admin": ADMIN} if settings.DEBUG else {}
    return render(request, "example_project/home.html", {"origin": request.build_absolute_uri("/"), **demonstration})


class SignInView(LoginView):
    """Django's own, with a button for those who are here for the demonstration."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        demo_user = USER if settings.DEBUG else None
        return super().get_context_data(demo_user=demo_user, **kwargs)
