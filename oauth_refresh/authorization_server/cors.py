"""Browser clients on other origins: django-cors-headers asks us, where a project has it installed (RFC 9700 §2.6).

Token and revoke may be called from the origins of the redirect URIs of public applications, and metadata from anywhere.
No other endpoint may: the authorization endpoint is navigated to, and introspection is for confidential clients.
"""

from typing import Any
from urllib.parse import urlsplit

from corsheaders.signals import check_request_enabled
from django.dispatch import receiver
from django.http import HttpRequest
from django.urls import Resolver404, resolve

from oauth_refresh.authorization_server.metadata import MetadataView, ResourceMetadataView
from oauth_refresh.authorization_server.views import RevokeView, TokenView
from oauth_refresh.models import Application, AuthMethod
from oauth_refresh.models.redirects import is_usable_redirect_uri
from oauth_refresh.services.db import db_alias

_DEFAULT_PORTS = {"http": 80, "https": 443}


@receiver(check_request_enabled, dispatch_uid="oauth_refresh.allow_registered_origin")
def allow_registered_origin(sender: object, request: HttpRequest, **kwargs: Any) -> bool:
    """Whether the request is for token or revoke, and its origin that of an active public application.

    Also allow a preflight for metadata: the middleware answers preflights, so the view never sees them.
    """
    origin = request.headers.get("Origin", "")
    try:
        view = getattr(resolve(request.path_info).func, "view_class", None)
    except Resolver404:
        return False
    if view in {MetadataView, ResourceMetadataView} and request.method == "OPTIONS":
        return True
    # Origins of other schemes, such as those of browser extensions, cannot be origins of a redirect URI.
    if view not in {TokenView, RevokeView} or not origin.startswith(("http://", "https://")):
        return False
    candidates = Application.objects.using(db_alias()).filter(
        is_active=True, auth_method=AuthMethod.NONE, redirect_uris__icontains=origin
    )
    return any(origin in _origins(uris) for uris in candidates.values_list("redirect_uris", flat=True))


def _origins(redirect_uris: str) -> set[str]:
    return {_origin(uri) for uri in redirect_uris.split() if is_usable_redirect_uri(uri)}


def _origin(uri: str) -> str:
    """Return the origin as browsers write it: in small letters, without the port of the scheme (RFC 6454 §6.2)."""
    parts = urlsplit(uri)
    host = parts.netloc.lower()
    if parts.port is not None:
        host = host.removesuffix(f":{host.rpartition(':')[2]}")
        host += "" if parts.port == _DEFAULT_PORTS.get(parts.scheme) else f":{parts.port}"
    return f"{parts.scheme}://{host}"
