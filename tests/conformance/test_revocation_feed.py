"""The feed of revocations, for APIs that keep answers of introspection; a protocol of this server."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from oauth_refresh.models import AccessToken, Application, RevocationNotice
from oauth_refresh.services import issue_tokens, prune
from tests.admin.pages import admin_url, browser, staff
from tests.factories import RevocationNoticeFactory
from tests.feed import FeedReader, covers
from tests.oauth import FORM, OAuthClient, basic, post_form
from tests.refusals import INVALID_CLIENT, assert_protocol_headers, invalid_request, read_refusal
from tests.user_pages.pages import signed_in, url

UNUSABLE = invalid_request("The parameter after is no cursor of this server. Leave it out to start again.")
NOT_A_RESOURCE_SERVER = (
    HTTPStatus.FORBIDDEN,
    {
        "error": "unauthorized_client",
        "error_description": "Only an application that is marked as a resource server may read the revocations.",
    },
)
JSON = "application/json"
CONFIRMED = {"confirm": "1", "reason": "drill"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader():
    return FeedReader()


@pytest.mark.parametrize(
    "body",
    [
        {"data": "", "content_type": FORM},
        {"data": "after=", "content_type": FORM},
        {"data": "", "content_type": ""},
        {"data": b"", "content_type": "text/plain"},
    ],
    ids=["no parameter", "empty parameter", "no content type", "content type of wsgiref"],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_rf_001_request_without_a_cursor_gets_the_present_one_and_no_entry(reader, client_app, body, slash):
    client_app.revoke(client_app.access_token)
    address = reverse("oauth_refresh:revocations") + slash

    response = Client().generic("POST", address, headers={"Authorization": reader.authorization}, **body)

    assert_protocol_headers(response)
    members = response.json()
    assert members == {"cursor": members["cursor"], "revocations": [], "more": False}


def test_rf_001_cursor_lies_before_what_was_revoked_in_the_last_ten_seconds(client_app, reader):
    RevocationNoticeFactory(settled=True)
    client_app.revoke(client_app.access_token)

    follower = FeedReader()

    assert follower.read() == [{"grant_id": str(client_app.grant.public_id)}]


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain"])
def test_rf_001_body_that_is_no_form_is_refused(reader, content_type):
    headers = {"Authorization": reader.authorization}

    response = Client().generic("POST", reverse("oauth_refresh:revocations"), "after=", content_type, headers=headers)

    assert read_refusal(response)[0] == HTTPStatus.BAD_REQUEST


def by_admin(page, row):
    permissions = ("view_grant", "view_application", "view_user", "revoke_grant")
    assert browser(staff(*permissions)).post(admin_url(page, row.pk), CONFIRMED).status_code == HTTPStatus.FOUND


def by_admins_list(client_app):
    data = {"action": "revoke_grants", "select_across": "1", "_selected_action": "all", **CONFIRMED}
    person = staff("view_application", "revoke_grant")
    assert browser(person).post(admin_url("application_changelist"), data).status_code == HTTPStatus.FOUND


def change(row, **fields):
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()


def change_password(user):
    user.set_password("another horse")
    user.save()


def reuse(client_app):
    spent = client_app.refresh_token
    client_app.rotate()
    client_app.refresh(spent)


def command(*options):
    call_command("oauth_revoke_grants", *options, "--yes")


WAYS = {
    "refresh token": ("grant_id", lambda c: c.revoke(c.refresh_token)),
    "access token": ("grant_id", lambda c: c.revoke(c.access_token)),
    "reuse": ("grant_id", reuse),
    "admin, one grant": ("grant_id", lambda c: by_admin("grant_revoke", c.grant)),
    "admin, one application": ("client_id", lambda c: by_admin("application_revoke", c.application)),
    "admin, list": ("grant_id", by_admins_list),
    "page of one application": (
        "grant_id",
        lambda c: signed_in(c.grant.user).post(url("application_revoke", c.grant.public_id)),
    ),
    "page of all applications": ("sub", lambda c: signed_in(c.grant.user).post(url("applications_revoke"))),
    "API, one application": (
        "grant_id",
        lambda c: signed_in(c.grant.user).post(url("api_application_revoke", c.grant.public_id), content_type=JSON),
    ),
    "API, all applications": (
        "sub",
        lambda c: signed_in(c.grant.user).post(url("api_applications_revoke"), content_type=JSON),
    ),
    "user deactivated": ("sub", lambda c: change(c.grant.user, is_active=False)),
    "user deleted": ("sub", lambda c: c.grant.user.delete()),
    "password changed": ("grant_id", lambda c: change_password(c.grant.user)),
    "application deactivated": ("client_id", lambda c: change(c.application, is_active=False)),
    "application deleted": ("client_id", lambda c: c.application.delete()),
    "applications deleted in bulk": (
        "client_id",
        lambda c: Application.objects.filter(name=c.application.name).delete(),
    ),
    "secret withdrawn": ("client_id", lambda c: change(c.application, secret_digest="")),
    "command, user": ("sub", lambda c: command("--user", c.grant.user.username)),
    "command, application": ("client_id", lambda c: command("--application", c.application.client_id)),
    "command, both": (
        "grant_id",
        lambda c: command("--user", c.grant.user.username, "--application", c.application.client_id),
    ),
    "command, age": ("grant_id", lambda c: command("--created-before", "2999-01-01")),
}
"""By what is done: which member the entry has, and how."""


@pytest.mark.parametrize(("member", "revoke"), WAYS.values(), ids=WAYS)
def test_rf_002_every_revocation_is_reported(client_app, reader, member, revoke):
    grant = client_app.grant

    revoke(client_app)

    [entry] = reader.read()
    assert set(entry) == {member}
    assert covers(entry, grant)


def test_rf_002_code_that_is_redeemed_twice_is_reported(flow, reader):
    code = flow.code()
    flow.redeem(code)
    grant = AccessToken.objects.get().grant

    flow.redeem(code)

    assert reader.read() == [{"grant_id": str(grant.public_id)}]


def test_rf_002_access_token_that_is_revoked_alone_is_reported_by_its_grant(client_app, reader, oauth_settings):
    oauth_settings(REVOKE_GRANT_WITH_ACCESS_TOKEN=False)

    for _turn in range(2):
        client_app.revoke(client_app.access_token)

    assert reader.read() == [{"grant_id": str(client_app.grant.public_id)}]


def test_rf_002_tokens_of_an_application_itself_are_reported(application, reader):
    issued = issue_tokens(application, user=None, grant_type="client_credentials", scope="notes:read")
    grant = AccessToken.objects.get().grant

    post_form("revoke", {"token": issued.access_token}, authorization=OAuthClient(application, "").authorization)
    change(application, is_active=False)

    assert [covers(entry, grant) for entry in reader.read()] == [True]


QUIET = {
    "refresh": lambda c: c.rotate(),
    "unknown token": lambda c: c.revoke("nonsense"),
    "user saved": lambda c: c.grant.user.save(),
    "application saved": lambda c: c.application.save(),
    "user without grants": lambda c: staff("revoke_grant").delete(),
}


@pytest.mark.parametrize("act", QUIET.values(), ids=QUIET)
def test_rf_002_what_revokes_nothing_is_not_reported(client_app, reader, act):
    act(client_app)

    assert reader.read() == []
    assert not RevocationNotice.objects.exists()


def test_rf_003_application_that_is_no_resource_server_is_refused(client_app, refused):
    assert refused(lambda: post_form("revocations", {}, authorization=client_app.authorization)) == (
        NOT_A_RESOURCE_SERVER
    )


def test_rf_003_public_application_is_refused(public_client, refused):
    Application.objects.update(is_resource_server=True)

    assert refused(lambda: post_form("revocations", public_client.credentials)) == INVALID_CLIENT


@pytest.mark.parametrize("authorization", [None, basic("unknown", "a secret"), "Basic nonsense"])
def test_rf_003_caller_must_authenticate(reader, refused, authorization):
    send = lambda: post_form("revocations", {"after": reader.cursor}, authorization=authorization)  # noqa: E731

    assert refused(send) == INVALID_CLIENT


CURSORS = {
    "garbage": lambda cursor: "garbage",
    "number": lambda cursor: "0",
    "negative": lambda cursor: "-1",
    "long": lambda cursor: cursor + "x" * 10_000,
    "not ASCII": lambda cursor: "ä:ö",
    "NUL": lambda cursor: "\0",
    "changed": lambda cursor: "WzEsMSwxXQ" + cursor.removeprefix(cursor.partition(":")[0]),
    "without signature": lambda cursor: cursor.partition(":")[0],
}


@pytest.mark.parametrize("change_cursor", CURSORS.values(), ids=CURSORS)
def test_rf_004_text_that_is_no_cursor_is_refused(reader, refused, change_cursor):
    assert refused(lambda: reader.post(change_cursor(reader.cursor))) == UNUSABLE


@pytest.mark.parametrize("what", ["key", "issuer"])
def test_rf_004_cursor_of_another_server_is_refused(reader, refused, settings, oauth_settings, what):
    if what == "key":
        settings.SECRET_KEY = "the key of another server"
    else:
        oauth_settings(ISSUER="https://another.example")

    assert refused(lambda: reader.post(reader.cursor)) == UNUSABLE


def test_rf_004_cursor_of_the_future_is_refused(reader, refused):
    notice = RevocationNoticeFactory(settled=True)
    cursor = FeedReader().cursor
    notice.delete()  # as if a backup of the database had been restored

    assert refused(lambda: reader.post(cursor)) == UNUSABLE


def test_rf_004_cursor_stays_valid_while_the_key_of_the_project_is_replaced(reader, settings):
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new key"

    assert reader.read() == []


def test_rf_005_reader_that_may_have_missed_pruned_notices_gets_a_reset(time_machine):
    RevocationNoticeFactory(settled=True)
    follower = FeedReader()
    RevocationNoticeFactory.create_batch(3, settled=True)
    RevocationNotice.objects.filter(pk__lt=RevocationNotice.objects.latest("pk").pk).delete()
    time_machine.move_to(timezone.now() + timedelta(days=2))

    body = follower.ask(follower.cursor)

    assert body == {"cursor": body["cursor"], "reset": True}
    assert follower.ask(body["cursor"])["revocations"] == []


def test_rf_005_cursor_of_an_idle_server_stays_valid(time_machine):
    RevocationNoticeFactory.create_batch(2, settled=True)
    reader = FeedReader()
    time_machine.move_to(timezone.now() + timedelta(days=30))
    prune()

    newest = RevocationNotice.objects.get()

    assert reader.read() == []
    RevocationNoticeFactory(pk=newest.pk + 5, sub="42", grant_id=None)
    assert reader.read() == [{"sub": "42"}]


def test_rf_006_notice_that_is_committed_after_later_ones_is_delivered(reader):
    late = RevocationNoticeFactory()
    RevocationNotice.objects.filter(pk=late.pk).delete()  # not visible to others: its transaction is still open
    later = RevocationNoticeFactory()
    seen = reader.read()

    late.save(force_insert=True)

    assert seen == [later.entry]
    assert reader.read() == [late.entry, later.entry]
