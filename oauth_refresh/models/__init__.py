"""State, and questions about it. Only ``services`` writes it."""

from oauth_refresh.models.application import Application
from oauth_refresh.models.choices import OPERATOR, AuthMethod, GrantType, RevocationReason
from oauth_refresh.models.codes import AuthorizationCode
from oauth_refresh.models.events import GrantEvent
from oauth_refresh.models.grant import (
    NO_CLIENT_INFO,
    ClientInfo,
    Grant,
    password_fingerprints,
)
from oauth_refresh.models.issuers import TrustedIssuer, UsedAssertion
from oauth_refresh.models.tokens import AccessToken, RefreshToken

__all__ = [
    "NO_CLIENT_INFO",
    "OPERATOR",
    "AccessToken",
    "Application",
    "AuthMethod",
    "AuthorizationCode",
    "ClientInfo",
    "Grant",
    "GrantEvent",
    "GrantType",
    "RefreshToken",
    "RevocationReason",
    "TrustedIssuer",
    "UsedAssertion",
    "password_fingerprints",
]
