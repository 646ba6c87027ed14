"""Put the accounts of the demonstration into the database."""

from typing import Any

from django.contrib.auth import get_user_model

from example_project.demo.accounts import ADMIN, APPLICATIONS, PATIENT, STRICT, USER, DemoApplication, DemoUser
from oauth_refresh import crypto
from oauth_refresh.models import Application
from oauth_refresh.services.clients import create_application


def create_demo_data() -> None:
    """Make sure that the demonstration's users and applications exist; an application gets its credentials back."""
    for person in (USER, ADMIN):
        if not get_user_model().objects.filter(username=person.username).exists():
            _create_user(person)
    for application in (*APPLICATIONS, STRICT, PATIENT):
        if not _is_intact(application):
            Application.objects.filter(client_id=application.client_id).delete()
            create_application(client_id=application.client_id, raw_secret=application.secret, **_columns(application))


def _create_user(person: DemoUser) -> None:
    create = get_user_model().objects.create_superuser if person.is_admin else get_user_model().objects.create_user
    create(username=person.username, password=person.password)


def _is_intact(application: DemoApplication) -> bool:
    """Whether it exists as the story needs it; somebody may have tried the admin on it."""
    digest = "" if application.secret is None else crypto.digest(application.secret)
    return Application.objects.filter(
        client_id=application.client_id, is_active=True, secret_digest=digest, **_columns(application)
    ).exists()


def _columns(application: DemoApplication) -> dict[str, Any]:
    names = ("name", "auth_method", "grant_types", "redirect_uris", "scope", "access_token_lifetime", "retry_window")
    return {name: getattr(application, name) for name in names}
