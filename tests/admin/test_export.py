"""Lists and timelines are exported as CSV and JSON: by a permission, without secrets, bounded, and logged."""

import csv
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oauth_refresh.admin import export, export_formats
from oauth_refresh.models import AccessToken, Grant, GrantEvent, RefreshToken
from oauth_refresh.services import revoke_grant
from tests.admin.many import grants_of, many_rows
from tests.admin.pages import admin_url, browser, links, log_entries, messages_on, staff
from tests.factories import (
    AccessTokenFactory,
    ApplicationFactory,
    GrantEventFactory,
    GrantFactory,
    RefreshTokenFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

LISTS = {
    "grant": "view_grant",
    "refreshtoken": "view_refreshtoken",
    "accesstoken": "view_accesstoken",
    "grantevent": "view_grantevent",
}
AT = datetime(2026, 3, 1, 9, 30, 5, tzinfo=UTC)


def content(response):
    assert response.status_code == HTTPStatus.OK
    return b"".join(response.streaming_content).decode()


def csv_rows(response):
    return list(csv.DictReader(io.StringIO(content(response).removeprefix("\ufeff"), newline="")))


@pytest.fixture
def theft(stopped_clock):
    """A grant of alice, refreshed once, whose first token was used again half a minute later."""
    alice = UserFactory(username="alice")
    application = ApplicationFactory(client_id="notes", name="Notes")
    place = {"address": "192.0.2.1", "user_agent": "curl/8"}
    grant = GrantFactory(application=application, user=alice, scope="notes:read", created_at=AT, generation=2, **place)
    later = {"expires_at": AT + timedelta(days=900)}
    for number in (1, 2):
        RefreshTokenFactory(grant=grant, generation=number, created_at=AT + timedelta(minutes=number), **place, **later)
    AccessTokenFactory(grant=grant, generation=2, scope="notes:read", created_at=AT, **later)
    GrantEventFactory(
        grant=grant,
        kind=GrantEvent.Kind.REUSED,
        generation=1,
        at=AT + timedelta(minutes=3),
        seconds_since_spent=60.0,
        same_caller=False,
        address="203.0.113.9",
        user_agent="=HYPERLINK(1)",
    )
    return grant


def test_list_of_grants_is_exported_with_what_it_shows(admin_browser, theft):
    revoke_grant(theft, reason="laptop stolen")
    theft.refresh_from_db()

    (row,) = json.loads(content(admin_browser.get(admin_url("grant_export_json"))))["rows"]

    assert row == {
        "grant": str(theft.public_id),
        "state": "revoked",
        "client_id": "notes",
        "application": "Notes",
        "user": "alice",
        "grant_type": theft.grant_type,
        "scope": "notes:read",
        "started": "2026-03-01T09:30:05+00:00",
        "refreshed": None,
        "refreshes": 1,
        "expires_unless_refreshed": theft.idle_expires_at.isoformat(),
        "expires": theft.expires_at.isoformat(),
        "address": "192.0.2.1",
        "user_agent": "curl/8",
        "revoked": theft.revoked_at.isoformat(),
        "reason": "laptop stolen",
        "revoked_by": None,
        "revocation": str(theft.revocation_id),
    }


def test_list_of_events_is_exported_with_what_an_alarm_means(admin_browser, theft):
    GrantEventFactory(grant=theft, kind=GrantEvent.Kind.RETRIED, generation=1, at=AT)

    retry, alarm = json.loads(content(admin_browser.get(admin_url("grantevent_export_json"))))["rows"]

    assert retry["meaning"] is None
    assert alarm == {
        "at": "2026-03-01T09:33:05+00:00",
        "kind": "reused",
        "meaning": "treat as theft",
        "grant": str(theft.public_id),
        "client_id": "notes",
        "user": "alice",
        "generation": 1,
        "seconds_since_spent": 60.0,
        "same_caller": False,
        "address": "203.0.113.9",
        "user_agent": "=HYPERLINK(1)",
    }


@pytest.mark.parametrize(("model", "states"), [("refreshtoken", {"spent", "current"}), ("accesstoken", {"active"})])
def test_lists_of_tokens_are_exported_with_their_states(admin_browser, theft, model, states):
    rows = csv_rows(admin_browser.get(admin_url(f"{model}_export_csv")))

    assert {row["state"] for row in rows} <= states | {"expired"}
    assert {(row["grant"], row["client_id"], row["user"]) for row in rows} == {(str(theft.public_id), "notes", "alice")}


def test_filters_of_the_list_are_those_of_the_export(admin_browser, theft):
    other = GrantFactory()

    response = admin_browser.get(admin_url("grant_export_csv", client_id=other.application.client_id))

    assert [row["grant"] for row in csv_rows(response)] == [str(other.public_id)]


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("form", ["csv", "json"])
def test_nothing_secret_is_exported(admin_browser, form, model):
    many_rows(3)
    digests = {
        text for rows in (RefreshToken.objects, AccessToken.objects) for text in rows.values_list("digest", flat=True)
    }
    assert digests

    text = content(admin_browser.get(admin_url(f"{model}_export_{form}")))

    assert not [digest for digest in digests if digest in text]
    assert not {"digest", "mac_key", "fingerprint", "retry_slots", "salt"} & set(text.replace('"', " ").split())


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "  =1", "＝1", "a;=1", "a,@A1", "a\t +1"])  # noqa: RUF001
def test_cell_that_a_spreadsheet_would_run_becomes_a_text(admin_browser, theft, text):
    Grant.objects.update(user_agent=text)

    (row,) = csv_rows(admin_browser.get(admin_url("grant_export_csv")))

    assert row["user_agent"] == f"'{text}"


