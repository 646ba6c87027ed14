"""What an access token must allow, view by view and method by method."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission, OperationHolderMixin
from rest_framework.request import Request
from rest_framework.views import APIView

from oauth_refresh.bearer import BearerToken
from oauth_refresh.errors import InsufficientScope
from oauth_refresh.resource_server.refusals import (
    BearerError,
    TokenRequired,
    keep_answers_private,
    view_challenge,
)

if TYPE_CHECKING:
    from rest_framework.permissions import SingleOperandHolder as Combinable  # the only instance that its stubs allow
else:
    Combinable = OperationHolderMixin


class HasScope(Combinable, BasePermission):
    """Allow requests whose access token has all the scopes that are needed.

    ``permission_classes = [HasScope]`` takes them from the view: ``required_scopes = ["notes:read"]``, or by method,
    ``{"GET": ["notes:read"], "POST": ["notes:write"]}``, where HEAD counts as GET. ``[HasScope("notes:read")]`` names
    them inline. A request without a token is answered with 401, one whose token lacks a scope with 403. Raises
    ImproperlyConfigured for a view that names no scope for a method it has: forgetting it must not allow everything.
    """

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes

    def __call__(self) -> "HasScope":
        """Return itself: DRF calls what stands in ``permission_classes``."""
        return self

    def has_permission(self, request: Request, view: APIView) -> bool:
        keep_answers_private(view)
        if not isinstance(request.auth, BearerToken):
            raise _token_required(request, view)
        needed = self.required_scopes_for(view, request.method or "")
        if not set(needed) <= set(request.auth.scopes):
            error = InsufficientScope("The access token lacks a scope.", scopes=needed)
            authentication = request.successful_authenticator
            raise BearerError(error, view=view, method=request.method or "", authentication=authentication)
        return True

    def required_scopes_for(self, view: APIView, method: str) -> tuple[str, ...]:
        """Return the scopes that a request needs. Raises ImproperlyConfigured if neither this nor the view names one.

        ``authorization_server.openapi`` recognizes the class by this method.
        """
        if self.scopes or method not in view.allowed_methods:
            return self.scopes  # none for a method that the view does not have: it will answer 405
        required: Any = getattr(view, "required_scopes", None)
        if isinstance(required, Mapping):
            required = required.get("GET" if method == "HEAD" else method, () if method == "OPTIONS" else None)
        if required is None or isinstance(required, str) or (not required and method != "OPTIONS"):
            raise ImproperlyConfigured(f"{type(view).__name__}.required_scopes must list the scopes for {method}.")
        return tuple(required)


class HasScopeOrSession(HasScope):
    """Also allow users whom another class authenticated, such as by session: without a token no scope limits them."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, BearerToken) and request.user and request.user.is_authenticated:
            keep_answers_private(view)  # also if SessionAuthentication comes first, so that ours was not asked
            return True
        return super().has_permission(request, view)


def _token_required(request: Request, view: APIView) -> TokenRequired:
    """Return the refusal with the challenges of all authentication classes."""
    offered = [
        authenticator.authenticate_header(request)
        for authenticator in request.authenticators or ()
        if isinstance(authenticator, BaseAuthentication)
    ]
    return TokenRequired(list(filter(None, offered)) or [view_challenge(view, request.method or "")])
