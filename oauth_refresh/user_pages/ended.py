"""The connections of a user that ended lately, and why, as users read it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Coalesce, Least
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from oauth_refresh.models import Grant, RevocationReason
from oauth_refresh.services.db import db_alias

_LATELY = timedelta(days=30)
_MOST_SHOWN = 10

_STAFF_ENDED_IT = _("The staff of this site ended it.")  # what they wrote is for themselves
_REASONS = {
    RevocationReason.CODE_REPLAYED: _(
        "Its sign-in code was used twice, so a copy may have been stolen. It was ended for your safety."
    ),
    RevocationReason.CLIENT_REQUEST: _("The application ended it."),
    RevocationReason.USER_REQUEST: _("You disconnected it."),
    RevocationReason.REUSE_DETECTED: _(
        "An access code that had already been used was sent again, so someone may have copied it. It was ended for "
        "your safety."
    ),
    RevocationReason.USER_DEACTIVATED: _("Your account was deactivated."),
    RevocationReason.PASSWORD_CHANGED: _("Your password was changed."),
    RevocationReason.APPLICATION_DEACTIVATED: _("This site does not allow the application any more."),
    RevocationReason.CREDENTIALS_WITHDRAWN: _("This site withdrew the password or key of the application."),
}
_ALARMS = frozenset({RevocationReason.CODE_REPLAYED, RevocationReason.REUSE_DETECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedConnection:
    """A grant that ended at ``ended_at``. ``is_alarm``: because someone else may have held its tokens."""

    grant: Grant
    ended_at: datetime
    reason: Any
    is_alarm: bool


def ended_lately(user: Any) -> list[EndedConnection]:
    """Return the user's grants that ended in the last thirty days, at most ten, newest first. One statement."""
    now = timezone.now()
    started = Grant.objects.using(db_alias()).for_user(user).filter(generation__gt=0)
    expiry = Least("idle_expires_at", Coalesce("expires_at", "idle_expires_at"))
    ended = started.annotate(ended_at=Coalesce("revoked_at", expiry)).filter(
        ended_at__lte=now, ended_at__gt=now - _LATELY
    )
    return [
        _describe(grant) for grant in ended.select_related("application").order_by("-ended_at", "-pk")[:_MOST_SHOWN]
    ]


def _describe(grant: Any) -> EndedConnection:
    if grant.revoked_at is not None:
        reason = _REASONS.get(grant.revoked_reason, _STAFF_ENDED_IT)
    elif grant.idle_expires_at == grant.ended_at != grant.expires_at:
        reason = _("It was not used for long.")
    else:
        reason = _("It had lasted as long as a connection may. Connect the application again to go on.")
    is_alarm = grant.revoked_at is not None and grant.revoked_reason in _ALARMS
    return EndedConnection(grant=grant, ended_at=grant.ended_at, reason=reason, is_alarm=is_alarm)
