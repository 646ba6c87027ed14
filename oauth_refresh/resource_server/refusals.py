"""Refusals of a request to a view of Django REST framework, and its answers kept out of shared caches.

It imports no model: views whose tokens are checked by a server elsewhere use it too.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponseBase
from rest_framework.exceptions import APIException
from rest_framework.permissions import AND, OR
from rest_framework.views import APIView

from oauth_refresh.bearer import challenge, keep_private
from oauth_refresh.errors import RETRY_AFTER_SECONDS, OAuthError

logger = logging.getLogger(__name__)


class BearerError(APIException):
    """A token was refused at a protected view, for an error of ``oauth_refresh.errors``.

    The answer has that error's status and challenge (RFC 6750 §3), whichever authentication class of the view comes
    first.
    """

    def __init__(
        self, error: OAuthError, *, view: object = None, method: str = "", authentication: object = None
    ) -> None:
        logger.info("Refused with %s: %s", error.code, error.reason)
        self.status_code = error.status
        self.auth_header = view_challenge(view, method, error, authentication=authentication)
        super().__init__({"error": error.code, "error_description": error.description})


class TokenRequired(APIException):
    """Ask for a token, with the challenges of all authentication classes; DRF's NotAuthenticated has only the first."""

    status_code = HTTPStatus.UNAUTHORIZED
    default_detail = "Authentication credentials were not provided."

    def __init__(self, challenges: Iterable[str]) -> None:
        self.auth_header = ", ".join(challenges)
        super().__init__()


class Unavailable(APIException):
    """A server error. Nothing is known of the token, so the client should send it again."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = "The server could not answer now. Try again."
    wait = RETRY_AFTER_SECONDS


def required_resource(view: object, *, authentication: object = None) -> str | None:
    """Return the resource that the view names, or else the first of its authentication classes that names one.

    ``authentication``: the class that is asked. It comes before those that the view lists, where it need not stand: a
    view may choose its classes by the request.
    """
    places = (view, authentication, *getattr(view, "authentication_classes", ()))
    return next(filter(None, (getattr(place, "required_resource", None) for place in places)), None)


def view_challenge(view: object, method: str, error: OAuthError | None = None, *, authentication: object = None) -> str:
    """Return the challenge of a view: with the scopes that its permissions need, and the resource that it names.

    Only what the class lists is looked at. A method of the project may ask who the user is, which is not known yet.
    """
    permissions = getattr(view, "permission_classes", ())
    scopes = [name for permission in _leaves(permissions) for name in _scopes_of(permission, view, method)]
    resource = required_resource(view, authentication=authentication)
    return challenge(error, scopes=tuple(dict.fromkeys(scopes)), resource=resource)


def _leaves(permissions: Iterable[Any]) -> Iterator[Any]:
    """Yield the permissions of a list, both of ``&``, and the first of ``|``, which is enough."""
    for permission in permissions:
        operator = getattr(permission, "operator_class", None)
        if operator is None:
            yield permission
        elif operator in {AND, OR}:  # not what "~" inverts
            yield from _leaves([permission.op1_class, *([permission.op2_class] if operator is AND else [])])


def _scopes_of(permission: Any, view: object, method: str) -> Iterable[str]:
    """Return the scopes that a permission of ours needs; none of another, or where the project forgot to name any."""
    if not hasattr(permission, "required_scopes_for"):
        return ()
    try:
        scopes: Iterable[str] = permission().required_scopes_for(view, method)
    except ImproperlyConfigured:
        return ()
    return scopes


def keep_answers_private(view: object) -> None:
    """Wrap the view's ``finalize_response``, so that shared caches do not store its response. Others stay as they are.

    DRF makes a view for each request, and gives an authentication class no other means to change the response.
    """
    if isinstance(view, APIView):
        vars(view)["finalize_response"] = partial(_finalize, view.finalize_response)


def _finalize(finalize: Callable[..., HttpResponseBase], *args: Any, **kwargs: Any) -> HttpResponseBase:
    response = finalize(*args, **kwargs)
    keep_private(response)
    return response
