"""The system checks, as lists of ids."""

from datetime import timedelta
from io import StringIO

import factory
import pytest
from django.core.checks import run_checks
from django.core.checks.registry import registry
from django.core.management import call_command
from django.db import connection
from psycopg import IsolationLevel

from oauth_refresh import checks
from oauth_refresh.signals import refresh_token_exchanged


class UsersElsewhere:
    """A database router that keeps users in a database of their own."""

    def db_for_write(self, model, **hints):
        return "users" if model._meta.label == "auth.User" else None


def ids(messages):
    return [message.id for message in messages]


@pytest.mark.parametrize(
    ("configured", "found"),
    [
        ({}, []),
        ({"ACCESS_TOKEN_LIFETIME": 60, "REFRESH_TOKEN_LIFETIME": 60, "GRANT_LIFETIME": 60}, []),
        ({"GRANT_LIFETIME": None, "REFRESH_TOKEN_LIFETIME": timedelta(days=1000)}, []),
        ({"SCOPES": {"read": "Read"}, "DEFAULT_SCOPES": ["read"]}, []),
        ({"ACESS_TOKEN_LIFETIME": 60}, ["oauth_refresh.E001"]),
        ({"access_token_lifetime": 60, 7: 7}, ["oauth_refresh.E001", "oauth_refresh.E001"]),
        ({"ACCESS_TOKEN_LIFETIME": "1h"}, ["oauth_refresh.E002"]),
        ({"SCOPES": {"two words": "A name that no request can hold"}}, ["oauth_refresh.E002"]),
        ({"SCOPES": ["read"], "RETRY_LIMIT": -1}, ["oauth_refresh.E002", "oauth_refresh.E002"]),
        ({"UNKNOWN": 1, "RETRY_LIMIT": -1}, ["oauth_refresh.E001", "oauth_refresh.E002"]),
        ({"RETRY_LIMIT": -1, "RETRY_WINDOW": 1}, ["oauth_refresh.E002"]),
        ({"ACCESS_TOKEN_LIFETIME": timedelta(days=15)}, ["oauth_refresh.E003"]),
        ({"REFRESH_TOKEN_LIFETIME": timedelta(days=91)}, ["oauth_refresh.E003"]),
        ({"GRANT_LIFETIME": 1, "REFRESH_TOKEN_LIFETIME": 2}, ["oauth_refresh.E003", "oauth_refresh.E003"]),
        ({"RETRY_WINDOW": 10}, ["oauth_refresh.E004"]),
        ({"DEFAULT_SCOPES": ["read"]}, ["oauth_refresh.E005"]),
    ],
)
def test_check_of_the_settings_finds(settings, configured, found):
    settings.OAUTH_REFRESH = configured

    assert ids(checks.check_settings()) == found


def test_message_of_the_settings_check_says_what_to_write(settings):
    settings.OAUTH_REFRESH = {"RETRY_LIMIT": -1, "RETRY_LIMITS": 1}

    unknown, unusable = checks.check_settings()

    assert unknown.msg == "OAUTH_REFRESH['RETRY_LIMITS'] is no setting."
    assert unknown.hint.startswith("Choose from: ACCESS_TOKEN_LIFETIME, ACCESS_TOKEN_PREFIX, ")
    assert unusable.msg == "OAUTH_REFRESH['RETRY_LIMIT'] cannot be used: write a whole number, not negative."


def test_check_finds_nothing_while_our_receiver_is_connected():
    assert ids(checks.check_receiver()) == []


def test_check_finds_that_our_receiver_is_disconnected():
    with factory.django.mute_signals(refresh_token_exchanged):
        assert ids(checks.check_receiver()) == ["oauth_refresh.E006"]


def test_check_finds_nothing_while_all_models_are_in_one_database():
    assert ids(checks.check_one_database()) == []


def test_check_finds_users_in_another_database(settings):
    settings.DATABASE_ROUTERS = ["tests.test_checks.UsersElsewhere"]

    (message,) = checks.check_one_database()

    assert message.id == "oauth_refresh.E007"
    assert "auth.User" in message.msg


@pytest.mark.parametrize(
    ("level", "found"),
    [
        (None, []),
        ("read committed", []),
        (IsolationLevel.READ_COMMITTED, []),
        ("repeatable read", ["oauth_refresh.W001"]),
        (IsolationLevel.SERIALIZABLE, ["oauth_refresh.W001"]),
    ],
)
def test_check_of_the_isolation_level_finds(monkeypatch, level, found):
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"isolation_level": level})

    assert ids(checks.check_isolation()) == found


@pytest.mark.parametrize(
    ("configured", "found"),
    [
        ({}, []),
        ({"ROTATE_REFRESH_TOKENS": False}, ["oauth_refresh.W002"]),
        ({"REQUIRE_HTTPS": False}, ["oauth_refresh.W003"]),
        ({"GRANT_TYPES": ["password", "refresh_token"]}, ["oauth_refresh.W004"]),
        ({"REVOKE_ON_REUSE": False}, ["oauth_refresh.W006"]),
        (
            {"REVOKE_ON_REUSE": False, "ROTATE_REFRESH_TOKENS": False},
            ["oauth_refresh.W002", "oauth_refresh.W006"],
        ),
    ],
)
def test_check_of_the_deployment_finds(settings, configured, found):
    settings.OAUTH_REFRESH = configured

    assert ids(checks.check_deployment()) == found


def test_check_of_the_deployment_finds_a_secret_key_made_for_development(settings):
    settings.SECRET_KEY = "django-insecure-0123456789"
    settings.OAUTH_REFRESH = {}

    assert ids(checks.check_deployment()) == ["oauth_refresh.W005"]


@pytest.mark.parametrize(
    ("deploy", "found"),
    [(False, []), (True, ["oauth_refresh.W003", "oauth_refresh.W004"])],
)
def test_checks_are_registered_and_those_of_the_deployment_wait_for_deploy(deploy, found):
    messages = run_checks(include_deployment_checks=deploy)

    assert [id_ for id_ in ids(messages) if id_.startswith("oauth_refresh.")] == found


def test_every_check_is_registered_once():
    registered = [check.__name__ for check in registry.get_checks(True) if check.__module__ == checks.__name__]

    assert sorted(registered) == sorted(check.__name__ for check, _tag, _deploy in checks.ALL)


def test_command_check_deploy_prints_our_warnings():
    printed = StringIO()

    call_command("check", "--deploy", stderr=printed)

    assert "(oauth_refresh.W003) REQUIRE_HTTPS is off, so secrets and tokens may travel in the clear." in str(
        printed.getvalue()
    )
