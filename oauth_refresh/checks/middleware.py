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
    """Find django-reversion's middleware and its subclasses, unless they open no transaction around our endpoints."""
    return [
        Error(
            f"{path} opens a transaction around every request, so every refresh will be answered with 503.",
            hint="Use a subclass whose request_creates_revision() leaves out the endpoints of oauth_refresh, or which "
            "has atomic = False.",
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
        if path == _REVISIONS if middleware is None else _wraps_our_endpoints(middleware):
            yield path


def _wraps_our_endpoints(middleware: Any) -> bool:
    """Whether it is django-reversion's middleware, which leaves no request out, with revisions in our database."""
    classes: tuple[Any, ...] = middleware.__mro__ if isinstance(middleware, type) else ()
    original = next((one for one in classes if f"{one.__module__}.{one.__qualname__}" == _REVISIONS), None)
    if original is None or not middleware.atomic:
        return False
    # A method of the project decides by the request, and there is none yet: it may leave out our endpoints.
    if middleware.request_creates_revision is not original.request_creates_revision:
        return False
    using = middleware.using
    if using is None and apps.is_installed("reversion"):
        revisions: type[Model] = apps.get_app_config("reversion").get_model("Revision")
        using = router.db_for_write(revisions)
    return using in (None, db_alias())
