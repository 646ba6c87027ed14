"""The Bearer scheme (RFC 6750 §2.1, §3): a token in the Authorization header, and the challenge that asks for one."""

import re
from abc import ABC
from collections.abc import Sequence

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponseBase, UnreadablePostError
from django.utils.cache import patch_cache_control, patch_vary_headers

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InsufficientScope, InvalidRequest, OAuthError
from oauth_refresh.resources import default_resources, metadata_url

_B64TOKEN = r"[A-Za-z0-9._~+/-]+=*"
_FORM = "application/x-www-form-urlencoded"
_STORAGE_DIRECTIVES = frozenset({"no-cache", "no-store", "private", "public", "s-maxage"})


class BearerToken(ABC):
    """An access token of a request: ours, or of a server elsewhere; permissions use only its scopes.

    Classes are registered with it, because a model cannot inherit from it: it has another metaclass.
    """

    scopes: tuple[str, ...]


def read_bearer(request: HttpRequest) -> str | None:
    """Return the token of the Authorization header; None without one, or with one of another scheme.

    A token in the query string, the form or a cookie does not count. Raises InvalidRequest for a Bearer header that
    does not hold exactly one token, and for one beside a form that holds a token too (§3.1) or cannot be read.
    """
    scheme, _space, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = rest.strip(" ")
    if not re.fullmatch(_B64TOKEN, token):
        raise InvalidRequest("The Authorization header must hold one access token after the word Bearer.")
    try:
        is_sent_twice = request.content_type == _FORM and "access_token" in request.POST
    except (BadRequest, SuspiciousOperation, UnreadablePostError) as error:  # not UTF-8, too much, cut off
        raise InvalidRequest("The form beside the access token cannot be read.") from error
    # A cache or log may keep the form, and two tokens may differ (RFC 6750 §2).
    if is_sent_twice:
        raise InvalidRequest("The access token was sent in more than one way.")
    return token


def challenge(error: OAuthError | None = None, *, scopes: Sequence[str] = (), resource: str | None = None) -> str:
    """Return the value of WWW-Authenticate; without an error for a request that sent no token (RFC 6750 §3.1).

    Where the project has ``RESOURCES``, it also says which ``scopes`` the request needs, and where a client finds the
    metadata of the ``resource`` (RFC 9728 §5.1); None: of the only one there is.
    """
    attributes = {"realm": "oauth"}
    if error is not None:
        attributes |= {"error": error.code, "error_description": error.description}
    if isinstance(error, InsufficientScope):
        scopes = error.scopes
    elif not app_settings.resources:
        scopes = ()
    if scopes:
        attributes["scope"] = " ".join(scopes)
    resource = resource or next(iter(default_resources()), "")
    if resource in app_settings.resources:
        attributes["resource_metadata"] = metadata_url(resource)
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in attributes.items())


def keep_private(response: HttpResponseBase) -> None:
    """Mark the response as private to the sender of the token, unless the view says which caches may store it.

    RFC 9111 §3.5 forbids a shared cache to store it, but some do, such as Django's in older releases. A stored response
    would also be sent for a token that was revoked meanwhile.
    """
    directives = response.get("Cache-Control", "").split(",")
    names = {directive.partition("=")[0].strip().lower() for directive in directives}
    if not names & _STORAGE_DIRECTIVES:  # max-age alone says how long, not in which cache
        patch_cache_control(response, private=True)
    if "public" not in names:
        patch_vary_headers(response, ["Authorization"])
