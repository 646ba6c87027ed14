"""The tokens that a client holds, as the page shows them: shortened, and with what the server thinks of each."""

from dataclasses import dataclass
from datetime import UTC, datetime

from example_project.playground.client import Pair
from example_project.wire import shortened
from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, RefreshToken


@dataclass(frozen=True, kw_only=True)
class HeldToken:
    """``expires_at`` and ``lifetime``, in seconds, are there if it is worth to watch it run out."""

    name: str
    raw: str
    purpose: str
    is_live: bool
    expires_at: datetime | None = None
    lifetime: int = 0

    @property
    def short(self) -> str:
        return shortened(self.raw)


def held_tokens(pair: Pair | None) -> list[HeldToken]:
    if pair is None:
        return []
    access_token, refresh_token = pair["access_token"], pair["refresh_token"]
    return [
        HeldToken(
            name="Access token",
            raw=access_token,
            purpose=f"opens the API: {pair.get('scope', '')}",
            is_live=_is_live(AccessToken, access_token),
            expires_at=datetime.fromtimestamp(pair["expires_at"], tz=UTC),
            lifetime=int(pair["expires_in"]),
        ),
        HeldToken(
            name="Refresh token",
            raw=refresh_token,
            purpose="fetches the next pair, once",
            is_live=_is_live(RefreshToken, refresh_token),
        ),
    ]


def _is_live(model: type[AccessToken | RefreshToken], raw: str) -> bool:
    """Whether the server would accept it now, as only the server knows: the row answers."""
    token = model.objects.filter(digest=crypto.digest(raw)).select_related("grant__application", "grant__user").first()
    return token is not None and token.is_live
