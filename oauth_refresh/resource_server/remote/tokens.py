"""``RemoteTokens``: whether an access token of an authorization server elsewhere is active."""

import hashlib
import os
import re
import time
import weakref
from threading import Lock
from typing import Any

from oauth_refresh.resource_server.remote.answers import RemoteToken
from oauth_refresh.resource_server.remote.errors import CredentialsRefused, Unavailable
from oauth_refresh.resource_server.remote.feed import Feed
from oauth_refresh.resource_server.remote.memory import MISSING, Memory
from oauth_refresh.resource_server.remote.options import problems
from oauth_refresh.resource_server.remote.rare_log import RareLog
from oauth_refresh.resource_server.remote.server import AuthorizationServer
from oauth_refresh.resource_server.remote.shared_calls import SharedCalls

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1
_ATTEMPTS = 3


class RemoteTokens:
    """Checks access tokens for an API on another machine. Make one in a process, and share it between its threads.

    A token is introspected once, and the answer is kept for at most ``max_age`` seconds, never beyond its expiry. A
    thread reads the server's feed of revocations every ``poll_interval`` seconds, and kept answers which it names do
    not count any longer. If the last successful reading began more than ``max_lag`` seconds ago, no kept answer counts:
    each request introspects, and if that fails too, ``check`` raises Unavailable. A kept answer
    is never used beyond these limits.

    ``issuer``: its metadata (RFC 8414) name the endpoints. ``client_id``, ``client_secret``: of an application that is
    marked as a resource server there. ``resource``: what ``aud`` must contain, if given. ``timeout``: seconds for one
    request to the server, all of it. Raises ValueError if one of them cannot be used.

    The thread starts with the first token, and again in a process that was forked; it ends with the process.
    """

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        resource: str | None = None,
        max_age: float = 30,
        poll_interval: float = 0.5,
        max_lag: float = 2,
        timeout: float = 2,
    ) -> None:
        options: dict[str, Any] = {
            "issuer": issuer,
            "client_id": client_id,
            "client_secret": client_secret,
            "resource": resource,
            "max_age": max_age,
            "poll_interval": poll_interval,
            "max_lag": max_lag,
            "timeout": timeout,
        }
        if found := problems(options):
            raise ValueError("; ".join(f"{name}: {problem}" for name, problem in found.items()))
        self._options = options
        self._begin()
        _instances.add(self)

    def check(self, raw: str) -> RemoteToken | None:
        """Return the active token that ``raw`` is, or None. Raises Unavailable if that cannot be known now.

        It takes no request to the server while a kept answer counts. Otherwise it waits for one, at most ``timeout``.
        """
        refusal = self._feed.refusal  # read once: the thread, which is started here, may set it back at any moment
        if refusal is not None:
            self._feed.start()  # only the thread finds out that the credentials are accepted again
            raise self._unavailable(refusal)
        key = hashlib.sha256(raw.encode(errors="surrogatepass")).digest()
        found = self._memory.find(key)
        return self._ask(raw, key) if found is MISSING else found

    def state(self) -> dict[str, Any]:
        """Return how it is doing, for a health check; every value can be written as JSON.

        ``feed_age``: seconds since the last successful reading of the feed began, None before the first;
        ``feed_is_fresh``: whether kept answers count; ``credentials_are_refused``; ``active`` and ``inactive``: how
        many answers are kept. Counted since the process began: ``polls``, ``introspections``, ``stale_refusals`` (kept
        answers that were not used because the feed was not fresh), ``unavailable`` (tokens that could not be checked).
        """
        return {
            "feed_age": self._memory.feed_age if self._feed.polls else None,
            "feed_is_fresh": self._memory.is_fresh,
            "credentials_are_refused": self._feed.refusal is not None,
            "active": len(self._memory),
            "inactive": self._memory.inactive_count,
            "polls": self._feed.polls,
            "introspections": self._introspections,
            "stale_refusals": self._memory.stale_refusals,
            "unavailable": self._unavailable_count,
        }

    def close(self) -> None:
        """End the thread and close the connections. Nothing can be checked after it."""
        self._feed.stop()
        self._feed.join(2 * self._timeout)
        self._server.close()

    def _begin(self) -> None:
        """Begin with nothing: no lock, connection or thread of the process that forked this one may be used."""
        options = self._options
        # An answer that took longer could be from before a revocation that is older than ``max_lag``.
        self._timeout = min(options["timeout"], options["max_lag"])
        self._introspections = self._unavailable_count = 0
        self._may_ask = False  # whether the server treats this API as a resource server
        self._count_lock = Lock()
        self._log = RareLog(client_id=options["client_id"])
        self._server = AuthorizationServer(
            issuer=options["issuer"],
            client_id=options["client_id"],
            client_secret=options["client_secret"],
            timeout=self._timeout,
        )
        self._memory = Memory(max_age=options["max_age"], max_lag=options["max_lag"])
        self._shared_calls: SharedCalls[RemoteToken | None] = SharedCalls(longest=(_ATTEMPTS + 1) * self._timeout)
        self._feed = Feed(self._server, self._memory, interval=options["poll_interval"], log=self._log)
        # The thread holds the feed alone, so that it also ends when this object is no longer used.
        self._finalizer = weakref.finalize(self, self._feed.stop)

    def _begin_in_child(self) -> None:
        self._finalizer.detach()  # its event belongs to a thread of the parent
        self._begin()

    def _ask(self, raw: str, key: bytes) -> RemoteToken | None:
        if self._options["max_age"]:
            self._feed.start()
        if _TOKEN.fullmatch(raw) is None:
            return None
        try:
            if not self._server.metadata().may_be_token(raw):
                return None
            return self._shared_calls.run(key, lambda: self._introspect(raw, key))
        except Unavailable as error:
            raise self._unavailable(error) from None

    def _introspect(self, raw: str, key: bytes) -> RemoteToken | None:
        """Introspect, and keep the answer; again if a notice about the token arrived meanwhile."""
        for _attempt in range(_ATTEMPTS):
            asked_at = time.monotonic()
            with self._count_lock:
                self._introspections += 1
            answer = self._server.introspect(raw, resource=self._options["resource"])
            if answer.token is None:
                self._require_resource_server()
            if answer.token is None or not self._memory.was_named_since(answer.token, asked_at):
                if self._options["max_age"]:
                    self._memory.keep(key, answer, asked_at=asked_at)
                return answer.token
        raise Unavailable("The feed named the token each time it was introspected.")

    def _require_resource_server(self) -> None:
        """Make sure that "not active" is about the token. Raises Unavailable.

        A client that is no resource server gets that answer for every token of other clients, which would then throw
        their tokens away. The feed refuses such a client.
        """
        if not self._may_ask and not self._feed.polls:
            self._server.revocations(after=None)
        self._may_ask = True

    def _unavailable(self, error: Unavailable) -> Unavailable:
        """Log the error, and return one of this thread's own."""
        with self._count_lock:
            self._unavailable_count += 1
        if isinstance(error, CredentialsRefused):
            self._log.credentials_refused()
        else:
            self._log.warn("introspection", "A token cannot be checked: %s", error)
        return Unavailable(*error.args)


_instances: "weakref.WeakSet[RemoteTokens]" = weakref.WeakSet()


def _begin_in_child() -> None:
    for tokens in list(_instances):
        tokens._begin_in_child()  # noqa: SLF001  of this module


getattr(os, "register_at_fork", lambda **_hooks: None)(after_in_child=_begin_in_child)  # Windows cannot fork
