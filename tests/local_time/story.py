"""A grant's life where ``USE_TZ`` is off; ``test_projects.py`` runs this as a project of its own."""

import json
import time
from datetime import datetime, timedelta
from http import HTTPStatus
from io import StringIO

import pytest
from django.contrib.admin import site
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from oauth_refresh.models import AccessToken, Application, Grant, GrantEvent, UsedAssertion
from oauth_refresh.services import prune
from tests.admin.pages import admin_url, page_text
from tests.consent import start_flow
from tests.factories import SECRET, ApplicationFactory, TrustedIssuerFactory
from tests.foreign import ACCESS, CURRENT
from tests.jwts import EC_KEY, client_assertion, client_claims, grant_claims, jwks, key_application, sign
from tests.oauth import OAuthClient, post_form
from tests.user_pages.pages import list_page, signed_in, text_of, url

pytestmark = pytest.mark.django_db
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture
def admin(admin_user):
    return signed_in(admin_user)


@pytest.fixture
def used(client_app):
    """A grant with a history: refreshed, retried and reused."""
    Application.objects.update(retry_window=timedelta(seconds=30))
    client_app.application.refresh_from_db()
    first = client_app.refresh_token
    client_app.rotate()
    assert client_app.refresh(first).status_code == HTTPStatus.OK
    client_app.rotate()
    Application.objects.update(retry_window=None)
    assert client_app.refresh(first).status_code == HTTPStatus.BAD_REQUEST
    return client_app


def test_times_are_stored_without_a_zone(client_app):
    grant = Grant.objects.get()

    assert timezone.is_naive(grant.created_at)
    assert abs(grant.created_at - datetime.now()) < timedelta(minutes=1)
    assert grant.idle_expires_at - grant.created_at == timedelta(days=14)


def test_grant_is_refreshed_introspected_and_revoked(client_app):
    body = client_app.rotate()
    answer = post_form("introspect", {"token": body["access_token"]}, authorization=client_app.authorization).json()

    assert body["expires_in"] == 3600
    assert body["refresh_token_expires_in"] == 14 * 24 * 3600
    assert answer["active"] is True
    assert abs(answer["iat"] - time.time()) < 60
    assert abs(answer["exp"] - time.time() - 3600) < 60
    client_app.revoke(client_app.refresh_token)
    assert client_app.refresh().status_code == HTTPStatus.BAD_REQUEST


def test_client_of_another_server_goes_on(moved, application):
    client = OAuthClient(application, SECRET, refresh_token=CURRENT)

    read = Client().get(reverse("notes"), headers={"Authorization": f"Bearer {ACCESS}"})
    body = client.rotate()

    assert read.status_code == HTTPStatus.OK
    assert (body["expires_in"], body["refresh_token_expires_in"]) == (3600, 14 * 24 * 3600)


@pytest.mark.parametrize("view", ["notes", "plain", "plain_async", "plain_class"])
def test_api_accepts_a_token_until_it_expires(client_app, view):
    def call():
        return Client().get(reverse(view), headers={"Authorization": f"Bearer {client_app.access_token}"}).status_code

    assert call() == HTTPStatus.OK
    AccessToken.objects.update(
        created_at=timezone.now() - timedelta(hours=2), expires_at=timezone.now() - timedelta(hours=1)
    )
    assert call() == HTTPStatus.UNAUTHORIZED


def test_repeated_refresh_and_reuse_are_events(used):
    assert [event.kind for event in GrantEvent.objects.order_by("pk")] == ["retried", "reused"]
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def test_code_is_redeemed_once(user):
    flow = start_flow(user)
    code = flow.code()

    assert flow.redeem(code).status_code == HTTPStatus.OK
    assert flow.redeem(code).status_code == HTTPStatus.BAD_REQUEST
    assert Grant.objects.get().revoked_reason == "code_replayed"


def test_application_acts_for_itself_and_with_a_password(application, user):
    client = OAuthClient(application, SECRET)

    assert client.token(grant_type="client_credentials").status_code == HTTPStatus.OK
    assert client.token(grant_type="password", username=user.username, password="wrong").status_code == (
        HTTPStatus.BAD_REQUEST
    )


def test_assertion_of_a_client_is_accepted_once():
    application = key_application(EC_KEY, grant_types="client_credentials")
    form = {
        "grant_type": "client_credentials",
        **client_assertion(sign(client_claims(application.client_id))),
    }

    assert post_form("token", form).status_code == HTTPStatus.OK
    assert post_form("token", form).status_code == HTTPStatus.UNAUTHORIZED
    assert timezone.is_naive(UsedAssertion.objects.get().expires_at)


@pytest.mark.parametrize(("seconds", "status"), [(60, HTTPStatus.OK), (-60, HTTPStatus.BAD_REQUEST)])
def test_assertion_about_a_user_is_judged_by_its_times(user, seconds, status):
    application = ApplicationFactory(raw_secret=SECRET, grant_types=f"{JWT_BEARER} refresh_token")
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY))
    claims = grant_claims(issuer, user, exp=int(time.time()) + seconds, nbf=int(time.time()) - 120)

    response = OAuthClient(application, SECRET).token(grant_type=JWT_BEARER, assertion=sign(claims), scope="notes:read")

    assert response.status_code == status


