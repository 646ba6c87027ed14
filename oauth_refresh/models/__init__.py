"""State, and questions about it. Only ``services`` writes it."""

from oauth_refresh.crypto import generate_mac_key
from oauth_refresh.models.alarm_reports import AlarmReport
from oauth_refresh.models.application import Application
from oauth_refresh.models.choices import IMPORTED, STAFF, AuthMethod, GrantType, RevocationReason
from oauth_refresh.models.grant import Grant
from oauth_refresh.models.issuers import (
    TrustedIssuer,
    UsedAssertion,
    default_subject_field,
    validate_algorithms,
    validate_user_field,
)
from oauth_refresh.models.overview import Overview
from oauth_refresh.models.prune_runs import PruneRun
from oauth_refresh.models.redirects import validate_redirect_uris
from oauth_refresh.models.revocation_notices import RevocationNotice
from oauth_refresh.models.revocation_receivers import RevocationReceiver
from oauth_refresh.models.tokens import AccessToken, AuthorizationCode, GrantEvent, RefreshToken
from oauth_refresh.models.users import cascade_first, password_fingerprints
from oauth_refresh.models.validators import (
    validate_grant_types,
    validate_https_uri,
    validate_jwks,
    validate_password_hash,
    validate_resources,
    validate_scope,
    validate_visible_ascii,
)

__all__ = [  # noqa: RUF022  in two groups
    "IMPORTED",
    "STAFF",
    "AccessToken",
    "AlarmReport",
    "Application",
    "AuthMethod",
    "AuthorizationCode",
    "Grant",
    "GrantEvent",
    "GrantType",
    "Overview",
    "PruneRun",
    "RefreshToken",
    "RevocationNotice",
    "RevocationReason",
    "RevocationReceiver",
    "TrustedIssuer",
    "UsedAssertion",
    "password_fingerprints",
    # Migrations name these, and so only by this path, which Django does not let move.
    "cascade_first",
    "default_subject_field",
    "generate_mac_key",
    "validate_algorithms",
    "validate_grant_types",
    "validate_https_uri",
    "validate_jwks",
    "validate_password_hash",
    "validate_redirect_uris",
    "validate_resources",
    "validate_scope",
    "validate_user_field",
    "validate_visible_ascii",
]
