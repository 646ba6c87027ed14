"""What is known of a spent refresh token that is presented again: how long after, and by whom; and its event."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from oauth_refresh.conf import app_settings
from oauth_refresh.http import NO_CLIENT_INFO, ClientInfo
from oauth_refresh.models import GrantEvent, RefreshToken
from oauth_refresh.models.retry_slots import MOST_SLOTS, read_slots
from oauth_refresh.services.db import atomic_write, db_alias, retry_serialization_failure
from oauth_refresh.services.lookup import PresentedRefreshToken

_CALLERS = {True: "by the same caller", False: "by another caller", None: "by an unknown caller"}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SpentToken:
    """A spent token that was presented again, by ``client_info`` at ``now``, and the tokens that succeeded it.

    ``successors``: the rows of the next generations, the oldest first and no more than there can be slots.
    """

    presented: PresentedRefreshToken
    successors: tuple[RefreshToken, ...]
    client_info: ClientInfo
    now: datetime

    @property
    def seconds_since_spent(self) -> float | None:
        return None if self.since_spent is None else self.since_spent.total_seconds()

    @property
    def since_spent(self) -> timedelta | None:
        """How long ago it was spent: when its successor was issued. None if that row is gone, or was imported."""
        return self.now - self._successor.created_at if self._successor is not None else None

    @property
    def same_caller(self) -> bool | None:
        """Whether address and user agent are those of the refresh that spent it; None where one is not recorded."""
        if self._successor is None:
            return None
        spender = ClientInfo(address=self._successor.address, user_agent=self._successor.user_agent)
        return None if NO_CLIENT_INFO in (spender, self.client_info) else spender == self.client_info

    @property
    def _successor(self) -> RefreshToken | None:
        """Return the row that tells by whom it was spent, and when. Another server did not say that when it was."""
        next_generation, imported = self.presented.generation + 1, self.presented.grant.imported_generation
        first = self.successors[0] if self.successors else None
        return first if first is not None and first.generation == next_generation > imported else None

    @property
    def may_retry(self) -> bool:
        """Whether the application may repeat its refreshes, and the window of this one is open."""
        application = self.presented.grant.application
        window = application.effective("retry_window") if application.rotates else timedelta(0)
        # The clocks of several machines differ a little, so the refresh may lie ahead; but not by more than the window:
        # one that a wrong clock dated ahead would otherwise stay open until then.
        return bool(window) and self.since_spent is not None and abs(self.since_spent) < window

    @property
    def may_have_been_told_to_wait(self) -> bool:
        """Whether the answer inside the window may have been 429, after which a late repetition is no sign of theft."""
        grant = self.presented.grant
        was_open = any(slot.generation == self.presented.generation for slot in read_slots(grant.retry_slots))
        window = grant.application.effective("retry_window")
        return bool(window) and was_open and grant.retries >= app_settings.retry_limit


def find_successors(presented: PresentedRefreshToken, *, client_info: ClientInfo, now: datetime) -> SpentToken:
    """Return what there is to know of a spent token. One statement."""
    rows = RefreshToken.objects.using(db_alias()).filter(
        grant=presented.grant, generation__gt=presented.generation, generation__lte=presented.generation + MOST_SLOTS
    )
    return SpentToken(
        presented=presented, successors=tuple(rows.order_by("generation")), client_info=client_info, now=now
    )


@retry_serialization_failure
def record_refusal(spent: SpentToken) -> None:
    """Write that a repetition was refused without revoking the grant."""
    with atomic_write():
        record_event(GrantEvent.Kind.REFUSED, spent)


def record_event(kind: GrantEvent.Kind, spent: SpentToken) -> GrantEvent:
    """Write an event: a refresh token was presented that was spent before, from this client."""
    event = GrantEvent(
        grant=spent.presented.grant,
        kind=kind,
        generation=spent.presented.generation,
        address=spent.client_info.address,
        user_agent=spent.client_info.user_agent,
        seconds_since_spent=spent.seconds_since_spent,
        same_caller=spent.same_caller,
    )
    event.save(using=db_alias(), force_insert=True)
    return event


def circumstances(event: GrantEvent) -> str:
    """Return for the log how long after it was spent the token was presented again, and by whom."""
    seconds = event.seconds_since_spent
    since = "" if seconds is None else f"{seconds:.0f} seconds "
    return f"{since}after it was spent, {_CALLERS[event.same_caller]}"