@pytest.mark.parametrize("text", ['a, "b"\r\nc', "محمد \u202e🦊", "x" * 255])
def test_any_text_survives_the_export(admin_browser, theft, text):
    Grant.objects.update(user_agent=text)

    (row,) = csv_rows(admin_browser.get(admin_url("grant_export_csv")))
    (same,) = json.loads(content(admin_browser.get(admin_url("grant_export_json"))))["rows"]

    assert row["user_agent"] == same["user_agent"] == text


@pytest.mark.parametrize("model", LISTS)
def test_export_needs_its_permission_and_that_to_view(model):
    url = admin_url(f"{model}_export_csv")

    answers = [
        browser(staff(*permissions)).get(url).status_code
        for permissions in ([LISTS[model]], ["export_grant"], [LISTS[model], "export_grant"])
    ]

    assert answers == [HTTPStatus.FORBIDDEN, HTTPStatus.FORBIDDEN, HTTPStatus.OK]


def test_timeline_needs_the_permission(theft):
    url = admin_url("grant_timeline_csv", theft.pk)

    answers = [
        browser(staff(*permissions)).get(url).status_code
        for permissions in (["view_grant"], ["export_grant"], ["view_grant", "export_grant"])
    ]

    assert answers == [HTTPStatus.FORBIDDEN, HTTPStatus.FORBIDDEN, HTTPStatus.OK]


def test_links_to_export_are_shown_to_those_who_may(theft):
    pages = admin_url("grant_changelist", state="active"), admin_url("grant_change", theft.pk)

    def exports(*permissions):
        person = browser(staff(*permissions))
        return [url for page in pages for url in links(person.get(page)) if "export." in url or "timeline." in url]

    assert exports("view_grant") == []
    assert exports("view_grant", "export_grant") == [
        admin_url("grant_export_csv", state="active"),
        admin_url("grant_export_json", state="active"),
        admin_url("grant_timeline_csv", theft.pk),
        admin_url("grant_timeline_json", theft.pk),
    ]


def test_events_can_be_exported_from_their_list(admin_browser, theft):
    assert admin_url("grantevent_export_csv") + "?" in links(admin_browser.get(admin_url("grantevent_changelist")))


def test_lists_without_an_export_offer_none(admin_browser, theft):
    assert not [url for url in links(admin_browser.get(admin_url("application_changelist"))) if "export." in url]


def test_export_is_logged_with_its_filters(admin_browser, theft):
    content(admin_browser.get(admin_url("grant_export_csv", client_id="notes")))
    content(admin_browser.get(admin_url("grantevent_export_json")))
    content(admin_browser.get(admin_url("grant_timeline_csv", theft.pk)))

    assert [(model, key, message) for model, key, _name, message in log_entries()] == [
        ("grant", None, "Exported 1 grants as csv, filtered by client_id=notes."),
        ("grantevent", None, "Exported 1 grant events as json."),
        ("grant", str(theft.pk), "Exported the timeline as csv."),
    ]


@pytest.mark.parametrize("model", LISTS)
def test_export_whose_url_holds_a_token_is_refused_and_logs_nothing(client_app, admin_browser, model):
    response = admin_browser.get(admin_url(f"{model}_export_csv", q=client_app.refresh_token), follow=True)

    assert response.redirect_chain == [(admin_url(f"{model}_changelist"), HTTPStatus.FOUND)]
    assert messages_on(response) == [("warning", "Nothing was exported: the URL held a token.")]
    assert log_entries() == []


def test_export_with_a_filter_that_does_not_exist_goes_back_to_the_list(admin_browser):
    response = admin_browser.get(admin_url("grant_export_csv", nonsense="1"))

    assert (response.status_code, response["Location"]) == (HTTPStatus.FOUND, admin_url("grant_changelist", e="1"))
    assert log_entries() == []


def test_export_by_digest_is_refused(admin_browser, theft):
    response = admin_browser.get(admin_url("refreshtoken_export_csv", digest__startswith="a"))

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert log_entries() == []


def test_export_is_only_read(admin_browser):
    assert admin_browser.post(admin_url("grant_export_csv")).status_code == HTTPStatus.METHOD_NOT_ALLOWED


def test_export_of_an_unknown_grant_is_not_found(admin_browser):
    assert admin_browser.get(admin_url("grant_timeline_csv", 987)).status_code == HTTPStatus.NOT_FOUND


