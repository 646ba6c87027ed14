"""The system checks, as lists of ids."""

import sys
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from types import ModuleType, SimpleNamespace

import factory
import pytest
from django.apps import apps
from django.contrib.auth.views import LoginView
from django.core.checks import run_checks
from django.core.checks.registry import registry
from django.core.management import call_command
from django.db import connection, connections
from django.urls import path
from psycopg import IsolationLevel

from oauth_refresh import checks
from oauth_refresh.conf import AppSettings
from oauth_refresh.contrib import toolkit
from oauth_refresh.models import Application, UsedAssertion
from oauth_refresh.signals import refresh_token_exchanged
from tests.factories import ApplicationFactory

urlpatterns = [path("accounts/login/", LoginView.as_view())]


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
        ({"SCOPES": {"read": "Read"}, "DEFAULT_SCOPES": ["read", "offline_access"]}, []),
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
        ({"RETRY_WINDOW": 3599}, []),
        ({"RETRY_WINDOW": 3600}, ["oauth_refresh.E004"]),
        ({"RETRY_WINDOW": 60, "ACCESS_TOKEN_LIFETIME": 60}, ["oauth_refresh.E004"]),
        ({"DEFAULT_SCOPES": ["read"]}, ["oauth_refresh.E005"]),
        (["SCOPES"], ["oauth_refresh.E001"]),
        (None, ["oauth_refresh.E001"]),
        ({"GRANT_TYPES": ["pasword"]}, ["oauth_refresh.E010"]),
        ({"REFRESH_TOKEN_GRANT_TYPES": ["urn:ietf:params:oauth:grant-type:jwt-bearer"]}, ["oauth_refresh.E010"]),
        ({"ACCESS_TOKEN_PREFIX": "ort_"}, ["oauth_refresh.E011"]),
        ({"ACCESS_TOKEN_PREFIX": "o", "REFRESH_TOKEN_PREFIX": "or"}, ["oauth_refresh.E011"]),
    ],
)
def test_check_of_the_settings_finds(settings, configured, found):
    settings.OAUTH_REFRESH = configured

    assert ids(checks.check_settings()) == found


RESOURCES = {"https://api.example": {"scopes": ["read"]}}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"RESOURCES": {"https://api.example": {}}, "SCOPES": {}}, []),
        ({"SCOPES": {"write": "Write"}}, ["oauth_refresh.E021"]),
        ({"ISSUER": None}, ["oauth_refresh.E021"]),
        ({"RESOURCES": {"http://api.example": {}}}, ["oauth_refresh.E021"]),
        ({"RESOURCES": {"http://api.example": {}}, "REQUIRE_HTTPS": False}, []),
        ({"RESOURCES": {}, "ISSUER": None}, []),
    ],
)
def test_check_of_the_resources_finds(settings, changes, found):
    usable = {"RESOURCES": RESOURCES, "SCOPES": {"read": "Read"}, "ISSUER": "https://a.example", "REQUIRE_HTTPS": True}
    settings.OAUTH_REFRESH = usable | changes

    assert ids(checks.check_resources()) == found


@pytest.mark.parametrize(
    ("url", "requires_https", "found"),
    [
        ("https://gateway.internal/purge", True, []),
        ("http://gateway.internal/purge", False, []),
        ("http://gateway.internal/purge", True, ["oauth_refresh.E023"]),
    ],
)
def test_check_of_the_receivers_of_revocations_finds(settings, url, requires_https, found):
    receivers = [{"url": url, "secret": "s" * 22}]
    settings.OAUTH_REFRESH = {"REVOCATION_RECEIVERS": receivers, "REQUIRE_HTTPS": requires_https}

    messages = checks.check_receivers()

    assert ids(messages) == found
    assert not any("purge" in message.msg for message in messages)


def test_message_of_the_settings_check_says_what_to_write(settings):
    settings.OAUTH_REFRESH = {"RETRY_LIMIT": -1, "RETRY_LIMITS": 1}

    unknown, unusable = checks.check_settings()

    assert unknown.msg == "OAUTH_REFRESH['RETRY_LIMITS'] is not a setting."
    assert unknown.hint.startswith("Choose from: ACCEPT_TOKEN_ENDPOINT_AS_AUDIENCE, ACCESS_TOKEN_LIFETIME, ")
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


