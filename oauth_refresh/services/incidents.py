"""Write down what is out of the ordinary in a grant's life."""

from oauth_refresh.models import ClientInfo, GrantEvent
from oauth_refresh.services.lookup import PresentedRefreshToken
from oauth_refresh.services.transactions import write_alias


def record(kind: GrantEvent.Kind, presented: PresentedRefreshToken, *, client_info: ClientInfo) -> None:
    """Store that a refresh token was presented as it should not be, or need not have been, and by whom."""
    GrantEvent(
        grant=presented.grant,
        kind=kind,
        generation=presented.generation,
        address=client_info.address,
        user_agent=client_info.user_agent,
    ).save(using=write_alias(), force_insert=True)
