import pytest

from tests.factories import GrantFactory
from tests.web.pages import signed_in, url


@pytest.fixture
def browser(user):
    return signed_in(user)


@pytest.fixture
def strict_browser(user):
    """A browser that is signed in, and whose forms are checked."""
    return signed_in(user, enforce_csrf_checks=True)


@pytest.fixture(params=[True, False], ids=["with the middleware", "without the middleware"])
def csrf_middleware(request, settings):
    if not request.param:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "csrf" not in name]


@pytest.fixture
def session(user):
    return GrantFactory(user=user, application__name="Notebook")


@pytest.fixture(params=["applications", "application_revoke", "applications_revoke"])
def address(request, session):
    """The address of each page in turn, for a user with one session."""
    return url(request.param, *([session.public_id] if request.param == "application_revoke" else []))
