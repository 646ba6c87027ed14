"""Middleware that opens a transaction around every request, inside which no refresh token can be spent."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error
from django.db import router
from django.db.models import Model
from django.utils.module_loading import import_string

from oauth_refresh.services.db import db_alias

_REVISIONS = "reversion.middleware.RevisionMiddleware"


def check_middleware(**kwargs: Any) -> list[CheckMessage]:
    """Find django-reversion's middleware, and what is derived from it, unless it leaves transactions alone."""
    return [
        Error(
            f"{path} opens a transaction around every request, so every refresh will be answered with 503.",
            hint="In a class of your own, derived from it, let request_creates_revision() leave out the endpoints of "
            "oauth_refresh, or set atomic = False.",
            id="oauth_refresh.E012",
        )
        for path in _middleware_with_revisions()
    ]


def _middleware_with_revisions() -> Iterator[str]:
    for path in getattr(django_settings, "MIDDLEWARE", None) or ():
        try:
            middleware = import_string(path)
        except ImportError:
            middleware = None  # Django says so when the server starts
        if path == _REVISIONS if middleware is None else _opens_our_transaction(middleware):
            yield path


def _opens_our_transaction(middleware: Any) -> bool:
    """Whether it is the middleware of django-reversion, as it comes, on our database."""
    classes: tuple[Any, ...] = middleware.__mro__ if isinstance(middleware, type) else ()
    original = next((one for one in classes if f"{one.__module__}.{one.__qualname__}" == _REVISIONS), None)
    if original is None or not middleware.atomic:
        return False
    # A project that decides by the request has decided about our endpoints, too.
    if middleware.request_creates_revision is not original.request_creates_revision:
        return False
    using = middleware.using
    if using is None and apps.is_installed("reversion"):
        revisions: type[Model] = apps.get_app_config("reversion").get_model("Revision")
        using = router.db_for_write(revisions)
    return using in (None, db_alias())
