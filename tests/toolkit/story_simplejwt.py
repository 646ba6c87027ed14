"""The importer of ``docs/how-to/move-other-sessions.md`` moves sessions; ``tests/test_toolkit.py`` runs this."""

import sys
from datetime import timedelta
from http import HTTPStatus
from types import ModuleType, SimpleNamespace

import pytest
from django.apps import apps
from django.db.models import Q
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from oauth_refresh.models import Application, Grant
from oauth_refresh.services import revoke_grants
from tests.docs.pages import DOCS, blocks
from tests.factories import ApplicationFactory
from tests.toolkit.old import NEW, OldClient

pytestmark = pytest.mark.django_db

IMPORTER, SETTINGS, ALL, ENDING = blocks(DOCS / "how-to" / "move-other-sessions.md", "python")


def module(name, source, monkeypatch):
    """Return a module with this source, which can be imported by its name until the test ends."""
    made = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, made)
    exec(source, vars(made))  # noqa: S102  the page's own text
    return made


@pytest.fixture(autouse=True)
def sessions(monkeypatch, oauth_settings):
    """The importer of the page, where it says."""
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    made = module("mysite.sessions", IMPORTER, monkeypatch)
    configured = module("settings_of_the_page", SETTINGS, monkeypatch).OAUTH_REFRESH
    assert configured == {"FOREIGN_TOKENS": ["mysite.sessions.adopt"]}
    oauth_settings(**configured)
    ApplicationFactory(client_id="phone", public=True)
    return made


def client_of(user):
    return OldClient("phone", None, NEW, refresh_token=str(RefreshToken.for_user(user)))


def test_client_goes_on_with_the_refresh_token_of_simplejwt(user):
    client = client_of(user)
    first = client.refresh_token

    client.rotate().rotate()

    assert Grant.objects.get().user == user
    assert client.refresh(first).status_code == HTTPStatus.BAD_REQUEST
    assert Grant.objects.get().revoked_reason == "reuse_detected"


def test_all_sessions_are_moved_at_once_and_end_there(user, monkeypatch):
    clients = [client_of(user) for _client in range(3)]

    module("moved", ALL, monkeypatch).move_all()

    assert Grant.objects.count() == 3
    assert OutstandingToken.objects.filter(blacklistedtoken=None).count() == 0
    for client in clients:
        client.rotate()


def test_what_is_no_live_token_there_is_refused(user):
    blacklisted, deleted = client_of(user), client_of(user)
    RefreshToken(blacklisted.refresh_token).blacklist()
    OutstandingToken.objects.get(token=deleted.refresh_token).delete()
    foreign = OldClient("phone", None, NEW, refresh_token="no token")

    for client in (blacklisted, deleted, foreign):
        assert client.refresh().json()["error"] == "invalid_grant"
    assert not Grant.objects.exists()


ENDED = [
    (lambda user, phone: Q(user=user), True),
    (lambda user, phone: Q(application=phone), True),
    (lambda user, phone: Q(user=user, created_at__lt=timezone.now()), True),
    (lambda user, phone: Q(user=user, created_at__lt=timezone.now() - timedelta(days=1)), False),
    (lambda user, phone: Q(application=ApplicationFactory()), False),
]


@pytest.mark.parametrize(("selector", "is_ended"), ENDED)
def test_sessions_that_were_not_moved_end_with_the_grants(user, monkeypatch, selector, is_ended):
    client = client_of(user)
    made = module("apps_of_the_page", ENDING, monkeypatch)
    config = made.MySiteConfig("mysite", SimpleNamespace(__file__=__file__))
    monkeypatch.setattr(apps.get_app_config("members"), "end_sessions", config.end_sessions, raising=False)

    revoke_grants(selector(user, Application.objects.get(client_id="phone")), reason="a test")

    assert (client.refresh().status_code == HTTPStatus.BAD_REQUEST) == is_ended
