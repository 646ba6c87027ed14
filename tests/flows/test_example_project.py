"""The commands and checks of the example project, each in a process of its own."""

import json
import re
import secrets
from http import HTTPStatus

import pytest

from tests.server import curl, free_port, manage

DELETE_ACCOUNTS = """
from django.contrib.auth.models import User
from oauth_refresh.models import Application

Application.objects.all().delete()
User.objects.all().delete()
"""
PRODUCTION = {"DEBUG": "False", "ALLOWED_HOSTS": "notes.example"}


def test_demo_can_run_twice(database_url):
    for _run in range(2):
        result = manage("demo", "--no-serve", "--port", str(free_port()), database_url=database_url)

        assert result.returncode == 0, result.stderr
        assert result.stdout.count("HTTP 200 OK") == 13
        assert result.stdout.count("error=invalid_grant") == 3


def test_output_of_the_demo_fits_a_screen_and_holds_no_whole_token(database_url):
    port = str(free_port())

    printed = manage("demo", "--no-serve", "--port", port, database_url=database_url).stdout

    assert len(printed.splitlines()) < 45
    assert max(map(len, printed.splitlines())) <= 110
    assert re.findall(r"o[ar]t_[\w-]{20}", printed) == []


def test_printed_curl_command_works(origin, database_url, tmp_path):
    port = free_port()
    printed = manage("demo", "--no-serve", "--verbose", "--port", str(port), database_url=database_url).stdout
    line = [line for line in printed.splitlines() if "grant_type=password" in line][-1]

    answer = curl(line.replace(f"http://127.0.0.1:{port}", origin), folder=tmp_path)

    assert answer.status == HTTPStatus.OK
    assert json.loads(answer.text)["token_type"] == "Bearer"


def test_home_page_is_served(origin, tmp_path):
    answer = curl(f"curl {origin}/", folder=tmp_path)

    assert answer.status == HTTPStatus.OK
    assert "Refresh tokens with reuse detection" in answer.text


def test_demo_refuses_to_run_without_debug(database_url):
    result = manage("demo", database_url=database_url, SECRET_KEY=secrets.token_urlsafe(64), **PRODUCTION)

    assert result.returncode == 1
    assert result.stderr == "CommandError: The demo's passwords are public, so it runs only with DEBUG on.\n"


def test_demo_says_when_its_port_is_taken(origin, database_url):
    result = manage("demo", "--port", origin.rpartition(":")[2], database_url=database_url)

    assert result.returncode == 1
    assert "choose another with --port" in result.stderr


def test_deployment_check_finds_only_the_password_grant(database_url):
    key = secrets.token_urlsafe(64)

    result = manage("check", "--deploy", database_url=database_url, SECRET_KEY=key, **PRODUCTION)

    assert result.returncode == 0
    assert result.stderr.count("?: (") == 1
    assert "oauth_refresh.W004" in result.stderr


def test_production_site_counts_guesses_in_a_table_that_migrate_has_created(database_url):
    manage("migrate", database_url=database_url)
    script = "from django.core.cache import caches; c = caches['default']; c.set('a', 1); print(type(c), c.get('a'))"

    result = manage(
        "shell", "--verbosity", "0", "--command", script, database_url=database_url, SECRET_KEY="a key", **PRODUCTION
    )

    assert result.stdout.strip() == "<class 'django.core.cache.backends.db.DatabaseCache'> 1"


def test_migrate_stops_in_production_with_accounts_of_the_demonstration(database_url):
    manage("demo", "--no-serve", "--port", str(free_port()), database_url=database_url)
    production = {**PRODUCTION, "SECRET_KEY": secrets.token_urlsafe(64)}

    migrated = manage("migrate", database_url=database_url, **production)
    assert migrated.returncode == 1
    assert "(example_project.E001) The database holds accounts of the demonstration: demo, admin, " in migrated.stderr
    assert "oracle-sample-public" in migrated.stderr

    manage("shell", "--verbosity", "0", "--command", DELETE_ACCOUNTS, database_url=database_url, **production)
    assert manage("migrate", database_url=database_url, **production).returncode == 0


@pytest.mark.parametrize(("proxies", "expected"), [("0", "None 0"), ("1", "('HTTP_X_FORWARDED_PROTO', 'https') 1")])
def test_forwarded_headers_are_trusted_only_with_proxies(database_url, proxies, expected):
    script = "from django.conf import settings as s; print(s.SECURE_PROXY_SSL_HEADER, s.OAUTH_REFRESH['NUM_PROXIES'])"

    result = manage("shell", "--verbosity", "0", "--command", script, database_url=database_url, PROXIES=proxies)

    assert result.stdout.strip() == expected


def test_production_needs_a_secret_key(database_url):
    result = manage("check", database_url=database_url, **PRODUCTION)

    assert "Set the SECRET_KEY environment variable" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["oauth_issue_tokens", "--application", "nobody"], "There is no application with the client ID 'nobody'."),
        (["oauth_revoke_grants"], "Say which grants: --application, --user, --created-before or --token-stdin."),
        (["oauth_create_application", "App", "--client-secret", "x"], "client_secret: A secret is stored"),
    ],
)
def test_command_errors_are_one_sentence_on_stderr_and_exit_1(origin, database_url, arguments, sentence):
    result = manage(*arguments, database_url=database_url)

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"CommandError: {sentence}")
    assert "Traceback" not in result.stderr
