"""Whether an API may believe an access token: one statement for each request, and nothing is cached."""

from django.http import HttpRequest
from django.utils import timezone

from oauth_refresh.bearer import read_bearer
from oauth_refresh.errors import InvalidToken
from oauth_refresh.models import AccessToken
from oauth_refresh.services.lookup import find_access_token


def authenticate_bearer(request: HttpRequest) -> AccessToken | None:
    """Return the live access token of an API's request; None without a Bearer header.

    The text of the token stays in a frame that is over when a fault is logged. Raises InvalidRequest, InvalidToken.
    """
    raw = read_bearer(request)
    return None if raw is None else authenticate_access_token(raw)


def authenticate_access_token(raw: str) -> AccessToken:
    """Return the live access token that ``raw`` is, with its grant, application and user.

    It costs one statement; none for a text that is not of the form of a token of ours. So a token is refused at the
    next request after anybody revoked it. Raises InvalidToken.
    """
    token = find_access_token(raw)
    if token is None:
        raise InvalidToken("The text is no access token of this server.")
    now = timezone.now()
    if (dead := token.grant.why_dead(now)) is not None:
        raise InvalidToken(f"The grant of the access token is not live: {dead}.")
    if not token.is_live_at(now):
        raise InvalidToken("The access token is expired, revoked, or was replaced by a refresh.")
    return token
