"""Changes for which Django's own permissions are not enough.

Staff with those alone could otherwise get tokens of other users, even of superusers, by an issuer with keys of their
own or by a redirect URI of a trusted application; and, with the secret of a resource server, introspect every token.
"""

from collections.abc import Iterator

from django.http import HttpRequest

from oauth_refresh.admin.base import may_view_users
from oauth_refresh.models import Application, TrustedIssuer

_CREDENTIAL_COLUMNS = frozenset({"auth_method", "jwks", "jwks_uri", "requires_pkce", "strict_auth_method"})


def is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def may_manage_issuers(request: HttpRequest, issuer: TrustedIssuer | None = None) -> bool:
    """Whether this person may change whom the server trusts: superusers alone, if ``issuer`` may act for superusers."""
    if issuer is not None and issuer.allows_superusers and not is_superuser(request):
        return False
    return request.user.has_perm("oauth_refresh.manage_trusted_issuers")


def reserved_columns(request: HttpRequest, application: Application | None) -> frozenset[str]:
    """Return the columns that this person may not change; ``application`` None: of a new one."""
    return frozenset(_reserved(request, application))


def may_change_credentials(request: HttpRequest, application: Application) -> bool:
    """Whether this person may replace the secret and keys of the application: it needs the permissions of its marks."""
    return (not application.is_trusted or request.user.has_perm("oauth_refresh.trust_application")) and (
        not application.is_resource_server or request.user.has_perm("oauth_refresh.mark_resource_server")
    )


def _reserved(request: HttpRequest, application: Application | None) -> Iterator[str]:
    if not request.user.has_perm("oauth_refresh.trust_application"):
        yield "is_trusted"
    if not request.user.has_perm("oauth_refresh.mark_resource_server"):
        yield from ("is_resource_server", "resources")
    if not may_view_users(request):
        yield "owner"  # the form shows the name of the user for each key that is entered
    if application is None:
        return
    # No consent is asked for, so a person who changed them would receive the codes of every user.
    if application.is_trusted and not is_superuser(request):
        yield "redirect_uris"
    if not may_change_credentials(request, application):
        yield from _CREDENTIAL_COLUMNS
