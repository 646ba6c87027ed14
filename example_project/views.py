"""The home page: what to try, and with which credentials."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from example_project.demo.data import ADMIN, APPLICATIONS, USER


def home(request: HttpRequest) -> HttpResponse:
    """Show the demonstration's accounts only while DEBUG is on: they exist nowhere else."""
    demonstration = {"applications": APPLICATIONS, "demo_user": USER, "demo_admin": ADMIN} if settings.DEBUG else {}
    return render(request, "example_project/home.html", {"origin": request.build_absolute_uri("/"), **demonstration})
