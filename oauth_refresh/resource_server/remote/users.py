"""Who a remote token acts for: the user of a request, without a table of users."""

from dataclasses import dataclass
from typing import Any

from oauth_refresh.errors import InvalidToken
from oauth_refresh.resource_server.remote.answers import RemoteToken
from oauth_refresh.resource_server.remote.configured import user_callable


@dataclass(frozen=True, slots=True)
class RemoteUser:
    """The user of a remote token. ``pk``: its ``sub``; None where an application acts for itself, which has no user."""

    pk: str | None
    username: str

    is_active = True
    is_staff = False
    is_superuser = False

    def __str__(self) -> str:
        return self.username

    def get_username(self) -> str:
        return self.username

    @property
    def is_authenticated(self) -> bool:
        return self.pk is not None

    @property
    def is_anonymous(self) -> bool:
        return self.pk is None


def user_of(token: RemoteToken) -> Any:
    """Return the user of a token: what the project's ``USER`` returns for it, else a RemoteUser.

    ``USER`` is not asked where an application acts for itself. Raises InvalidToken if it returns None.
    """
    if token.username is None:
        return RemoteUser(pk=None, username="")
    find = user_callable()
    if find is None:
        return RemoteUser(pk=token.sub, username=token.username)
    if (user := find(token)) is None:
        raise InvalidToken("OAUTH_RESOURCE_SERVER['USER'] knows no user for the token.")
    return user
