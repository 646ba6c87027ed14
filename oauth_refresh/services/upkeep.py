"""Whether what should run beside the server does: pruning, and the delivery of revocations to other APIs."""

from datetime import datetime

from django.db.models import F

from oauth_refresh.models import PruneRun, RefreshToken, RevocationNotice, RevocationReceiver
from oauth_refresh.services.pruning import RETENTION

MOST_DUE = 10_000


def last_prune_run() -> PruneRun | None:
    return PruneRun.objects.order_by("pk").last()


def refresh_tokens_due(now: datetime, run: PruneRun | None) -> int:
    """Return how many spent refresh tokens are older than the last run retained them; counts to ``MOST_DUE`` + 1."""
    before = now - (RETENTION if run is None else run.retain)
    due = RefreshToken.objects.filter(created_at__lt=before, grant__generation__gt=F("generation") + 1)
    return due.order_by()[: MOST_DUE + 1].count()


def notices_since(since: datetime) -> int:
    """Return how many revocations other APIs were informed of since then. They are stored for a day or more."""
    return RevocationNotice.objects.filter(created_at__gte=since).count()


def receivers_behind() -> list[RevocationReceiver]:
    """Return the receivers of the settings that failed last, or lack notices."""
    receivers = (receiver for receiver in RevocationReceiver.objects.order_by("pk") if receiver.host)
    return [receiver for receiver in receivers if receiver.attempts or receiver.waiting]
