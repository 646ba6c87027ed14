"""Post the notices of revocations to the receivers of the project, such as gateways that keep answers of their own.

Each notice is posted at once, and once more when it is settled: an answer of introspection that was on its way may
have been kept after the first post, and a revocation may be committed after later ones. Only the second is remembered
in the database, so after a restart at most the notices of the last seconds are posted once more than that.
"""

import hmac
import json
import logging
import socket
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum, auto
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Event, Timer
from typing import Any
from urllib.parse import urlsplit

from django.db import connections
from django.db.models import QuerySet
from django.utils import timezone

from oauth_refresh.conf import app_settings
from oauth_refresh.conf.receivers import Receiver
from oauth_refresh.crypto import digest
from oauth_refresh.models import RevocationNotice, RevocationReceiver
from oauth_refresh.services.db import db_alias
from oauth_refresh.services.revocation_feed import NOTICE_RETENTION, last_settled

INTERVAL_SECONDS = 0.5
# Ten thousand revocations are a hundred posts; and a receiver that empties a cache entry by entry is done in time.
BATCH_SIZE = 100
_TIMEOUT_SECONDS = 5.0
# A process that was killed while it posted holds up the others for so long. Longer than a post takes.
_LEASE = timedelta(seconds=15)
_FIRST_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(minutes=1)
_DOUBLINGS = 6  # after so many the pause is the longest

logger = logging.getLogger(__name__)


class Step(Enum):
    """The result of one look at the notices: nothing to post, posted, or it must wait."""

    IDLE = auto()
    POSTED = auto()
    WAITING = auto()