def test_check_finds_times_without_a_zone(settings):
    settings.OAUTH_REFRESH, settings.USE_TZ = {}, False

    assert ids(checks.check_deployment()) == ["oauth_refresh.W007"]


@pytest.mark.parametrize(
    ("configured", "found"),
    [
        ({}, []),
        ({"ROTATE_REFRESH_TOKENS": False}, ["oauth_refresh.W002"]),
        ({"REQUIRE_HTTPS": False}, ["oauth_refresh.W003"]),
        ({"GRANT_TYPES": ["password", "refresh_token"]}, ["oauth_refresh.W004"]),
        ({"REVOKE_ON_REUSE": False}, ["oauth_refresh.W006"]),
        ({"REVOKE_ON_PASSWORD_CHANGE": False}, ["oauth_refresh.W025"]),
        ({"JWKS_ALLOW_PRIVATE_ADDRESSES": True}, ["oauth_refresh.W026"]),
        ({"CLIENT_ID_METADATA_DOCUMENTS": True}, ["oauth_refresh.W028"]),
        ({"CLIENT_ID_METADATA_DOCUMENTS": True, "CLIENT_ID_METADATA_HOSTS": ["app.example"]}, []),
        (
            {"REVOKE_ON_REUSE": False, "ROTATE_REFRESH_TOKENS": False},
            ["oauth_refresh.W002", "oauth_refresh.W006"],
        ),
    ],
)
def test_check_of_the_deployment_finds(settings, configured, found):
    settings.OAUTH_REFRESH = configured

    assert ids(checks.check_deployment()) == found


DAY = timedelta(days=1)
LONGER = timedelta(seconds=1)
LONGEST = {
    "ACCESS_TOKEN_LIFETIME": DAY,
    "REFRESH_TOKEN_LIFETIME": 90 * DAY,
    "GRANT_LIFETIME": 366 * DAY,
    "RETRY_WINDOW": timedelta(minutes=5),
    "CODE_LIFETIME": timedelta(minutes=10),
    "ASSERTION_LIFETIME": DAY,
    "CLOCK_SKEW": timedelta(minutes=5),
    "JWKS_CACHE_LIFETIME": DAY,
}


@pytest.mark.parametrize(
    ("configured", "found"),
    [
        ({}, []),
        (LONGEST, []),
        *[({key: longest + LONGER}, [key]) for key, longest in LONGEST.items()],
        ({key: longest + LONGER for key, longest in LONGEST.items()}, list(LONGEST)),
        ({"GRANT_LIFETIME": None}, ["GRANT_LIFETIME"]),
    ],
)
def test_check_of_the_lifetimes_names_those_that_are_long(settings, configured, found):
    settings.OAUTH_REFRESH = configured

    messages = checks.check_lifetimes()

    assert ids(messages) == ["oauth_refresh.W027"] * len(found)
    assert [message.msg.partition("'")[2].partition("'")[0] for message in messages] == found


BACKENDS = "django.core.cache.backends"


@pytest.mark.parametrize(
    ("backend", "rate", "found"),
    [
        (f"{BACKENDS}.redis.RedisCache", "20/min", []),
        (f"{BACKENDS}.db.DatabaseCache", "20/min", []),
        (f"{BACKENDS}.memcached.PyMemcacheCache", "20/min", []),
        (f"{BACKENDS}.locmem.LocMemCache", "20/min", ["oauth_refresh.W022"]),
        (f"{BACKENDS}.filebased.FileBasedCache", "20/min", ["oauth_refresh.W022"]),
        (f"{BACKENDS}.dummy.DummyCache", "20/min", ["oauth_refresh.W023"]),
        (f"{BACKENDS}.redis.RedisCache", None, ["oauth_refresh.W021"]),
        (f"{BACKENDS}.locmem.LocMemCache", None, ["oauth_refresh.W021"]),
        (f"{BACKENDS}.dummy.DummyCache", None, ["oauth_refresh.W021", "oauth_refresh.W023"]),
    ],
)
def test_check_of_the_guess_limit_finds(settings, tmp_path, backend, rate, found):
    if "Memcache" in backend:
        pytest.importorskip("pymemcache")
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": str(tmp_path)}}
    settings.OAUTH_REFRESH = {"FAILURE_RATE": rate}

    assert ids(checks.check_guess_limit()) == found


