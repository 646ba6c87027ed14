import pytest

from tests.admin.pages import browser
from tests.factories import UserFactory


@pytest.fixture
def superuser(db):
    return UserFactory(username="boss", is_staff=True, is_superuser=True)


@pytest.fixture
def admin_browser(superuser):
    """The browser of a superuser."""
    return browser(superuser)
