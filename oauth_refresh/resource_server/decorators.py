"""Bearer authentication for plain Django views, synchronous and asynchronous (RFC 6750)."""

from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from django.contrib.auth.models import AnonymousUser
from django.db import Error
from django.http import HttpRequest, HttpResponse

from oauth_refresh.errors import ImporterFailed
from oauth_refresh.http import log_server_error
from oauth_refresh.models import AccessToken
from oauth_refresh.resource_server.bearer import authenticate_bearer
from oauth_refresh.resource_server.plain_views import protected, refusal_of, unavailable

P = ParamSpec("P")
R = TypeVar("R")


class BearerHttpRequest(HttpRequest):
    """The type of the request of a protected view, to annotate it with: Django's own class, and ``auth``."""

    auth: AccessToken


def bearer_required(
    *scopes: str, resource: str | None = None
) -> Callable[[Callable[Concatenate[BearerHttpRequest, P], R]], Callable[Concatenate[HttpRequest, P], R]]:
    """Require a live access token that has all of ``scopes``, and was issued for ``resource``, one of ``RESOURCES``.

    The view finds the token's user in ``request.user`` and by ``await request.auser()`` (an AnonymousUser where the
    application acts for itself), and the AccessToken row in ``request.auth``. Refusals are JSON with the status and
    challenge of RFC 6750 §3. The session is not read, so there is nothing that CSRF could use. Responses
    are private, unless the view says otherwise.
    """

    def decorate(view: Callable[Concatenate[BearerHttpRequest, P], R]) -> Callable[Concatenate[HttpRequest, P], R]:
        wrapped = protected(view, scopes=scopes, refusal=partial(_refusal, scopes=scopes, resource=resource))
        wrapped.required_resource = resource  # for the system check of views without a resource
        return cast("Callable[Concatenate[HttpRequest, P], R]", wrapped)

    return decorate


def _refusal(request: HttpRequest, *, scopes: tuple[str, ...], resource: str | None) -> HttpResponse | None:
    """Sign the token's user in for this request, or return why not."""
    authenticate = partial(_authenticate, resource=resource)
    try:
        return refusal_of(request, scopes=scopes, resource=resource, authenticate=authenticate)
    except (Error, ImporterFailed) as error:
        response = unavailable()
        log_server_error(error, request=request, response=response)
        return response


def _authenticate(request: HttpRequest, *, resource: str | None) -> tuple[Any, Any] | None:
    token = authenticate_bearer(request, resource=resource)
    return None if token is None else (token.grant.user or AnonymousUser(), token)
