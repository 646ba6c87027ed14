"""System checks: settings that are wrong or contradict each other, a project that does not fit, unsafe deployments."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.checks import CheckMessage, Tags

from oauth_refresh.checks.database import check_autocommit, check_table_engines
from oauth_refresh.checks.deployment import check_deployment, check_lifetimes
from oauth_refresh.checks.guessing import check_guess_limit
from oauth_refresh.checks.middleware import check_middleware
from oauth_refresh.checks.options import are_readable, check_issuer, check_receivers, check_resources, check_settings
from oauth_refresh.checks.project import (
    check_imported_secrets,
    check_isolation,
    check_issuer_is_set,
    check_login_url,
    check_one_database,
    check_receiver,
    check_toolkit,
)
from oauth_refresh.checks.views import check_resources_of_views, check_scopes

Check = Callable[..., list[CheckMessage]]


def _if_readable(check: Check) -> Check:
    """Let the check find nothing while a setting cannot be read: ``check_settings`` names it, and the rest can wait."""

    @wraps(check)
    def run(**kwargs: Any) -> list[CheckMessage]:
        return check(**kwargs) if are_readable() else []

    return run


_OTHERS: tuple[tuple[Check, str, bool], ...] = (
    (check_issuer, Tags.security, False),
    (check_resources, Tags.security, False),
    (check_receivers, Tags.security, False),
    (check_issuer_is_set, Tags.database, False),
    (check_imported_secrets, Tags.database, False),
    (check_login_url, Tags.urls, False),
    (check_middleware, Tags.compatibility, False),
    (check_receiver, Tags.signals, False),
    (check_toolkit, Tags.compatibility, False),
    (check_one_database, Tags.models, False),
    (check_isolation, Tags.models, False),
    (check_autocommit, Tags.models, False),
    (check_table_engines, Tags.database, False),
    (check_scopes, Tags.urls, False),
    (check_resources_of_views, Tags.urls, False),
    (check_deployment, Tags.security, True),
    (check_lifetimes, Tags.security, True),
    (check_guess_limit, Tags.security, True),
)

ALL = (
    (check_settings, Tags.security, False),
    *((_if_readable(check), tag, deploy) for check, tag, deploy in _OTHERS),
)
