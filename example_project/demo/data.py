"""Create the accounts of the demonstration."""

from typing import Any

from django.contrib.auth import get_user_model

from example_project.demo.accounts import ADMIN, ALL_APPLICATIONS, USER, DemoApplication, DemoUser
from oauth_refresh import crypto
from oauth_refresh.models import Application
from oauth_refresh.services.clients import create_application


def create_demo_data() -> None:
    """Create the users and applications that are missing, and replace applications that were changed."""
    for demo_user in (USER, ADMIN):
        if not get_user_model().objects.filter(username=demo_user.username).exists():
            _create_user(demo_user)
    for application in ALL_APPLICATIONS:
        if not _is_unchanged(application):
            Application.objects.filter(client_id=application.client_id).delete()
            create_application(client_id=application.client_id, raw_secret=application.secret, **_columns(application))


def _create_user(demo_user: DemoUser) -> None:
    manager = get_user_model().objects
    create = manager.create_superuser if demo_user.is_admin else manager.create_user
    create(username=demo_user.username, password=demo_user.password)


def _is_unchanged(application: DemoApplication) -> bool:
    """Whether it exists as defined here. Visitors may have edited or deactivated it in the admin."""
    digest = "" if application.secret is None else crypto.digest(application.secret)
    return Application.objects.filter(
        client_id=application.client_id, is_active=True, secret_digest=digest, **_columns(application)
    ).exists()


def _columns(application: DemoApplication) -> dict[str, Any]:
    names = (
        *("name", "auth_method", "grant_types", "redirect_uris", "scope", "access_token_lifetime", "retry_window"),
        "is_resource_server",
    )
    return {name: getattr(application, name) for name in names}
