"""A connection that does not commit by itself: no token may be sent that was never stored."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.db import connection, transaction
from django.urls import reverse

from oauth_refresh.errors import AutocommitOff
from oauth_refresh.models import Grant
from oauth_refresh.services import issue_tokens, prune, revoke_grant
from tests.database import database_snapshot
from tests.factories import PASSWORD, GrantFactory
from tests.jwts import EC_KEY, KeyClient, key_application
from tests.oauth import post_form
from tests.refusals import read_refusal
from tests.user_pages.pages import disconnect_url, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

UNAVAILABLE = (
    HTTPStatus.SERVICE_UNAVAILABLE,
    {"error": "temporarily_unavailable", "error_description": "The server could not answer now. Try again."},
)
CAUSE = "AUTOCOMMIT is off for the database 'default', so nothing would be stored: remove it from DATABASES."


@pytest.fixture
def autocommit_off():
    """Return a function that turns it off, as ``AUTOCOMMIT: False`` does; what is not committed then is lost."""
    yield lambda: transaction.set_autocommit(False)
    connection.rollback()
    transaction.set_autocommit(True)


FORMS = {
    "refresh": lambda client, user: ("token", {"grant_type": "refresh_token", "refresh_token": client.refresh_token}),
    "client credentials": lambda client, user: ("token", {"grant_type": "client_credentials"}),
    "password": lambda client, user: (
        "token",
        {"grant_type": "password", "username": user.username, "password": PASSWORD},
    ),
    "revoke": lambda client, user: ("revoke", {"token": client.refresh_token}),
    "revoke an access token": lambda client, user: ("revoke", {"token": client.access_token}),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_nothing_is_issued_that_would_not_be_stored(client_app, user, autocommit_off, caplog, form):
    endpoint, parameters = form(client_app, user)
    before = database_snapshot()
    autocommit_off()

    response = post_form(endpoint, parameters, authorization=client_app.authorization)

    assert read_refusal(response) == UNAVAILABLE
    assert CAUSE in caplog.text
    connection.rollback()
    assert database_snapshot() == before


def test_reuse_is_answered_with_503_and_logged(client_app, autocommit_off, caplog):
    spent = client_app.refresh_token
    client_app.rotate()
    autocommit_off()

    assert read_refusal(client_app.refresh(spent)) == UNAVAILABLE
    assert CAUSE in caplog.text


def test_code_is_not_redeemed(flow, autocommit_off, caplog):
    code = flow.code()
    autocommit_off()

    assert read_refusal(flow.redeem(code)) == UNAVAILABLE
    assert CAUSE in caplog.text


def test_assertion_that_could_be_replayed_is_not_accepted(autocommit_off, caplog):
    client = KeyClient(key_application(EC_KEY))
    autocommit_off()

    response = post_form("introspect", {"token": "nonsense"} | client.credentials)

    assert read_refusal(response) == UNAVAILABLE
    assert CAUSE in caplog.text


def test_user_is_not_told_that_an_application_is_disconnected(client_app, user, autocommit_off, caplog):
    browser, page = signed_in(user, raise_request_exception=False), disconnect_url(client_app.grant)
    autocommit_off()

    response = browser.post(page)

    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR  # the project's own error page
    assert CAUSE in caplog.text


def test_access_token_alone_is_not_revoked(client_app, oauth_settings, autocommit_off):
    oauth_settings(REVOKE_GRANT_WITH_ACCESS_TOKEN=False)
    autocommit_off()

    assert read_refusal(client_app.revoke(client_app.access_token)) == UNAVAILABLE


@pytest.mark.parametrize(
    "write",
    [
        lambda grant: issue_tokens(grant.application, user=grant.user, grant_type="password"),
        lambda grant: revoke_grant(grant, reason="lost device"),
        lambda grant: prune(retain=timedelta(0)),
    ],
    ids=["issue_tokens", "revoke_grant", "prune"],
)
def test_services_say_why_they_do_not_write(client_app, autocommit_off, write):
    GrantFactory(expired=True)
    autocommit_off()

    with pytest.raises(AutocommitOff, match=r"remove it from DATABASES"):
        write(client_app.grant)


def test_project_that_commits_by_itself_may_write_in_its_own_transaction(client_app, autocommit_off):
    autocommit_off()
    with transaction.atomic():
        revoke_grant(client_app.grant, reason="lost device")
    connection.commit()

    assert Grant.objects.get().revoked_reason == "lost device"


def test_tokens_are_still_refused_and_accepted(client_app, autocommit_off, client):
    autocommit_off()

    response = client.get(reverse("notes"), headers={"Authorization": f"Bearer {client_app.access_token}"})

    assert response.status_code == HTTPStatus.OK
