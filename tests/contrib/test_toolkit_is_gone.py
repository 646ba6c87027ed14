"""The app that moved sessions stays for a while after django-oauth-toolkit was taken out of the project."""

import sys
from importlib import reload

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db.models import Q

from oauth_refresh.contrib.toolkit import old_rows
from oauth_refresh.contrib.toolkit.ending import end_sessions
from oauth_refresh.contrib.toolkit.management.commands.oauth_import_toolkit import Command
from oauth_refresh.services import revoke_grants

pytestmark = pytest.mark.django_db


@pytest.fixture
def uninstalled(monkeypatch):
    """The package is not there either."""
    monkeypatch.setitem(sys.modules, "oauth2_provider.scopes", None)
    reload(old_rows)
    yield
    monkeypatch.undo()
    reload(old_rows)


@pytest.mark.parametrize("options", [[], ["--applications"], ["--sessions"], ["--undo"], ["--undo", "--applications"]])
def test_command_says_that_there_is_nothing_to_move(uninstalled, options):
    with pytest.raises(CommandError, match="oauth2_provider is not in INSTALLED_APPS"):
        call_command(Command(), *options)


def test_grants_are_revoked_all_the_same(uninstalled, client_app, oauth_settings, monkeypatch):
    oauth_settings(FOREIGN_TOKENS=["tests.foreign.adopt"])
    monkeypatch.setattr(apps.get_app_config("members"), "end_sessions", end_sessions, raising=False)

    assert revoke_grants(Q(user=client_app.grant.user), reason="a test").count == 1
