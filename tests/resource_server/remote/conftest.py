"""A server of tokens and revocations, and APIs that check tokens there."""

import pytest

from oauth_refresh.resource_server.remote import RemoteTokens
from tests.feed_server import serving


@pytest.fixture
def feed_server():
    with serving() as server:
        yield server


@pytest.fixture
def remote():
    """Return a function that makes RemoteTokens, and close all of them at the end."""
    made = []

    def make(server, **options):
        made.append(RemoteTokens(**server.settings(**{"poll_interval": 0.05, "max_lag": 60, "timeout": 30} | options)))
        return made[-1]

    yield make
    for tokens in made:
        tokens.close()


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock that stands still in ``memory``; ``clock.now`` may be changed."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    made = Clock()
    monkeypatch.setattr("oauth_refresh.resource_server.remote.memory.time", made)
    return made
