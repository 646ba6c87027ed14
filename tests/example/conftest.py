"""The example's own pages, served by a real process: the client on them talks HTTP to the server that serves them."""

import pytest
from django.db import connections
from environ import Env

from oauth_refresh.models import Grant
from tests.example.visitor import Visitor
from tests.flows.server import manage

DEMO_DATA = "from example_project.demo.data import create_demo_data; create_demo_data()"


@pytest.fixture(scope="module")
def shell(database_url):
    """Return how to run a script in a process of the site's."""

    def shell(script):
        result = manage("shell", "--verbosity", "0", "--command", script, database_url=database_url)
        assert result.returncode == 0, result.stderr

    return shell


@pytest.fixture(scope="module")
def site(origin, shell):
    """Serve the demonstration, and yield its origin."""
    shell(DEMO_DATA)
    return origin


@pytest.fixture(scope="module")
def grants(database_url, django_db_blocker):
    """The grants in the site's database, which is not that of the tests."""
    connections.settings["site"] = connections["default"].settings_dict | {
        "NAME": Env.db_url_config(database_url)["NAME"]
    }
    with django_db_blocker.unblock():
        yield Grant.objects.using("site").select_related("application", "user")
        connections["site"].close()
    del connections["site"], connections.settings["site"]


@pytest.fixture
def newest_grant(grants):
    """Return how to read the grant that was started last."""

    def newest_grant():
        grant = grants.latest("pk")
        return {
            "client_id": grant.application.client_id,
            "generation": grant.generation,
            "is_live": grants.live().filter(pk=grant.pk).exists(),  # a row would ask for the key of the site, too
            "reason": grant.revoked_reason,
            "events": [event.kind for event in grant.events.order_by("pk")],
            "scopes": [token.scope for token in grant.access_tokens.order_by("generation")],
        }

    return newest_grant


@pytest.fixture
def visitor(site):
    """A browser without JavaScript, of somebody who is not signed in."""
    with Visitor(site) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def demo_cookies(site):
    """What a browser has where demo is signed in: signing in is slow on purpose."""
    with Visitor(site) as visitor:
        visitor.open("/login/").press(None, None)
        return visitor.cookies.copy()


@pytest.fixture
def demo(visitor, demo_cookies):
    """A browser where demo is signed in."""
    visitor.cookies.update(demo_cookies)
    return visitor


@pytest.fixture
def strict(demo):
    """A browser whose client has just connected: the strict one."""
    return demo.connect("strict")


@pytest.fixture
def alone(visitor):
    """The same with a sign-in of its own, which the test may end: to sign in as somebody else ends it."""
    visitor.open("/login/").press(None, None)
    return visitor.connect("strict")


@pytest.fixture
def patient(demo):
    """A browser whose client has just connected: the one with a retry window."""
    return demo.connect("patient")
