"""A view accepts the tokens of both servers, as the guide shows it; ``tests/test_toolkit.py`` runs this."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.utils import timezone
from oauth2_provider.models import get_access_token_model
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from oauth_refresh.models import Grant
from tests.docs.pages import DOCS, blocks
from tests.factories import SECRET as NEW_SECRET
from tests.factories import ApplicationFactory
from tests.oauth import OAuthClient
from tests.toolkit.old import SECRET, OldClient, old_application

pytestmark = pytest.mark.django_db

[SHOWN] = [
    block for block in blocks(DOCS / "how-to" / "move-from-django-oauth-toolkit.md", "python") if "Either" in block
]


@pytest.fixture
def ask():
    """Return a function that asks the page's view with an access token."""
    page = {"__name__": __name__}
    exec(SHOWN, page)  # noqa: S102  the page's own text

    class NotesView(page["NotesView"]):
        required_scopes = ["notes:read"]

        def get(self, request):
            return Response()

    def ask(access_token):
        headers = {"Authorization": f"Bearer {access_token}"}
        return NotesView.as_view()(APIRequestFactory().get("/", headers=headers)).status_code

    return ask


@pytest.mark.parametrize(("scope", "status"), [("notes:read", HTTPStatus.OK), ("old", HTTPStatus.FORBIDDEN)])
def test_token_that_has_no_refresh_token_is_checked_by_the_old_server(ask, scope, status):
    expires = timezone.now() + timedelta(hours=1)
    get_access_token_model().objects.create(
        application=old_application(), token="of-a-machine", scope=scope, expires=expires
    )

    assert ask("of-a-machine") == status
    assert not Grant.objects.exists()


def test_old_token_of_a_session_moves_it(ask, user):
    ApplicationFactory(client_id=old_application().client_id, raw_secret=SECRET)
    client = OldClient().start(user)

    assert ask(client.access_token) == HTTPStatus.OK
    assert Grant.objects.get().user == user
    assert ask(client.access_token) == HTTPStatus.OK


@pytest.mark.parametrize(("scope", "status"), [("notes:read", HTTPStatus.OK), ("notes:write", HTTPStatus.FORBIDDEN)])
def test_token_of_the_new_server_is_checked_by_it(ask, application, user, scope, status):
    assert ask(OAuthClient(application, NEW_SECRET).start(user=user, scope=scope).access_token) == status


@pytest.mark.parametrize("raw", ["unknown", "oat_unknown"])
def test_token_of_neither_server_is_refused(ask, raw):
    assert ask(raw) == HTTPStatus.UNAUTHORIZED
