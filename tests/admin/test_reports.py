"""The database fails while a page with a raw value is made: no error report holds the value."""

import logging
from http import HTTPStatus
from urllib.parse import quote_plus

import pytest
from django.contrib.admin.models import LogEntry

from oauth_refresh.models import Application, Grant
from tests.admin.applications import replaces_field
from tests.admin.database_errors import failing_statements
from tests.admin.pages import admin_url, browser
from tests.factories import UserFactory
from tests.reports import Reports, raw_values_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def reports():
    """Every log record, and every mail to the administrators, with all logging on."""
    handler, root = Reports(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.fixture
def client(superuser):
    """A superuser's browser, which is shown error pages."""
    return browser(superuser, raise_request_exception=False)


def reported(reports):
    return "\n".join([*reports.mails, *(f"{record.getMessage()} {vars(record)!r}" for record in reports.records)])


@pytest.mark.parametrize(
    "table",
    ["django_session", "auth_user", "oauth_refresh_refreshtoken", "oauth_refresh_grant", "oauth_refresh_accesstoken"],
)
def test_fault_while_a_token_is_looked_for_reports_no_token(client, client_app, reports, table):
    unknown = f"{client_app.refresh_token[:-1]}{'A' if client_app.refresh_token[-1] != 'A' else 'B'}"
    raw_values = [client_app.refresh_token, client_app.access_token, unknown]
    text = f"Bearer {' '.join(reversed(raw_values))}"

    with failing_statements("SELECT", table):
        response = client.post(admin_url("grant_find"), {"text": text})

    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert any("OperationalError" in mail and "find_view" in mail for mail in reports.mails)
    assert [raw for raw in raw_values if raw in reported(reports) or quote_plus(raw) in reported(reports)] == []


def test_fault_after_a_new_secret_was_generated_reports_no_secret_and_keeps_the_old_one(client, application, reports):
    before = Application.objects.values().get()
    form = {"overlap": "3600", "replaces": replaces_field(client, application)}

    with failing_statements("INSERT", "django_admin_log") as digests:
        response = client.post(admin_url("application_secret", application.pk), form)

    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert len(digests - {application.secret_digest}) == 1
    assert "issue_secret" in reported(reports)
    assert raw_values_in(reported(reports), digests) == []
    assert Application.objects.values().get() == before


def test_fault_after_the_first_secret_was_generated_reports_no_secret_and_creates_nothing(client, reports):
    fields = {"name": "App", "auth_method": "client_secret_basic", "grant_types": ["password"], "is_active": "on"}

    with failing_statements("UPDATE", "oauth_refresh_application") as digests:
        response = client.post(admin_url("application_add"), fields)

    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "replace_secret" in reported(reports)
    assert raw_values_in(reported(reports), digests) == []
    assert (Application.objects.count(), LogEntry.objects.count()) == (0, 0)


def test_fault_after_tokens_were_generated_reports_no_token_and_starts_nothing(client, application, reports):
    user = UserFactory()

    with failing_statements("INSERT", "django_admin_log") as digests:
        response = client.post(
            admin_url("application_tokens", application.pk), {"username": user.username, "scope": ["notes:read"]}
        )

    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert len(digests) >= 2
    assert "tokens_view" in reported(reports)
    assert raw_values_in(reported(reports), digests) == []
    assert not Grant.objects.exists()


ANSWERS = [
    ("application_secret", {"overlap": "0"}, 1),
    ("application_tokens", {"username": "alice", "scope": ["notes:read"]}, 2),
]


@pytest.fixture
def broken_template(settings):
    """A project whose own template for a raw value fails."""
    broken = {"admin/oauth_refresh/application/value.html": "{{ 1|divisibleby:0 }}"}
    (engine,) = settings.TEMPLATES
    loaders = [("django.template.loaders.locmem.Loader", broken), "django.template.loaders.app_directories.Loader"]
    settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": {**engine["OPTIONS"], "loaders": loaders}}]


@pytest.mark.usefixtures("broken_template")
@pytest.mark.parametrize(("page", "data"), [answer[:2] for answer in ANSWERS])
def test_fault_in_a_template_of_the_project_reports_no_raw_value(client, application, reports, page, data):
    UserFactory(username="alice")
    form = data | {"replaces": replaces_field(client, application)}

    with failing_statements("DELETE", "nothing") as digests:
        response = client.post(admin_url(page, application.pk), form)

    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "django/template/base.py" in reported(reports)
    assert raw_values_in(reported(reports), digests) == []


@pytest.mark.parametrize(("page", "data", "count"), ANSWERS)
def test_search_for_raw_values_finds_those_of_an_answer(client, application, page, data, count):
    UserFactory(username="alice")
    form = data | {"replaces": replaces_field(client, application)}

    with failing_statements("DELETE", "nothing") as digests:
        response = client.post(admin_url(page, application.pk), form)

    assert len(raw_values_in(response.content.decode(), digests)) == count
