"""Fixtures for the example project, served by a process of its own: the playground's client sends it HTTP requests."""

import pytest
from django.db import connections
from environ import Env

from oauth_refresh.models import Grant
from tests.example.visitor import Visitor
from tests.server import free_port, manage

DEMO_DATA = "from example_project.demo.data import create_demo_data; create_demo_data()"


@pytest.fixture(scope="module")
def far_port():
    """The port where the site takes the far API to be. Nothing listens there unless a test starts it."""
    port = free_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FAR_API_URL", f"http://127.0.0.1:{port}/")
        yield port


@pytest.fixture(scope="module")
def origin(far_port, origin):
    """Serve the example project in the environment that ``far_port`` has set."""
    return origin


@pytest.fixture(scope="module")
def shell(database_url):
    """Return a function that runs a script in ``manage.py shell`` of the site."""

    def shell(script):
        result = manage("shell", "--verbosity", "0", "--command", script, database_url=database_url)
        assert result.returncode == 0, result.stderr

    return shell


@pytest.fixture(scope="module")
def create_demo_data(shell):
    """Return a function that creates the data of the demonstration, or repairs it."""
    return lambda: shell(DEMO_DATA)


@pytest.fixture(scope="module")
def site(origin, create_demo_data):
    """Create the data of the demonstration, and return the origin of the running site."""
    create_demo_data()
    return origin


@pytest.fixture(scope="module")
def grants(database_url, django_db_blocker):
    """The grants in the database of the site, which is not the database of the tests."""
    connections.settings["site"] = connections["default"].settings_dict | {
        "NAME": Env.db_url_config(database_url)["NAME"]
    }
    with django_db_blocker.unblock():
        yield Grant.objects.using("site").select_related("application", "user")
        connections["site"].close()
    del connections["site"], connections.settings["site"]


@pytest.fixture
def newest_grant(grants):
    """Return a function that reads the grant that was started last."""

    def newest_grant():
        grant = grants.latest("pk")
        return {
            "client_id": grant.application.client_id,
            "generation": grant.generation,
            "is_live": grants.live()
            .filter(pk=grant.pk)
            .exists(),  # Grant.is_live would need the SECRET_KEY of the site
            "reason": grant.revoked_reason,
            "events": [event.kind for event in grant.events.order_by("pk")],
            "scopes": [token.scope for token in grant.access_tokens.order_by("generation")],
        }

    return newest_grant


@pytest.fixture
def visitor(site):
    """A browser without JavaScript, not signed in."""
    with Visitor(site) as visitor:
        yield visitor


@pytest.fixture(scope="module")
def demo_cookies(site):
    """The cookies of a browser in which demo is signed in, for the whole module: hashing the password takes time."""
    with Visitor(site) as visitor:
        visitor.open("/login/").press(None, None)
        return visitor.cookies.copy()


@pytest.fixture
def demo(visitor, demo_cookies):
    """A browser in which demo is signed in."""
    visitor.cookies.update(demo_cookies)
    return visitor


@pytest.fixture
def strict(demo):
    """A browser whose client without a retry window has just connected."""
    return demo.connect("strict")


@pytest.fixture
def own_sign_in(visitor):
    """The same with a session of its own, since signing in as another user deletes the session."""
    visitor.open("/login/").press(None, None)
    return visitor.connect("strict")


@pytest.fixture
def retrying(demo):
    """A browser whose client with a retry window has just connected."""
    return demo.connect("retry")
