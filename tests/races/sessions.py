"""The sessions that are raced for."""

from datetime import timedelta

from oauth_refresh.models import OPERATOR, Application
from oauth_refresh.services import IssuedTokens, issue_tokens
from tests.factories import ApplicationFactory, UserFactory


def begin(*, retry_window: timedelta | None = None) -> tuple[Application, IssuedTokens]:
    """Start a session of a public application of its own; return the application and the first pair."""
    application = ApplicationFactory(public=True, retry_window=retry_window)
    return application, issue_tokens(application, user=UserFactory(), grant_type=OPERATOR, scope="notes:read")
