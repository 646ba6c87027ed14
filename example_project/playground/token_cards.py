"""The tokens of a pair as the page shows them, with the state that they have at the server."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils import timezone

from example_project.http_log import shorten_secrets
from example_project.playground.client import TokenPair
from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, RefreshToken


@dataclass(frozen=True, kw_only=True)
class TokenCard:
    """``state``: active, spent (a refresh token), replaced (an access token), expired, revoked, inactive or unknown."""

    name: str
    raw: str
    purpose: str
    state: str
    expires_at: datetime | None = None
    lifetime: int = 0  # seconds

    @property
    def is_active(self) -> bool:
        return self.state == "active"

    @property
    def short(self) -> str:
        return shorten_secrets(self.raw)


def token_cards(pair: TokenPair | None) -> list[TokenCard]:
    if pair is None:
        return []
    access_token, refresh_token = pair["access_token"], pair["refresh_token"]
    return [
        TokenCard(
            name="Access token",
            raw=access_token,
            purpose=f"For the API: {pair.get('scope', '')}",
            state=_state(AccessToken, access_token),
            expires_at=datetime.fromtimestamp(pair["expires_at"], tz=UTC),
            lifetime=int(pair["expires_in"]),
        ),
        TokenCard(
            name="Refresh token",
            raw=refresh_token,
            purpose="For the next pair, once",
            state=_state(RefreshToken, refresh_token),
        ),
    ]


def _state(model: type[AccessToken | RefreshToken], raw: str) -> str:
    token = model.objects.filter(digest=crypto.digest(raw)).select_related("grant__application", "grant__user").first()
    return "unknown" if token is None else state_of(token)


def state_of(token: AccessToken | RefreshToken) -> str:
    now = timezone.now()
    if token.is_live_at(now):
        return "active"
    if isinstance(token, RefreshToken) and token.is_spent:
        return "spent"
    if isinstance(token, AccessToken) and token.generation < token.grant.access_floor:
        return "replaced"
    return token.grant.end_reason(now) or ("expired" if token.expires_at <= now else "inactive")
