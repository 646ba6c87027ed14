"""Log lines of a failure that every request meets: one of each kind in ten seconds."""

import logging
import time
from threading import Lock

logger = logging.getLogger("oauth_refresh.resource_server.remote")

PAUSE_SECONDS = 10


class RareLog:
    """The log of one API. Its lines hold the client ID of the API, and nothing that was sent or received."""

    def __init__(self, *, client_id: str) -> None:
        self._client_id = client_id
        self._lock = Lock()
        self._silent_until: dict[str, float] = {}

    def credentials_refused(self) -> None:
        self._write(
            "credentials",
            logging.ERROR,
            "The authorization server refuses the credentials of the client %s, or it is not a resource server.",
            self._client_id,
        )

    def warn(self, kind: str, message: str, *arguments: object) -> None:
        self._write(kind, logging.WARNING, message, *arguments)

    def _write(self, kind: str, level: int, message: str, *arguments: object) -> None:
        now = time.monotonic()
        with self._lock:
            if now < self._silent_until.get(kind, now):
                return
            self._silent_until[kind] = now + PAUSE_SECONDS
        logger.log(level, message, *arguments)