@pytest.mark.parametrize(
    ("proxies", "trusted", "found"),
    [
        (0, {}, []),
        (0, {"USE_X_FORWARDED_HOST": False, "SECURE_PROXY_SSL_HEADER": None, "REST_FRAMEWORK": {}}, []),
        (0, {"REST_FRAMEWORK": {"NUM_PROXIES": 0}}, []),
        (0, {"REST_FRAMEWORK": {"NUM_PROXIES": None}}, []),
        (0, {"REST_FRAMEWORK": None}, []),
        (0, {"USE_X_FORWARDED_HOST": True}, ["USE_X_FORWARDED_HOST"]),
        (0, {"USE_X_FORWARDED_PORT": True}, ["USE_X_FORWARDED_PORT"]),
        (0, {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")}, ["SECURE_PROXY_SSL_HEADER"]),
        (0, {"REST_FRAMEWORK": {"NUM_PROXIES": 2}}, ["REST_FRAMEWORK['NUM_PROXIES']"]),
        (0, {"ALLAUTH_TRUSTED_PROXY_COUNT": 1}, ["ALLAUTH_TRUSTED_PROXY_COUNT"]),
        (0, {"AXES_IPWARE_PROXY_COUNT": 1}, ["AXES_IPWARE_PROXY_COUNT"]),
        (1, {"USE_X_FORWARDED_HOST": True}, []),
    ],
)
def test_check_finds_a_proxy_that_is_trusted_elsewhere_alone(settings, proxies, trusted, found):
    settings.CACHES = {"default": {"BACKEND": f"{BACKENDS}.db.DatabaseCache", "LOCATION": "cache"}}
    settings.OAUTH_REFRESH = {"NUM_PROXIES": proxies}
    for name, value in trusted.items():
        setattr(settings, name, value)

    messages = checks.check_guess_limit()

    assert ids(messages) == ["oauth_refresh.W024"] * len(found)
    assert all(name in messages[0].msg for name in found)


@pytest.mark.parametrize(("autocommit", "found"), [(True, []), (False, ["oauth_refresh.E020"])])
def test_check_finds_a_connection_that_does_not_commit(monkeypatch, autocommit, found):
    monkeypatch.setitem(connection.settings_dict, "AUTOCOMMIT", autocommit)

    assert ids(checks.check_autocommit()) == found


@contextmanager
def altered(table, engine):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ENGINE={engine}")
        yield
        cursor.execute(f"ALTER TABLE {table} ENGINE=InnoDB")


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "mysql", reason="other databases have one kind of table")
@pytest.mark.parametrize("engine", ["MyISAM", "Aria"])
def test_check_finds_tables_without_transactions(engine):
    assert ids(checks.check_table_engines(databases=["default"])) == []

    with altered(UsedAssertion._meta.db_table, engine):
        [message] = checks.check_table_engines(databases=["default"])

    assert message.id == "oauth_refresh.W020"
    assert message.msg == f"These tables have no transactions: oauth_refresh_usedassertion ({engine})."


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("table", "found"), [(UsedAssertion._meta.db_table, ["oauth_refresh.W020"]), ("shop_order", [])]
)
def test_check_of_the_tables_reports_those_of_ours_only(monkeypatch, table, found):
    """The database answers as a MariaDB with one such table would."""

    def answer(execute, sql, params, *rest):
        return execute(f"SELECT '{table}', 'MyISAM'", params, *rest)

    monkeypatch.setattr(connections["default"], "vendor", "mysql")

    with connection.execute_wrapper(answer):
        assert ids(checks.check_table_engines(databases=["default"])) == found


@pytest.mark.django_db
@pytest.mark.parametrize("databases", [None, [], ["default"]])
def test_check_of_the_tables_asks_no_database_without_need(django_assert_num_queries, databases):
    asked = connection.vendor == "mysql" and bool(databases)

    with django_assert_num_queries(int(asked)):
        assert ids(checks.check_table_engines(databases=databases)) == []


