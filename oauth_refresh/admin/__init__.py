"""The app in the Django admin: find the grant of a leaked token, see what happened to it, and revoke it.

``SignOutEverywhereMixin`` adds revocation to the project's own user admin.
"""

from oauth_refresh.admin import applications, grants, tokens
from oauth_refresh.admin.revocation import SignOutEverywhereMixin

__all__ = ["SignOutEverywhereMixin", "applications", "grants", "tokens"]
