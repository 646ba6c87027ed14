"""The thread that reads the server's feed of revocations, one in each process."""

import time
from contextlib import suppress
from threading import Event, Lock, Thread

from oauth_refresh.resource_server.remote.errors import CredentialsRefused, CursorRefused, Unavailable
from oauth_refresh.resource_server.remote.memory import Memory
from oauth_refresh.resource_server.remote.rare_log import RareLog
from oauth_refresh.resource_server.remote.server import AuthorizationServer


class Feed:
    """Reads the feed every ``interval`` seconds, and lets the memory drop what it names.

    ``refusal``: set while the server refuses the credentials of this API, whose kept answers then do not count either.
    """

    def __init__(self, server: AuthorizationServer, memory: Memory, *, interval: float, log: RareLog) -> None:
        self.refusal: CredentialsRefused | None = None
        self.polls = 0
        self._server, self._memory, self._interval, self._log = server, memory, interval, log
        self._cursor: str | None = None
        self._lock = Lock()
        self._stopped = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread if it does not run: at the first request of a process, or if an error has ended it.

        If the system allows no further thread, the next request tries again; until then no kept answer counts.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if not self._stopped.is_set() and (self._thread is None or not self._thread.is_alive()):
                self._thread = Thread(target=self._run, name="oauth_refresh feed", daemon=True)
                with suppress(RuntimeError):
                    self._thread.start()

    def stop(self) -> None:
        """Let the thread end. It does not start again."""
        self._stopped.set()

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended."""
        if self._thread is not None and self._thread.ident is not None:
            self._thread.join(timeout)

    def poll(self) -> None:
        """Read the feed once, to its last page, and apply it. Raises Unavailable."""
        began_at = time.monotonic()
        more = True
        while more:
            page = self._server.revocations(after=self._cursor)
            # What was asked before this moment may have been judged before the revocations of this page.
            arrived_at = time.monotonic()
            if self._cursor is None or page.ends_everything:  # what was revoked before the first cursor is not known
                self._memory.drop_everything(at=arrived_at)
            self._memory.drop(page.names, at=arrived_at)
            if page.has_unknown_kind:
                self._begin_anew()
                raise Unavailable("The feed names a kind of revocation that is not known here.")
            if page.more and page.cursor == self._cursor:
                raise Unavailable("The feed has a further page, but its cursor has not changed.")
            self._cursor, more = page.cursor, page.more
        self._memory.polled(began_at=began_at)
        self.polls += 1
        self.refusal = None

    def _run(self) -> None:
        while not self._stopped.is_set():
            began_at = time.monotonic()
            try:
                self.poll()
            except CredentialsRefused as refusal:
                self.refusal = refusal
                self._log.credentials_refused()
            except CursorRefused:
                self._begin_anew()
            except Unavailable as error:
                self._log.warn("feed", "The feed of revocations cannot be read: %s", error)
            self._stopped.wait(max(0.0, began_at + self._interval - time.monotonic()))

    def _begin_anew(self) -> None:
        self._cursor = None
        self._memory.drop_everything(at=time.monotonic())
