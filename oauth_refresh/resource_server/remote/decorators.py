"""Bearer authentication for an API on another machine, in plain Django views, synchronous and asynchronous."""

from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from django.http import HttpRequest, HttpResponse

from oauth_refresh.resource_server.plain_views import protected, refusal_of, unavailable
from oauth_refresh.resource_server.remote.answers import RemoteToken
from oauth_refresh.resource_server.remote.bearer import authenticate_remotely
from oauth_refresh.resource_server.remote.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")


class RemoteBearerHttpRequest(HttpRequest):
    """The type of the request of a protected view, to annotate it with: Django's own class, and ``auth``."""

    auth: RemoteToken


def remote_bearer_required(
    *scopes: str,
) -> Callable[[Callable[Concatenate[RemoteBearerHttpRequest, P], R]], Callable[Concatenate[HttpRequest, P], R]]:
    """Require an active access token of the server that ``OAUTH_RESOURCE_SERVER`` names, with all of ``scopes``.

    As ``bearer_required``, but ``request.auth`` is a RemoteToken, and ``request.user`` what RemoteBearerAuthentication
    would set. A token that cannot be checked is answered with 503.
    """

    def decorate(
        view: Callable[Concatenate[RemoteBearerHttpRequest, P], R],
    ) -> Callable[Concatenate[HttpRequest, P], R]:
        wrapped = protected(view, scopes=scopes, refusal=partial(_refusal, scopes=scopes))
        return cast("Callable[Concatenate[HttpRequest, P], R]", wrapped)

    return decorate


def _refusal(request: HttpRequest, *, scopes: tuple[str, ...]) -> HttpResponse | None:
    """Sign the token's user in for this request, or return why not."""
    authenticate: Any = authenticate_remotely  # its token is registered as a BearerToken
    try:
        return refusal_of(request, scopes=scopes, authenticate=authenticate)
    except Unavailable:
        return unavailable()
