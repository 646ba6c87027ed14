"""The app in the Django admin: see whose a leaked token is and what happened, stop it, and leave a record.

``SignOutEverywhereMixin`` adds the same to the project's own user admin.
"""

from oauth_refresh.admin.applications import ApplicationAdmin
from oauth_refresh.admin.grants import GrantAdmin
from oauth_refresh.admin.issuers import TrustedIssuerAdmin, UsedAssertionAdmin
from oauth_refresh.admin.tokens import AccessTokenAdmin, AuthorizationCodeAdmin, GrantEventAdmin, RefreshTokenAdmin
from oauth_refresh.admin.users import SignOutEverywhereMixin

__all__ = [
    "AccessTokenAdmin",
    "ApplicationAdmin",
    "AuthorizationCodeAdmin",
    "GrantAdmin",
    "GrantEventAdmin",
    "RefreshTokenAdmin",
    "SignOutEverywhereMixin",
    "TrustedIssuerAdmin",
    "UsedAssertionAdmin",
]
