import pytest

from tests.factories import GrantFactory
from tests.user_pages.pages import signed_in, url


@pytest.fixture
def browser(user):
    return signed_in(user)


@pytest.fixture
def grant(user):
    return GrantFactory(user=user, application__name="Notebook")


@pytest.fixture(params=["applications", "application_revoke", "applications_revoke"])
def address(request, grant):
    """The address of each page in turn, for a user with one grant."""
    return url(request.param, *([grant.public_id] if request.param == "application_revoke" else []))
