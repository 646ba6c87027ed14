import pytest

from tests.factories import ApplicationFactory, UserFactory
from tests.oauth import OAuthClient

SECRET = "a-client-secret-of-more-than-22-characters"


@pytest.fixture
def user(db):
    return UserFactory()


@pytest.fixture
def application(db):
    """A confidential application; its secret is ``tests.conftest.SECRET``."""
    return ApplicationFactory(raw_secret=SECRET)


@pytest.fixture
def public_application(db):
    return ApplicationFactory(public=True)


@pytest.fixture
def client_app(application, user):
    """A confidential client that holds a live pair."""
    return OAuthClient(application, SECRET).start(user=user)


@pytest.fixture
def public_client(public_application, user):
    """A public client that holds a live pair."""
    return OAuthClient(public_application).start(user=user)
