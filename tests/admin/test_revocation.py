"""Staff revoke: however the rows were selected, their grants are revoked at once, and nothing else changes."""

from datetime import UTC, datetime
from http import HTTPStatus

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oauth_refresh.models import AccessToken, Grant
from oauth_refresh.services import revoke_grant
from oauth_refresh.signals import grants_revoked
from tests.admin.database_errors import failing_statements
from tests.admin.pages import admin_url, browser, definitions, log_entries, messages_on
from tests.admin.revocations import (
    MODELS,
    NOTHING,
    REASON,
    WAYS,
    by_action,
    by_list,
    by_page,
    by_select_across,
    confirm,
    make_scene,
    revoking_browser,
)
from tests.database import database_snapshot
from tests.factories import GrantFactory
from tests.interference import deadlock_once, run_after_select
from tests.signals import recorded

NOW = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
EVERY_MODEL = pytest.mark.parametrize("model", MODELS)
PAIRS = [*[(model, by_page) for model in MODELS], *[("application", way) for way in WAYS if way is not by_page]]
EVERY_MODEL_AND_EVERY_WAY = pytest.mark.parametrize(("model", "way"), PAIRS)
EVERY_WAY = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene(db):
    with time_machine.travel(NOW, tick=False):
        yield make_scene()


def rows_but(grants):
    return list(Grant.objects.exclude(pk__in=[grant.pk for grant in grants]).order_by("pk").values())


@EVERY_WAY
@EVERY_MODEL
def test_selected_grants_are_revoked_and_nothing_else_changes(scene, model, way):
    client, affected = revoking_browser(model), scene.affected(model)
    written = {"Grant": None, "RevocationNotice": None}
    tokens, others = {**database_snapshot(), **written}, rows_but(affected)

    response = confirm(client, way(client, model, scene.row(model)))

    assert response.status_code == HTTPStatus.FOUND
    ended = Grant.objects.filter(pk__in=[grant.pk for grant in affected])
    assert set(ended.values_list("revoked_at", "revoked_reason", "revoked_by__username")) == {(NOW, REASON, "boss")}
    assert ended.exclude(revocation_id=None).values("revocation_id").distinct().count() == 1
    assert rows_but(affected) == others
    assert {**database_snapshot(), **written} == tokens


@EVERY_WAY
@pytest.mark.parametrize("model", ["grant", "application"])
def test_message_on_the_page_before_gives_the_true_count(scene, model, way):
    client, row = revoking_browser(model), scene.row(model)
    count = len(scene.affected(model))
    back = {
        by_page: admin_url(f"{model}_change", row.pk),
        by_action: admin_url(f"{model}_changelist"),
        by_list: admin_url(f"{model}_changelist", pk__in=row.pk),
        by_select_across: admin_url(f"{model}_changelist", pk__in=row.pk),
    }

    response = confirm(client, way(client, model, row), follow=True)

    assert response.redirect_chain == [(back[way], HTTPStatus.FOUND)]
    assert messages_on(response) == [
        ("success", "1 grant was revoked." if count == 1 else f"{count} grants were revoked.")
    ]


@EVERY_MODEL_AND_EVERY_WAY
def test_one_entry_in_the_log_says_what_was_done(scene, model, way):
    client, row, count = revoking_browser(model), scene.row(model), len(scene.affected(model))
    kind, name = MODELS[model], model.rpartition("_")[2]
    selected = {
        by_page: f"{kind} {row}",
        by_action: f"{kind} {row}",
        by_list: f"all {kind} of the list filtered by pk__in={row.pk}",
        by_select_across: f"all {kind} of the list filtered by pk__in={row.pk}",
    }

    confirm(client, way(client, model, row))

    revocation = Grant.objects.get(pk=scene.client.grant.pk).revocation_id
    what = f"Revoked grants: {count}. Reason: {REASON}. Revocation: {revocation}. Selected: {selected[way]}."
    on = (str(row.pk), str(row)) if way is by_page else (None, kind)
    assert log_entries() == [(name, *on, what)]
    assert LogEntry.objects.get().user.username == "boss"


@EVERY_MODEL_AND_EVERY_WAY
def test_one_update_ends_all(scene, model, way):
    client = revoking_browser(model)
    question = way(client, model, scene.row(model))

    with CaptureQueriesContext(connection) as queries:
        confirm(client, question)

    written = [sql for query in queries if (sql := query["sql"]).startswith(("INSERT", "UPDATE", "DELETE"))]
    assert [sql.split()[:3] for sql in written] == [
        ["UPDATE", connection.ops.quote_name("oauth_refresh_grant"), "SET"],
        ["INSERT", "INTO", connection.ops.quote_name("oauth_refresh_revocationnotice")],
        ["INSERT", "INTO", connection.ops.quote_name("django_admin_log")],
    ]