def test_user_pages_show_times(used, client_app, user):
    revived = OAuthClient(client_app.application, SECRET).start(user=user)
    browser = signed_in(user)

    page = text_of(list_page(browser))
    api = browser.get(url("api_applications")).json()

    assert "just now" in page
    (listed,) = api["results"]
    assert listed["id"] == str(revived.grant.public_id)
    assert abs(datetime.fromisoformat(listed["started_at"]) - timezone.now()) < timedelta(minutes=1)
    assert browser.get(url("application_revoke", revived.grant.public_id)).status_code == HTTPStatus.OK
    assert browser.post(url("application_revoke", revived.grant.public_id)).status_code == HTTPStatus.FOUND
    assert browser.get(url("application_revoke", revived.grant.public_id), follow=True).status_code == HTTPStatus.OK
    assert browser.post(url("applications_revoke"), follow=True).status_code == HTTPStatus.OK


OURS = [model for model in site._registry if model._meta.app_label == "oauth_refresh"]


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.model_name)
def test_every_list_and_page_of_the_admin_is_shown(used, admin, model):
    TrustedIssuerFactory(jwks=jwks(EC_KEY))
    name = model._meta.model_name

    for query in ({}, {"q": "user"}, {"created_at__gte": "2026-01-01", "created_at__lt": "2100-01-01"}):
        assert admin.get(admin_url(f"{name}_changelist", **query), follow=True).status_code == HTTPStatus.OK
    for row in [] if model._meta.proxy else model.objects.all():
        assert admin.get(admin_url(f"{name}_change", row.pk)).status_code == HTTPStatus.OK


@pytest.mark.parametrize("state", ["active", "revoked", "expired", "blocked"])
def test_grants_are_filtered_by_state(used, admin, state):
    assert admin.get(admin_url("grant_changelist", state=state)).status_code == HTTPStatus.OK


def test_timeline_of_a_grant_is_in_order(used, admin):
    page = page_text(admin.get(admin_url("grant_change", used.grant.pk)))

    assert f"{timezone.now():%Y-%m-%d}" in page


def test_admin_replaces_a_secret_and_generates_tokens(used, admin, user):
    secret = admin_url("application_secret", used.application.pk)

    replaced = admin.post(secret, {"overlap": "3600"})
    shown = admin.get(secret)
    issued = admin.post(
        admin_url("application_tokens", used.application.pk), {"username": user.username, "scope": ["notes:read"]}
    )

    assert (replaced.status_code, shown.status_code, issued.status_code) == (HTTPStatus.OK,) * 3
    assert "old" in page_text(shown)
    assert OAuthClient(used.application, SECRET).token(grant_type="client_credentials").status_code == HTTPStatus.OK


def test_admin_revokes(client_app, admin):
    page = admin_url("grant_revoke", client_app.grant.pk)

    assert admin.get(page).status_code == HTTPStatus.OK
    admin.post(page, {"confirm": "1", "reason": "theft"})
    assert Grant.objects.get().revoked_reason == "theft"


def run(*arguments):
    printed = StringIO()
    call_command(*arguments, stdout=printed)
    return printed.getvalue()


def test_commands_read_and_write_times(used, user):
    created = json.loads(run("oauth_create_application", "Phone", "--public", "--json"))
    run("oauth_issue_tokens", "--application", created["client_id"], "--user", user.username)
    tomorrow = f"{timezone.now() + timedelta(days=1):%Y-%m-%dT%H:%M}"

    dry = run("oauth_revoke_grants", "--created-before", "2020-01-01", "--yes", "--json")
    aware = run("oauth_revoke_grants", "--created-before", "2020-01-01T00:00+05:00", "--yes", "--json")
    done = run("oauth_revoke_grants", "--created-before", tomorrow, "--yes", "--json")

    assert [json.loads(printed)["count"] for printed in (dry, aware, done)] == [0, 0, 1]


def test_prune_deletes_what_is_old(used):
    long_ago = timezone.now() - timedelta(days=200)
    Grant.objects.update(created_at=long_ago, revoked_at=long_ago + timedelta(days=1))
    UsedAssertion.objects.create(digest="0" * 64, expires_at=long_ago)

    assert run("oauth_prune")

    assert not Grant.objects.exists()
    assert not UsedAssertion.objects.exists()
    assert prune().is_complete


def test_deployment_check_says_what_it_costs(settings):
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend"}}  # not that of the tests
    printed = StringIO()
    call_command("check", "--deploy", stdout=printed, stderr=printed)

    assert "oauth_refresh.W007" in printed.getvalue()


def test_grant_ends_when_its_time_is_over(client_app):
    Grant.objects.update(created_at=timezone.now() - timedelta(days=2), expires_at=timezone.now() - timedelta(days=1))

    assert client_app.refresh().status_code == HTTPStatus.BAD_REQUEST
    assert not Grant.objects.live().exists()
    assert not Grant.objects.get().is_live