def test_check_of_the_deployment_finds_a_secret_key_made_for_development(settings):
    settings.SECRET_KEY = "django-insecure-0123456789"
    settings.OAUTH_REFRESH = {}

    assert ids(checks.check_deployment()) == ["oauth_refresh.W005"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("deploy", "found"),
    [(False, []), (True, ["oauth_refresh.W003", "oauth_refresh.W004", "oauth_refresh.W021"])],
)
def test_checks_are_registered_and_those_of_the_deployment_wait_for_deploy(deploy, found):
    messages = run_checks(include_deployment_checks=deploy)

    of_views = ["oauth_refresh.W015"] * 2  # views of the test project that are wrong on purpose
    assert sorted(id_ for id_ in ids(messages) if id_.startswith("oauth_refresh.")) == sorted([*of_views, *found])


@pytest.mark.parametrize("key", [setting.key for setting in AppSettings.declared()])
def test_setting_that_cannot_be_read_is_named_and_nothing_else_fails(settings, key):
    settings.OAUTH_REFRESH = {"ISSUER": "https://auth.example", key: object()}

    messages = run_checks(include_deployment_checks=True)

    found = [message for message in messages if message.id.startswith("oauth_refresh.")]
    assert [message.id for message in found] == ["oauth_refresh.E002"]
    assert f"OAUTH_REFRESH[{key!r}]" in found[0].msg


def test_every_check_is_registered_once():
    registered = [check.__name__ for check in registry.get_checks(True) if check.__module__.startswith(checks.__name__)]

    assert sorted(registered) == sorted(check.__name__ for check, _tag, _deploy in checks.ALL)


@pytest.mark.django_db
def test_command_check_deploy_prints_our_warnings(settings):
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend"}}  # not that of the tests
    printed = StringIO()

    call_command("check", "--deploy", stderr=printed)

    assert "(oauth_refresh.W003) Plain http is accepted, so secrets and tokens may travel in the clear." in str(
        printed.getvalue()
    )


class RevisionMiddleware:
    """What django-reversion's middleware has of interest."""

    using = None
    atomic = True

    def request_creates_revision(self, request):
        return request.method not in ("OPTIONS", "GET", "HEAD")


class AsItComes(RevisionMiddleware):
    pass


class WithoutTransaction(RevisionMiddleware):
    atomic = False


class InAnotherDatabase(RevisionMiddleware):
    using = "archive"


class InOurDatabase(RevisionMiddleware):
    using = "default"


class LeavesEndpointsOut(RevisionMiddleware):
    def request_creates_revision(self, request):
        return not request.path.startswith("/oauth/")


def revisions_of_functions(get_response):
    return get_response


@pytest.fixture
def reversion(monkeypatch):
    """django-reversion, as far as the check looks at it."""
    package, module = ModuleType("reversion"), ModuleType("reversion.middleware")
    monkeypatch.setitem(sys.modules, "reversion", package)
    monkeypatch.setitem(sys.modules, "reversion.middleware", module)
    monkeypatch.setattr(RevisionMiddleware, "__module__", "reversion.middleware")
    module.RevisionMiddleware = RevisionMiddleware


@pytest.mark.usefixtures("reversion")
@pytest.mark.parametrize(
    ("middleware", "found"),
    [
        ("reversion.middleware.RevisionMiddleware", ["oauth_refresh.E012"]),
        ("tests.test_checks.AsItComes", ["oauth_refresh.E012"]),
        ("tests.test_checks.InOurDatabase", ["oauth_refresh.E012"]),
        ("tests.test_checks.WithoutTransaction", []),
        ("tests.test_checks.InAnotherDatabase", []),
        ("tests.test_checks.LeavesEndpointsOut", []),
        ("tests.test_checks.revisions_of_functions", []),
        ("tests.test_checks.Missing", []),
        ("missing.middleware.Missing", []),
    ],
)
def test_check_of_the_middleware_finds(settings, middleware, found):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, middleware]

    messages = checks.check_middleware()

    assert ids(messages) == found
    assert all(message.msg.startswith(f"{middleware} opens a transaction") for message in messages)


class RevisionsElsewhere:
    """A database router that keeps revisions in a database of their own."""

    def db_for_write(self, model, **hints):
        return "archive" if model is Application else None


@pytest.mark.usefixtures("reversion")
def test_check_of_the_middleware_asks_the_router_where_revisions_are(settings, monkeypatch):
    settings.MIDDLEWARE = ["reversion.middleware.RevisionMiddleware"]
    settings.DATABASE_ROUTERS = ["tests.test_checks.RevisionsElsewhere"]
    monkeypatch.setattr(apps, "is_installed", lambda name: name == "reversion")
    revisions = SimpleNamespace(get_model=lambda name: {"Revision": Application}[name])
    monkeypatch.setattr(apps, "get_app_config", lambda label: {"reversion": revisions}[label])

    assert ids(checks.check_middleware()) == []