def push_revocations(
    *, once: bool = False, interval: float = INTERVAL_SECONDS, stop: Event | None = None
) -> tuple[str, ...]:
    """Post notices to every receiver until ``stop`` is set, looking for new ones each ``interval`` seconds.

    ``once``: end when every receiver has all, or did not accept. Each receiver has a thread, so that none waits for
    another. Return the hosts of those that wait for notices. Raises DatabaseError; run it again then.
    """
    receivers = app_settings.revocation_receivers
    if not receivers:
        return ()
    stop = stop or Event()
    with ThreadPoolExecutor(len(receivers), thread_name_prefix="oauth_refresh_push") as pool:
        deliveries = [
            pool.submit(Delivery(receiver).run, once=once, interval=interval, stop=stop) for receiver in receivers
        ]
        try:
            wait(deliveries, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
    return tuple(one.host for one, delivery in zip(receivers, deliveries, strict=True) if not delivery.result())


class Delivery:
    """Posts to one receiver. It knows which recent notices it has posted already; all else is in the database."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._recent: set[int] = set()

    def run(self, *, once: bool, interval: float, stop: Event) -> bool:
        """Post until ``stop`` is set, or with ``once`` until it must wait. Return whether the receiver has all."""
        try:
            while True:
                step = self.step()
                if stop.is_set() or (step is not Step.POSTED and (once or stop.wait(interval))):
                    return step is Step.IDLE
        finally:
            connections[db_alias()].close()

    def step(self) -> Step:
        """Post the next batch, if there is one and nothing forbids it. No transaction is open meanwhile."""
        row = self._row()
        settled_until = last_settled()
        fresh = self._fresh(max(settled_until, row.position))
        settled = self._settled(row, until=settled_until, limit=BATCH_SIZE - len(fresh))
        if not fresh and not settled:
            return Step.IDLE
        now = timezone.now()
        # Conditional, so that of several processes one posts; the others look again.
        claimed = _rows().filter(pk=row.pk, position=row.position, next_attempt_at__lte=now)
        if not claimed.update(next_attempt_at=now + _LEASE):
            return Step.WAITING
        misses_some = _misses_some(row, now=now)
        everything: dict[str, object] = {"all": True}
        entries = [everything] if misses_some else [notice.entry for notice in (*fresh, *settled)]
        if error := _post(self._receiver, entries):
            self._record_failure(row, error)
            return Step.WAITING
        self._record_success(row, position=settled_until if misses_some else max([row.position, *_keys(settled)]))
        self._recent.update(_keys(fresh))
        return Step.POSTED

    def _row(self) -> RevocationReceiver:
        """Return the stored cursor. A new one lies where that of a new reader of the feed does."""
        name = digest(self._receiver.url)
        row = _rows().filter(url_digest=name).first()
        return row or _rows().get_or_create(url_digest=name, defaults={"position": last_settled()})[0]

    def _fresh(self, position: int) -> list[RevocationNotice]:
        """Return notices that are not settled and were not posted by this process, oldest first."""
        notices = RevocationNotice.objects.using(db_alias()).filter(pk__gt=position).order_by("pk")
        keys = list(notices.values_list("pk", flat=True))
        self._recent.intersection_update(keys)
        unposted = [key for key in keys if key not in self._recent]
        return list(notices.filter(pk__in=unposted[:BATCH_SIZE])) if unposted else []

    @staticmethod
    def _settled(row: RevocationReceiver, *, until: int, limit: int) -> list[RevocationNotice]:
        notices = RevocationNotice.objects.using(db_alias()).filter(pk__gt=row.position, pk__lte=until)
        return list(notices.order_by("pk")[:limit])

    def _record_success(self, row: RevocationReceiver, *, position: int) -> None:
        now = timezone.now()
        # Not backwards: after the lease, another process may have posted more.
        _rows().filter(pk=row.pk, position__lte=position).update(
            position=position, attempts=0, last_error="", delivered_at=now, next_attempt_at=now
        )
        if row.attempts:
            logger.info("Revocations are accepted by %s again, after %d attempts.", self._receiver.host, row.attempts)

    def _record_failure(self, row: RevocationReceiver, error: str) -> None:
        now, attempts = timezone.now(), row.attempts + 1
        pause = min(_FIRST_PAUSE * 2 ** min(row.attempts, _DOUBLINGS), _LONGEST_PAUSE)
        _rows().filter(pk=row.pk).update(
            attempts=attempts, last_error=error, failed_at=now, next_attempt_at=now + pause
        )
        # The host alone: the path of a URL may hold a secret.
        logger.warning(
            "Revocations could not be posted to %s: %s. Attempt %d; the next one in %.0f s.",
            *(self._receiver.host, error, attempts, pause.total_seconds()),
        )


def _rows() -> QuerySet[RevocationReceiver]:
    return RevocationReceiver.objects.using(db_alias())


def _keys(notices: Iterable[RevocationNotice]) -> list[int]:
    return [notice.pk for notice in notices]


def _misses_some(row: RevocationReceiver, *, now: datetime) -> bool:
    """Whether notices may have been pruned that the receiver has not got. None is pruned before it is a day old."""
    if now - (row.delivered_at or row.created_at) < NOTICE_RETENTION:
        return False
    left = RevocationNotice.objects.using(db_alias()).filter(pk__gte=row.position).order_by("pk")
    oldest = left.values_list("pk", flat=True).first()
    return oldest is not None and oldest > row.position + 1


def _post(receiver: Receiver, entries: list[dict[str, object]]) -> str:
    """Post the entries; return the kind of failure, or an empty text if they were accepted.

    Only a status 2xx counts, so a redirect is a failure and never followed. Private addresses are allowed: the URL is
    of the project's own settings, and gateways are inside its network. The body of the answer is not read.
    """
    parts = urlsplit(receiver.url)
    connection_class = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connection_class(str(parts.hostname), parts.port, timeout=_TIMEOUT_SECONDS)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    body = json.dumps({"revocations": entries}, separators=(",", ":")).encode()
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    # The timeout of the connection is for one read; a receiver that sends single bytes would never reach it.
    timer = Timer(_TIMEOUT_SECONDS, _shut_down, [connection])
    timer.start()
    try:
        connection.request("POST", target, body, _headers(receiver.secret, body))
        status = connection.getresponse().status
        error = "" if 200 <= status < 300 else f"HTTP {status}"  # noqa: PLR2004  the class of statuses that accept
    except (OSError, HTTPException, UnicodeError) as failure:  # UnicodeError: a name that cannot be one of a host
        error = type(failure).__name__
    finally:
        timer.cancel()
        connection.close()
    # Headers that are cut off look like an answer that has ended.
    return error if time.monotonic() < deadline else "TimeoutError"


def _headers(secret: str, body: bytes) -> dict[str, str]:
    """Return the headers of a post; the signature covers the time too, so that an old post cannot be sent again."""
    timestamp = str(int(time.time()))
    signature = hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "Connection": "close",
        "OAuth-Refresh-Timestamp": timestamp,
        "OAuth-Refresh-Signature": f"sha256={signature}",
    }


def _shut_down(connection: Any) -> None:
    """End a read that the other thread is in."""
    with suppress(OSError, AttributeError):  # AttributeError: there is no socket before it is connected
        connection.sock.shutdown(socket.SHUT_RDWR)
