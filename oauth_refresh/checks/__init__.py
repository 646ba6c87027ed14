"""System checks: settings that are wrong or contradict each other, a project that does not fit, unsafe deployments."""

from django.core.checks import Tags

from oauth_refresh.checks.database import check_autocommit, check_table_engines
from oauth_refresh.checks.deployment import check_deployment, check_lifetimes
from oauth_refresh.checks.guessing import check_guess_limit
from oauth_refresh.checks.middleware import check_middleware
from oauth_refresh.checks.options import check_issuer, check_settings
from oauth_refresh.checks.project import (
    check_isolation,
    check_issuer_is_set,
    check_login_url,
    check_one_database,
    check_receiver,
)
from oauth_refresh.checks.views import check_scopes

ALL = (
    (check_settings, Tags.security, False),
    (check_issuer, Tags.security, False),
    (check_issuer_is_set, Tags.database, False),
    (check_login_url, Tags.urls, False),
    (check_middleware, Tags.compatibility, False),
    (check_receiver, Tags.signals, False),
    (check_one_database, Tags.models, False),
    (check_isolation, Tags.models, False),
    (check_autocommit, Tags.models, False),
    (check_table_engines, Tags.database, False),
    (check_scopes, Tags.urls, False),
    (check_deployment, Tags.security, True),
    (check_lifetimes, Tags.security, True),
    (check_guess_limit, Tags.security, True),
)