def test_check_of_the_middleware_knows_a_name_that_cannot_be_imported_here(settings):
    settings.MIDDLEWARE = ["reversion.middleware.RevisionMiddleware"]

    assert ids(checks.check_middleware()) == ["oauth_refresh.E012"]


def test_check_of_the_middleware_needs_none(settings):
    settings.MIDDLEWARE = []

    assert ids(checks.check_middleware()) == []


ISSUERS = [
    (None, []),
    ("https://auth.example", []),
    ("https://auth.example/", []),
    ("https://auth.example/tenant1", []),
    ("https://auth.example:8443", []),
    ("https://[2001:db8::1]:8443", []),
    ("http://auth.example", ["oauth_refresh.E008"]),
    ("auth.example", ["oauth_refresh.E008"]),
    ("//auth.example", ["oauth_refresh.E008"]),
    ("https://", ["oauth_refresh.E008"]),
    ("https:///tenant1", ["oauth_refresh.E008"]),
    ("https://:443", ["oauth_refresh.E008"]),
    ("https://[::1", ["oauth_refresh.E008"]),
    ("https://auth.example:port", ["oauth_refresh.E008"]),
    ("https://auth.example?tenant=1", ["oauth_refresh.E008"]),
    ("https://auth.example?", ["oauth_refresh.E008"]),
    ("https://auth.example#x", ["oauth_refresh.E008"]),
    ("https://auth.example#", ["oauth_refresh.E008"]),
    ("https://user:password@auth.example", ["oauth_refresh.E008"]),
    ("https://auth.example ", ["oauth_refresh.E008"]),
    ("https://auth.example/a b", ["oauth_refresh.E008"]),
    ("ftp://auth.example", ["oauth_refresh.E008"]),
]


@pytest.mark.parametrize(("issuer", "found"), ISSUERS)
def test_check_of_the_issuer_finds(oauth_settings, issuer, found):
    oauth_settings(ISSUER=issuer, REQUIRE_HTTPS=True)

    assert ids(checks.check_issuer()) == found


def test_check_of_the_issuer_lets_plain_http_pass_where_it_is_allowed(oauth_settings):
    oauth_settings(ISSUER="http://127.0.0.1:8000", REQUIRE_HTTPS=False)

    assert ids(checks.check_issuer()) == []


CODES = {"grant_types": "authorization_code refresh_token", "redirect_uris": "https://app.example/callback"}
KEYS = {"auth_method": "private_key_jwt", "jwks": {"keys": [{}]}}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "offered", "found"),
    [
        (CODES, ["authorization_code"], ["oauth_refresh.E009"]),
        (CODES | {"redirect_uris": ""}, ["authorization_code"], []),
        (CODES | {"grant_types": "refresh_token"}, ["authorization_code"], []),
        (CODES | {"is_active": False}, ["authorization_code"], []),
        (CODES, ["refresh_token"], []),
        (KEYS, ["refresh_token"], ["oauth_refresh.E009"]),
        (KEYS | {"is_active": False}, ["refresh_token"], []),
    ],
)
def test_check_of_a_missing_issuer_finds(oauth_settings, fields, offered, found):
    oauth_settings(ISSUER=None, GRANT_TYPES=offered)
    ApplicationFactory(**fields)

    assert ids(checks.check_issuer_is_set(databases=["default"])) == found


@pytest.mark.django_db
def test_check_of_a_missing_issuer_names_the_applications_that_need_one(oauth_settings):
    ApplicationFactory(client_id="signer", **KEYS)
    ApplicationFactory(client_id="web", **CODES)
    ApplicationFactory(client_id="other", grant_types="refresh_token")
    oauth_settings(ISSUER=None)

    (message,) = checks.check_issuer_is_set(databases=["default"])

    assert message.msg == "OAUTH_REFRESH['ISSUER'] is not set, but these applications need it: signer, web."


