"""An API on another machine, on Django REST framework and in plain views."""

import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.core.checks.registry import registry
from django.core.exceptions import ImproperlyConfigured
from django.test import AsyncClient, Client

from oauth_refresh.resource_server.remote import configured
from oauth_refresh.resource_server.remote.apps import OAuthResourceServerConfig
from oauth_refresh.resource_server.remote.checks import check_resource_server
from tests.feed_server import access_token

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.urls("tests.resource_server.remote.views")]
TOKEN = access_token("one")
REALM = 'Bearer realm="oauth"'
INVALID = f'{REALM}, error="invalid_token", error_description="The access token is invalid, expired or revoked."'
LACKING = (
    f'{REALM}, error="insufficient_scope", error_description="The access token does not allow this.",'
    ' scope="PRODUCTION"'
)
VIEWS = ["/notes", "/plain", "/plain-async"]
ADA = {"user": ["42", "ada", True, False, "ada"], "client": "phone", "scopes": ["notes:read", "notes:write"]}


@pytest.fixture
def api(feed_server, settings):
    """Set the project's setting; the function that is returned changes it."""

    def change(**more):
        given = feed_server.settings(poll_interval=0.05, max_lag=60, timeout=30)
        settings.OAUTH_RESOURCE_SERVER = {name.upper(): value for name, value in given.items()} | more

    change()
    yield change
    if configured._InUse.tokens is not None:
        configured._InUse.tokens.close()
        configured._InUse.tokens = None


def call(path, raw=None, **extra):
    headers = {} if raw is None else {"Authorization": f"Bearer {raw}"}
    return Client().get(path, headers=headers, **extra)


@pytest.mark.parametrize("view", VIEWS)
def test_token_authenticates_a_user_without_a_table_of_users(api, view):
    response = call(view, TOKEN)

    assert (response.status_code, response.json()) == (HTTPStatus.OK, ADA)
    assert response["Cache-Control"] == "private"
    assert "Authorization" in response["Vary"]


@pytest.mark.parametrize("view", VIEWS)
def test_application_that_acts_for_itself_has_no_user(api, feed_server, view):
    feed_server.further = {"username": None, "sub": "phone"}

    assert call(view, TOKEN).json()["user"] == [None, "", False, True, ""]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    ("raw", "status", "challenge"),
    [
        (None, HTTPStatus.UNAUTHORIZED, REALM),
        (access_token("x"), HTTPStatus.UNAUTHORIZED, INVALID),
        ("short", HTTPStatus.UNAUTHORIZED, INVALID),
    ],
)
def test_refusal_is_that_of_a_view_on_the_server_itself(api, view, raw, status, challenge):
    response = call(view, raw)

    assert (response.status_code, response["WWW-Authenticate"]) == (status, challenge)
    assert "private" in response["Cache-Control"]


@pytest.mark.parametrize(("method", "path"), [("post", "/notes"), ("get", "/production")])
def test_token_without_the_scope_is_refused(api, method, path):
    response = getattr(Client(), method)(path, headers={"Authorization": f"Bearer {TOKEN}"})

    assert (response.status_code, response["WWW-Authenticate"]) == (HTTPStatus.FORBIDDEN, LACKING)


