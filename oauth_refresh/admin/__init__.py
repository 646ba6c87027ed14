"""The app in the Django admin: find the grant of a leaked token, see what happened to it, and revoke it.

``SignOutEverywhereMixin`` adds revocation to the project's own user admin.
"""

from oauth_refresh.admin import applications, grants, overview, receivers, tokens
from oauth_refresh.admin.users import SignOutEverywhereMixin

__all__ = ["SignOutEverywhereMixin", "applications", "grants", "overview", "receivers", "tokens"]
