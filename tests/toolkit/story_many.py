"""Many clients of five applications go on, and change nothing; ``tests/test_toolkit.py`` runs this.

``MOVED_SESSIONS`` says how many sessions; a project may have thousands.
"""

import os
from http import HTTPStatus
from io import StringIO

import pytest
from django.core.management import call_command
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from oauth_refresh.models import Application, Grant
from tests.factories import UserFactory
from tests.toolkit.old import NEW, SECRET, OldClient, old_application, old_rows, old_session, old_spent

pytestmark = pytest.mark.django_db

SESSIONS = int(os.environ.get("MOVED_SESSIONS", "40"))
APPLICATIONS = {
    "phone": {"client_type": "public"},
    "tablet": {"client_type": "public", "authorization_grant_type": "authorization-code"},
    "web": {"hash_client_secret": True},
    "desk": {"hash_client_secret": False},
    "short": {"hash_client_secret": False, "client_secret": "too-short"},
}


@pytest.mark.parametrize("readable", [True, False], ids=["readable tokens", "hashed tokens"])
def test_no_client_is_logged_out(readable):
    redirect_uris = "https://app.example/callback"
    applications = [
        old_application(name, redirect_uris=redirect_uris, **fields) for name, fields in APPLICATIONS.items()
    ]
    users = [UserFactory() for _user in range(max(2, SESSIONS // 50))]
    clients = [
        start(applications[number % len(applications)], users[number % len(users)], number)
        for number in range(SESSIONS)
    ]
    if not readable:  # as COMPLIANT_BCP_RFC9700_TOKEN_STORAGE has it, and as the guide says in the end
        get_access_token_model().objects.update(token="")
        get_refresh_token_model().objects.update(token="")
    call_command("oauth_import_toolkit", "--applications", stdout=StringIO())
    early, late = clients[: SESSIONS // 4], clients[SESSIONS // 4 :]

    answers = [client.rotate().refresh().status_code for client in early]
    call_command("oauth_import_toolkit", "--sessions", stdout=StringIO())
    answers += [client.rotate().refresh().status_code for client in late]

    assert answers == [HTTPStatus.OK] * SESSIONS
    assert Grant.objects.live().count() == SESSIONS
    assert Application.objects.exclude(imported_secret_hash="").get().client_id == "short"
    assert old_rows() == {"AccessToken": [], "RefreshToken": []}


def start(application, user, number):
    """Write a session of the application, and return the client that holds its refresh token."""
    session = old_session(application, user, f"refresh token {number}")
    if number % 3 == 0:
        old_spent(session, f"spent {number}")
    public = application.client_type == "public"
    secret = None if public else APPLICATIONS[application.client_id].get("client_secret", SECRET)
    return OldClient(application.client_id, secret, NEW, refresh_token=session.token)
