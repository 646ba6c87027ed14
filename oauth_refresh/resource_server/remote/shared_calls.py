"""One request to the server for all threads that need the same answer at the same time."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

from oauth_refresh.resource_server.remote.errors import Unavailable

T = TypeVar("T")


class SharedCalls(Generic[T]):
    """Calls that are under way, by what they ask for. ``longest``: how many seconds others wait for one."""

    def __init__(self, *, longest: float) -> None:
        self._longest = longest
        self._lock = Lock()
        self._under_way: dict[Hashable, Future[T]] = {}

    def run(self, key: Hashable, call: Callable[[], T]) -> T:
        """Return the result of ``call``, or of the same call that another thread is making. Raises what it raises.

        If the call of the other thread ends by another exception, such as that of a worker that is stopped, this
        raises Unavailable.
        """
        with self._lock:
            other = self._under_way.get(key)
            if other is None:
                self._under_way[key] = Future()
        if other is not None:
            return self._result(other)
        try:
            result = call()
        except BaseException as error:
            self._remove(key).set_exception(error if isinstance(error, Unavailable) else Unavailable("Interrupted."))
            raise
        self._remove(key).set_result(result)
        return result

    def _remove(self, key: Hashable) -> "Future[T]":
        """Remove the call before its result is set: requests that come later need a newer answer."""
        with self._lock:
            return self._under_way.pop(key)

    def _result(self, other: "Future[T]") -> T:
        try:
            return other.result(self._longest)
        except TimeoutError:
            raise Unavailable("Another thread has been asking for too long.") from None
        except Unavailable as error:
            raise type(error)(*error.args) from None  # one for each thread: raising it changes its traceback
