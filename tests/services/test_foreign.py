"""Which texts can be tokens of another server, and what an importer's error tells."""

import logging
from http import HTTPStatus

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from oauth_refresh import crypto
from oauth_refresh.errors import ImporterFailed, InvalidToken
from oauth_refresh.models import Grant
from oauth_refresh.services import authenticate_access_token
from oauth_refresh.services.foreign import accepts_foreign_tokens, is_foreign_text
from tests.factories import SECRET
from tests.foreign import ACCESS, CURRENT, move_in
from tests.oauth import OAuthClient
from tests.reports import Reports, encodings

pytestmark = pytest.mark.django_db


@pytest.fixture
def app_that_imports(monkeypatch):
    """An installed app that imported sessions, so that FOREIGN_TOKENS may be empty."""
    monkeypatch.setattr(apps.get_app_config("members"), "imports_foreign_tokens", True, raising=False)


def test_no_token_of_another_server_is_accepted_by_default():
    assert not accepts_foreign_tokens()
    assert not is_foreign_text(CURRENT)


def test_installed_app_that_imports_sessions_lets_their_tokens_be_accepted(app_that_imports, application, user):
    grant = move_in(application, user)

    assert accepts_foreign_tokens()
    assert authenticate_access_token(ACCESS).grant == grant


def test_unknown_text_is_refused_where_there_is_no_importer(app_that_imports):
    with pytest.raises(InvalidToken):
        authenticate_access_token(ACCESS)


@pytest.mark.parametrize("raw", ["x", CURRENT, "a.b-c_d~e+f/g==", 'with spaces, and "quotes"', "x" * 4_096])
def test_printable_text_can_be_a_token_of_another_server(other_server, raw):
    assert is_foreign_text(raw)


@pytest.mark.parametrize("raw", ["", "x" * 4_097, "ü", "a\x00b", "a\nb", "\ud800", "ort_x", "oat_x", "oac_x"])
def test_other_text_cannot_be_a_token_of_another_server(other_server, raw):
    assert not is_foreign_text(raw)


def test_each_importer_is_asked_until_one_fails(other_server, oauth_settings):
    oauth_settings(FOREIGN_TOKENS=["tests.foreign.adopt", "tests.foreign.adopt", "tests.foreign.fail_then_adopt"])

    with pytest.raises(ImporterFailed) as failure:
        authenticate_access_token(ACCESS)

    assert other_server.asked == [ACCESS, ACCESS]
    assert str(failure.value) == "An importer of FOREIGN_TOKENS failed with KeyError."
    assert not Grant.objects.exists()


@pytest.mark.parametrize("view", ["notes", "plain", "oauth_refresh:verify", None], ids=lambda view: view or "token")
def test_error_of_an_importer_is_reported_without_the_token(other_server, oauth_settings, application, view):
    oauth_settings(FOREIGN_TOKENS=["tests.foreign.fail_then_adopt"])
    reports = Reports()
    loggers = [logging.getLogger(name) for name in ("django", "oauth_refresh")]
    for logger in loggers:
        logger.addHandler(reports)
    try:
        if view is None:
            response = OAuthClient(application, SECRET, refresh_token=CURRENT).refresh()
        else:
            response = Client(raise_request_exception=False).get(
                reverse(view), headers={"Authorization": f"Bearer {CURRENT}"}
            )
    finally:
        for logger in loggers:
            logger.removeHandler(reports)

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    formatter = logging.Formatter()
    seen = [*map(formatter.format, reports.records), *filter(None, reports.mails)]
    assert any("fail_then_adopt" in text for text in seen)  # the line where it happened
    assert not [text for text in seen if any(form in text for form in encodings(CURRENT))]
    assert not [text for text in seen if crypto.digest(CURRENT) in text]
