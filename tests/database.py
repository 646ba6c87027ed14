"""What the database holds: to compare before and after a request, and to search for raw values."""

from typing import Any

from django.apps import apps

from oauth_refresh.models import AccessToken, AuthorizationCode, Grant, GrantEvent, RefreshToken, RevocationNotice

MODELS = [model for model in apps.get_app_config("oauth_refresh").get_models() if not model._meta.proxy]


def database_snapshot() -> dict[str, list[dict[str, Any]]]:
    """Return all rows that a request of the protocol could change."""
    return {
        model.__name__: list(model._default_manager.order_by("pk").values())
        for model in (Grant, AuthorizationCode, RefreshToken, AccessToken, GrantEvent, RevocationNotice)
    }


def stored_texts() -> list[str]:
    """Return what each column of each row of the app holds; bytes as they would be read in a dump."""
    return [
        bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
        for model in MODELS
        for row in model._default_manager.values_list()
        for value in row
    ]
