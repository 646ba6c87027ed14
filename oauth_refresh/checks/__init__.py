"""System checks: settings that are wrong or contradict each other, a project that does not fit, unsafe deployments."""

from django.core.checks import Tags

from oauth_refresh.checks.deployment import check_deployment
from oauth_refresh.checks.options import check_issuer, check_settings
from oauth_refresh.checks.project import check_isolation, check_issuer_is_set, check_one_database, check_receiver

ALL = (
    (check_settings, Tags.security, False),
    (check_issuer, Tags.security, False),
    (check_issuer_is_set, Tags.database, False),
    (check_receiver, Tags.signals, False),
    (check_one_database, Tags.models, False),
    (check_isolation, Tags.models, False),
    (check_deployment, Tags.security, True),
)
