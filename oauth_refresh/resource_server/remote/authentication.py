"""Bearer authentication for an API on another machine, on Django REST framework (RFC 6750)."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from oauth_refresh.errors import OAuthError
from oauth_refresh.resource_server.refusals import BearerError, Unavailable, keep_answers_private, view_challenge
from oauth_refresh.resource_server.remote import errors
from oauth_refresh.resource_server.remote.answers import RemoteToken
from oauth_refresh.resource_server.remote.bearer import authenticate_remotely


class RemoteBearerRequest(Request):
    """The type of the request of a view that needs a token, to annotate it with: DRF's own class, and ``auth``."""

    auth: RemoteToken


class RemoteBearerAuthentication(BaseAuthentication):
    """Authenticate by ``Authorization: Bearer`` with tokens of the server that ``OAUTH_RESOURCE_SERVER`` names.

    ``request.auth`` is the RemoteToken; ``request.user`` has its ``sub`` as ``pk``, ``get_username()`` and
    ``is_authenticated``, or is what ``USER`` of the setting returns. Put it first, as BearerAuthentication. A token
    that cannot be checked is answered with 503. Responses are private, unless the view says otherwise.
    """

    accepts_access_tokens = True
    asks_a_server_elsewhere = True  # which compares the resource, so the system check asks the view for none

    def authenticate(self, request: Request) -> tuple[Any, RemoteToken] | None:
        """Return user and token; None without a Bearer header. Raises BearerError, or the Unavailable of DRF's kind."""
        view = request.parser_context.get("view")
        keep_answers_private(view)
        try:
            return authenticate_remotely(request._request)
        except OAuthError as error:
            raise BearerError(error, view=view, method=request.method or "") from error
        except errors.Unavailable:
            raise Unavailable from None

    def authenticate_header(self, request: Request) -> str:
        return view_challenge(request.parser_context.get("view"), request.method or "")