@pytest.mark.parametrize("view", VIEWS)
def test_token_that_cannot_be_checked_is_answered_with_503(api, feed_server, view):
    feed_server.can("/introspect", b"")

    response = call(view, TOKEN)

    assert (response.status_code, response["Retry-After"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "5")
    assert "private" in response["Cache-Control"]
    assert "WWW-Authenticate" not in response


def find_user(token):
    return None if token.sub == "43" else Person(token)


class Person:
    is_authenticated, is_anonymous = True, False

    def __init__(self, token):
        self.pk, self.name = f"person {token.sub}", token.username

    def get_username(self):
        return self.name

    __str__ = get_username


@pytest.mark.parametrize("user", [find_user, f"{__name__}.find_user"])
@pytest.mark.parametrize("view", VIEWS)
def test_project_may_find_its_own_user(api, feed_server, view, user):
    api(USER=user)

    assert call(view, TOKEN).json()["user"] == ["person 42", "ada", True, False, "ada"]
    feed_server.further = {"sub": "43"}
    assert call(view, access_token("other")).status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("view", VIEWS)
def test_views_are_protected_under_asgi(api, view):
    headers = {"Authorization": f"Bearer {TOKEN}"}

    response = async_to_sync(AsyncClient().get)(view, headers=headers)

    assert (response.status_code, response.json()) == (HTTPStatus.OK, ADA)


def test_replaced_secret_is_used_as_soon_as_the_setting_is_changed(api, feed_server, settings):
    assert call("/plain", TOKEN).status_code == HTTPStatus.OK
    former = configured._InUse.tokens
    feed_server.secrets = ["the next secret"]
    assert call("/plain", access_token("new")).status_code == HTTPStatus.SERVICE_UNAVAILABLE

    settings.OAUTH_RESOURCE_SERVER["CLIENT_SECRET"] = "the next secret"

    assert call("/plain", access_token("new")).status_code == HTTPStatus.OK
    assert not former._feed._thread.is_alive()
    assert call("/health").json()["introspections"] in {1, 2}


USABLE = {"ISSUER": "https://auth.example", "CLIENT_ID": "billing", "CLIENT_SECRET": "secret"}


@pytest.mark.parametrize(
    ("setting", "messages"),
    [
        (USABLE, []),
        (USABLE | {"USER": find_user}, []),
        (None, ["OAUTH_RESOURCE_SERVER is missing or not a dict: write ISSUER, CLIENT_ID and CLIENT_SECRET."]),
        (USABLE | {"SECRET": 1}, ["OAUTH_RESOURCE_SERVER['SECRET'] is not a setting."]),
        (
            {"CLIENT_ID": "billing", "CLIENT_SECRET": "secret"},
            [
                (
                    "OAUTH_RESOURCE_SERVER['ISSUER'] cannot be used: write the issuer URL of the authorization server,"
                    " such as https://auth.example.com."
                )
            ],
        ),
        (
            USABLE | {"USER": "no.such.module"},
            [
                (
                    "OAUTH_RESOURCE_SERVER['USER'] cannot be used:"
                    " write the dotted path of a callable (No module named 'no')."
                )
            ],
        ),
        (
            USABLE | {"USER": 7},
            ["OAUTH_RESOURCE_SERVER['USER'] cannot be used: write a callable, its dotted path, or None."],
        ),
        (USABLE | {"ISSUER": "http://auth.example"}, ["OAUTH_RESOURCE_SERVER['ISSUER'] is not an https URL."]),
    ],
)
def test_check_names_what_is_wrong_with_the_setting(settings, setting, messages):
    settings.OAUTH_RESOURCE_SERVER = setting

    assert [found.msg for found in check_resource_server()] == messages


def test_plain_http_is_fine_while_debugging(settings):
    settings.DEBUG = True
    settings.OAUTH_RESOURCE_SERVER = USABLE | {"ISSUER": "http://127.0.0.1:8000"}

    assert check_resource_server() == []


def test_setting_that_cannot_be_used_is_named_at_the_first_request(settings):
    settings.OAUTH_RESOURCE_SERVER = {}

    with pytest.raises(ImproperlyConfigured, match=r"ISSUER.*CLIENT_ID.*CLIENT_SECRET"):
        configured.remote_tokens()


def test_app_registers_the_check():
    config = OAuthResourceServerConfig.create("oauth_refresh.resource_server.remote")
    config.ready()

    assert check_resource_server in registry.registered_checks
    registry.registered_checks.remove(check_resource_server)


PROGRAM = """
import django
from django.conf import settings
settings.configure(
    ALLOWED_HOSTS=["testserver"],
    INSTALLED_APPS=["oauth_refresh.resource_server.remote"],
    OAUTH_RESOURCE_SERVER={"ISSUER": "http://127.0.0.1:9", "CLIENT_ID": "billing"},
    REST_FRAMEWORK={"UNAUTHENTICATED_USER": None},
    ROOT_URLCONF="tests.resource_server.remote.views",
)
django.setup()
from django.core.checks import run_checks
from django.test import Client
print([found.id for found in run_checks()])
settings.OAUTH_RESOURCE_SERVER["CLIENT_SECRET"] = "secret"
print([found.id for found in run_checks()])
for path in ("/notes", "/plain", "/plain-async"):
    print(Client().get(path).status_code, Client().get(path, headers={"Authorization": "Bearer a"}).status_code)
"""


def test_project_needs_neither_our_tables_nor_those_of_users():
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout.splitlines()) == (
        0,
        ["['oauth_resource_server.E001']", "['oauth_resource_server.W001']", "401 503", "401 503", "401 503"],
    ), run.stderr
