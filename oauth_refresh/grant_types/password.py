"""The resource owner password credentials grant (RFC 6749 §4.3), for migrations only: RFC 9700 §2.4 forbids it."""

from typing import Any, cast

from django.contrib.auth import authenticate, get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Field

from oauth_refresh.errors import WrongPassword
from oauth_refresh.grant_types.requests import ClientRequest
from oauth_refresh.models import GrantType
from oauth_refresh.services import IssuedTokens, issue_tokens
from oauth_refresh.services.lookup import is_storable


def exchange(request: ClientRequest) -> IssuedTokens:
    username = request.parameters.require("username")
    password = request.parameters.require("password")
    if not is_storable(username) or not _can_be_a_username(username):
        raise WrongPassword("The user name or password is wrong.")
    user = authenticate(request.http_request, username=username, password=password)
    if user is None:
        raise WrongPassword("The user name or password is wrong.")
    return issue_tokens(
        request.application,
        user=user,
        grant_type=GrantType.PASSWORD,
        scope=request.parameters.get("scope"),
        client_info=request.client_info,
    )


def _can_be_a_username(text: str) -> bool:
    """Whether the user model's name field, which may be a number, can be compared with ``text``."""
    user_model = get_user_model()
    field = cast("Field[Any, Any]", user_model._meta.get_field(user_model.USERNAME_FIELD))
    try:
        field.to_python(text)
    except ValidationError:
        return False
    return True
