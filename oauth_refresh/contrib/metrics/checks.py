"""A system check: without its middleware, the app counts no refusal."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

MIDDLEWARE = "oauth_refresh.contrib.metrics.middleware.count_refusals"


def check_middleware(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Warn if the middleware is not installed, which is the only source of ``oauth_refresh.requests.refused``."""
    if MIDDLEWARE in settings.MIDDLEWARE:
        return []
    return [
        checks.Warning(
            "Refused requests are not counted.",
            hint=f"Add {MIDDLEWARE!r} to MIDDLEWARE, as the first.",
            id="oauth_refresh_metrics.W001",
        )
    ]