def test_file_is_a_download_that_no_cache_keeps(admin_browser, theft, stopped_clock):
    response = admin_browser.get(admin_url("grant_export_json"))

    assert response["Content-Type"] == "application/json"
    assert "no-store" in response["Cache-Control"]
    assert response["Content-Disposition"].startswith('attachment; filename="grants-20')
    about = json.loads(content(response))
    assert {name: about[name] for name in ("list", "filters", "complete")} == {
        "list": "grants",
        "filters": "",
        "complete": True,
    }


def test_long_list_is_cut_off_and_the_file_says_so(admin_browser, monkeypatch):
    GrantFactory.create_batch(4)
    monkeypatch.setattr(export, "MOST_ROWS", 3)

    response = admin_browser.get(admin_url("grant_export_json"))
    found = json.loads(content(response))

    assert (len(found["rows"]), found["complete"]) == (3, False)
    assert 'filename="first-3-grants-' in response["Content-Disposition"]
    assert log_entries()[0][3] == "Exported 3 grants as json."


def test_rows_are_read_by_one_statement_however_many_they_are(admin_browser):
    many_rows(5)
    response = admin_browser.get(admin_url("grant_export_csv"))

    with CaptureQueriesContext(
        connection,
    ) as queries:
        rows = csv_rows(response)

    assert len(rows) == 5
    assert len([query for query in queries if "oauth_refresh_grant" in query["sql"]]) == 1


def test_list_longer_than_one_piece_is_whole(admin_browser):
    many_rows(501)

    rows = csv_rows(admin_browser.get(admin_url("grant_export_csv")))
    same = json.loads(content(admin_browser.get(admin_url("grant_export_json"))))["rows"]

    assert [row["grant"] for row in rows] == [row["grant"] for row in same]
    assert len({row["grant"] for row in rows}) == 501


@pytest.mark.slow
@pytest.mark.skipif(connection.vendor == "mysql", reason="the driver reads the whole answer before the first row")
@pytest.mark.parametrize("form", ["csv", "json"])
def test_long_list_is_streamed_in_memory_that_does_not_grow_with_it(admin_browser, monkeypatch, form):
    monkeypatch.setattr(export, "_ROWS_AT_ONCE", 100)
    monkeypatch.setattr(export_formats, "_ROWS_A_PIECE", 50)
    grants_of(ApplicationFactory(), 300)
    most_of_few = memory_of_an_export(admin_browser, form)
    Grant.objects.bulk_create(
        GrantFactory.build(application=grant.application, user=grant.user, public_id=uuid4())
        for grant in Grant.objects.select_related("application", "user")
        for _copy in range(4)
    )

    rows, most = memory_of_an_export(admin_browser, form)

    assert (most_of_few[0], rows) == (300, 1_500)
    assert most < 1.5 * most_of_few[1]


def memory_of_an_export(client, form):
    """Read a file piece by piece; return its number of rows, and the most memory in bytes that was in use."""
    client.get(admin_url(f"grant_export_{form}"))  # what is kept from then on is no part of the file
    rows = 0
    tracemalloc.start()
    try:
        response = client.get(admin_url(f"grant_export_{form}"))
        for piece in response.streaming_content:
            rows += piece.count(b"password")
        return rows, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_empty_list_is_a_file_with_no_rows(admin_browser):
    assert csv_rows(admin_browser.get(admin_url("grant_export_csv"))) == []
    assert json.loads(content(admin_browser.get(admin_url("grant_export_json"))))["rows"] == []


def test_grant_without_a_user_is_exported(admin_browser, superuser):
    grant = GrantFactory(user=None, grant_type="client_credentials")
    revoke_grant(grant, reason="leaked", by=superuser)

    (row,) = csv_rows(admin_browser.get(admin_url("grant_export_csv")))

    assert (row["user"], row["revoked_by"]) == ("", "boss")


def test_timeline_is_exported_as_its_page_shows_it(admin_browser, theft):
    found = json.loads(content(admin_browser.get(admin_url("grant_timeline_json", theft.pk))))

    assert found["grant"] == str(theft.public_id)
    assert [(row["at"], row["kind"]) for row in found["rows"]][-3:] == [
        ("2026-03-01T09:33:05+00:00", "alarm"),
        ("2026-03-01T09:32:05+00:00", "refreshed"),
        ("2026-03-01T09:30:05+00:00", "started"),
    ]


def test_timeline_holds_each_refresh_that_its_page_folds(admin_browser):
    grant = GrantFactory(generation=7, created_at=AT)
    for number in range(1, 8):
        RefreshTokenFactory(
            grant=grant, generation=number, created_at=AT + timedelta(hours=number), address="192.0.2.1"
        )

    rows = csv_rows(admin_browser.get(admin_url("grant_timeline_csv", grant.pk)))

    assert [row["detail"] for row in rows if row["kind"] == "refreshed"] == [f"token {n}" for n in range(7, 1, -1)]