TOTALS = {
    "application": {"grants": "3", "users": "2", "application": "1"},
    "auth_user": {"grants": "3", "user": "1", "applications": "2"},
    "members_staffuser": {"grants": "3", "user": "1", "applications": "2"},
    "members_member": {"grants": "3", "user": "1", "applications": "2"},
}


@EVERY_MODEL_AND_EVERY_WAY
def test_page_shows_what_would_be_revoked_and_changes_nothing(scene, model, way):
    client, before = revoking_browser(model), database_snapshot()

    _url, page = way(client, model, scene.row(model))

    assert page.status_code == HTTPStatus.OK
    assert definitions(page) == TOTALS.get(model, {"grant": "1", "user": "1", "application": "1"})
    assert database_snapshot() == before
    assert log_entries() == []


def test_superuser_revokes(scene, admin_browser, superuser):
    confirm(admin_browser, by_page(admin_browser, "grant", scene.client.grant))

    assert Grant.objects.get(revoked_by=superuser) == scene.client.grant


def test_next_request_of_the_client_is_refused(scene):
    client = revoking_browser("grant")

    confirm(client, by_page(client, "grant", scene.client.grant))

    answer = scene.client.refresh()
    assert (answer.status_code, answer.json()["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_grant")
    assert [token.is_live for token in AccessToken.objects.filter(grant=scene.client.grant)] == [False]


def test_client_whose_grant_was_not_selected_is_not_affected(scene):
    client = revoking_browser("auth_user")

    confirm(client, by_page(client, "auth_user", scene.of_others.user))

    assert scene.client.refresh().status_code == HTTPStatus.OK


@EVERY_WAY
def test_signal_is_sent_once_after_commit(scene, django_capture_on_commit_callbacks, way):
    client = revoking_browser("application")
    question = way(client, "application", scene.client.application)

    with recorded(grants_revoked) as carried, django_capture_on_commit_callbacks(execute=True):
        confirm(client, question)
        before_commit = list(carried)

    (told_of,) = carried
    assert before_commit == []
    assert (told_of["count"], told_of["reason"], told_of["by"].username) == (3, REASON, "boss")
    assert set(Grant.objects.filter(revocation_id=told_of["revocation_id"])) == scene.affected("application")


@EVERY_MODEL_AND_EVERY_WAY
def test_grants_that_others_revoked_meanwhile_stay_as_they_were(scene, model, way):
    client, row = revoking_browser(model), scene.row(model)
    question = way(client, model, row)
    for grant in scene.affected(model):
        revoke_grant(grant, reason="first")
    before = database_snapshot()

    response = confirm(client, question, follow=True)

    assert messages_on(response) == [("warning", NOTHING)]
    assert database_snapshot() == before
    assert log_entries() == []


def test_count_leaves_out_what_others_revoked_meanwhile(scene):
    client = revoking_browser("application")
    question = by_page(client, "application", scene.client.application)
    revoke_grant(scene.of_application, reason="first")

    response = confirm(client, question, follow=True)

    assert messages_on(response) == [("success", "2 grants were revoked.")]
    assert Grant.objects.get(pk=scene.of_application.pk).revoked_reason == "first"


def test_revocation_by_another_request_just_before_wins(scene):
    client = revoking_browser("grant")
    question = by_action(client, "grant", scene.client.grant)

    with run_after_select(Grant, lambda: revoke_grant(scene.client.grant, reason="first")):
        response = confirm(client, question, follow=True)

    assert messages_on(response) == [("warning", NOTHING)]
    assert Grant.objects.get(pk=scene.client.grant.pk).revoked_reason == "first"
    assert log_entries() == []


def test_revoked_grant_has_nothing_left_to_revoke(admin_browser):
    grant = GrantFactory(revoked=True)

    response = admin_browser.get(admin_url("grant_revoke", grant.pk))

    html = response.content.decode()
    assert response.context["title"] == "Nothing to revoke"
    assert "Everything selected was already revoked or expired." in html
    assert '<form method="post" novalidate>' not in html
    assert f'<a href="{admin_url("grant_change", grant.pk)}">Go back</a>' in html


def test_grants_are_not_revoked_if_the_log_entry_fails(scene, superuser):
    client = browser(superuser, raise_request_exception=False)
    question = by_page(client, "application", scene.client.application)
    before = database_snapshot()

    with failing_statements("INSERT", "django_admin_log"):
        response = confirm(client, question)

    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert database_snapshot() == before


@pytest.mark.django_db(transaction=True)
def test_deadlock_is_retried_and_logged_once():
    grant = GrantFactory()
    client = revoking_browser("grant")
    question = by_page(client, "grant", grant)

    with deadlock_once("UPDATE") as tried:
        confirm(client, question)

    assert len(tried) == 2
    assert Grant.objects.get().revoked_reason == REASON
    assert len(log_entries()) == 1