@pytest.mark.django_db
def test_check_of_imported_secrets_names_those_that_are_short():
    ApplicationFactory(client_id="web", imported_secret_is_short=True)
    ApplicationFactory(client_id="phone", imported_secret_is_short=True)
    ApplicationFactory(client_id="stopped", imported_secret_is_short=True, is_active=False)
    ApplicationFactory(client_id="other")

    (message,) = checks.check_imported_secrets(databases=["default"])

    assert message.id == "oauth_refresh.W029"
    assert message.msg == "The imported secrets of these applications are short: phone, web."


@pytest.mark.django_db
def test_check_of_imported_secrets_finds_nothing():
    ApplicationFactory()

    assert checks.check_imported_secrets(databases=["default"]) == []


@pytest.mark.django_db
@pytest.mark.parametrize("databases", [None, []])
def test_check_of_imported_secrets_asks_no_database_without_need(django_assert_num_queries, databases):
    with django_assert_num_queries(0):
        assert checks.check_imported_secrets(databases=databases) == []


@pytest.mark.django_db
@pytest.mark.parametrize(("issuer", "databases"), [("https://auth.example", ["default"]), (None, None), (None, [])])
def test_check_of_a_missing_issuer_asks_no_database_without_need(
    oauth_settings, django_assert_num_queries, issuer, databases
):
    oauth_settings(ISSUER=issuer)
    ApplicationFactory(**KEYS)

    with django_assert_num_queries(0):
        assert ids(checks.check_issuer_is_set(databases=databases)) == []


@pytest.mark.django_db(transaction=True)
def test_applications_are_not_queried_before_the_migration(oauth_settings):
    oauth_settings(ISSUER=None)
    table = Application._meta.db_table
    with connection.schema_editor() as editor:
        editor.alter_db_table(Application, table, "oauth_refresh_elsewhere")

    found = [
        *ids(checks.check_issuer_is_set(databases=["default"])),
        *ids(checks.check_imported_secrets(databases=["default"])),
    ]

    with connection.schema_editor() as editor:
        editor.alter_db_table(Application, "oauth_refresh_elsewhere", table)
    assert found == []


@pytest.mark.parametrize(
    ("login_url", "configured", "found"),
    [
        ("/accounts/login/", {}, ["oauth_refresh.W014"]),
        ("/accounts/login/", {"ISSUER": None}, []),
        ("/accounts/login/", {"GRANT_TYPES": ["refresh_token"]}, []),
        ("/accounts/login/", {"GRANT_TYPES": 5}, []),  # E002 says so
        ("/accounts/sign-in/", {}, []),
        ("login", {}, []),
    ],
)
def test_check_of_the_login_url_finds(settings, oauth_settings, login_url, configured, found):
    settings.LOGIN_URL = login_url
    oauth_settings(**configured)
    [registered] = [check for check, *_ in checks.ALL if check.__name__ == "check_login_url"]

    assert ids(registered()) == found


@pytest.mark.urls(__name__)
def test_check_accepts_the_default_login_url_where_there_is_such_a_page(settings):
    settings.LOGIN_URL = "/accounts/login/"

    assert ids(checks.check_login_url()) == []


def test_check_of_the_login_url_needs_urls(settings):
    settings.LOGIN_URL = "/accounts/login/"
    del settings.ROOT_URLCONF

    assert ids(checks.check_login_url()) == []


TOOLKIT = "oauth_refresh.contrib.toolkit"
adopt_by_another_path = toolkit.adopt


@pytest.mark.parametrize(
    ("importers", "installed", "missing"),
    [
        ([], [], None),
        (["tests.foreign.adopt"], [], None),
        ([f"{TOOLKIT}.adopt"], [], f"oauth2_provider, {TOOLKIT}"),
        (["tests.foreign.adopt", f"{TOOLKIT}.adopt"], [TOOLKIT], "oauth2_provider"),
        ([f"{__name__}.adopt_by_another_path"], [TOOLKIT], "oauth2_provider"),
    ],
)
def test_check_of_the_toolkit_finds(settings, oauth_settings, importers, installed, missing):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, *installed]
    oauth_settings(FOREIGN_TOKENS=importers)

    found = checks.check_toolkit()

    assert ids(found) == ["oauth_refresh.E024"] * (missing is not None)
    assert missing is None or found[0].msg.endswith(f"are not installed: {missing}.")
    assert missing is None or "Add them to INSTALLED_APPS" in found[0].hint
