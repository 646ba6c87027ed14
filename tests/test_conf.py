"""The settings: what each is when it is left out, that it is read late, and what it refuses."""

import re
from datetime import timedelta
from types import MappingProxyType

import pytest
from django.test import override_settings

from oauth_refresh.conf import AppSettings, app_settings
from oauth_refresh.conf.receivers import Receiver
from oauth_refresh.conf.values import Resource

DEFAULTS = {
    "ACCESS_TOKEN_LIFETIME": timedelta(hours=1),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "GRANT_LIFETIME": timedelta(days=90),
    "CODE_LIFETIME": timedelta(seconds=60),
    "ROTATE_REFRESH_TOKENS": True,
    "REVOKE_ON_REUSE": True,
    "RETRY_WINDOW": timedelta(0),
    "RETRY_LIMIT": 20,
    "REVOKE_ACCESS_TOKENS_ON_REFRESH": True,
    "REVOKE_GRANT_WITH_ACCESS_TOKEN": True,
    "REVOKE_ON_PASSWORD_CHANGE": True,
    "GRANT_TYPES": ("authorization_code", "client_credentials", "refresh_token"),
    "REFRESH_TOKEN_GRANT_TYPES": ("authorization_code", "password", "jwt-bearer"),
    "SCOPES": {},
    "DEFAULT_SCOPES": (),
    "RESOURCES": {},
    "ISSUER": None,
    "REQUIRE_HTTPS": None,
    "FAILURE_RATE": "20/min",
    "SCOPE_POLICY": None,
    "TOKEN_RESPONSE_FIELDS": None,
    "INTROSPECTION_FIELDS": None,
    "NUM_PROXIES": 0,
    "RECORD_CLIENT_INFO": True,
    "REMEMBER_CONSENT": True,
    "ALLOW_LOCALHOST_PORTS": False,
    "REDIRECT_SCHEMES": (),
    "CLIENT_ID_METADATA_DOCUMENTS": False,
    "CLIENT_ID_METADATA_HOSTS": None,
    "OPENID_CONFIGURATION_ALIAS": False,
    "CLOCK_SKEW": timedelta(seconds=30),
    "ASSERTION_LIFETIME": timedelta(hours=1),
    "ACCEPT_TOKEN_ENDPOINT_AS_AUDIENCE": False,
    "JWKS_CACHE_LIFETIME": timedelta(minutes=10),
    "JWKS_ALLOW_PRIVATE_ADDRESSES": False,
    "AUTHORIZATION_CODE_PREFIX": "oac_",
    "ACCESS_TOKEN_PREFIX": "oat_",
    "REFRESH_TOKEN_PREFIX": "ort_",
    "REVOCATION_RECEIVERS": (),
    "FOREIGN_TOKENS": (),
    "ALARM_RECIPIENTS": (),
    "ALARM_INTERVAL": timedelta(minutes=15),
    "MAIL_USERS_ON_ALARM": False,
}

SECONDS = "write a timedelta or a number of seconds, not negative and at most a hundred years"
LIFETIME = "write a timedelta or a number of seconds, at least one second"
BOOLEAN = "write True or False"
RECEIVERS = re.escape('write a list of {"url": ..., "secret": ...}')
ALARM_RECIPIENTS = "write a list of mail addresses, a callable, or its dotted path"
RECEIVER_URL = "write each url as an https URL without fragment, such as https://gateway.internal/purge"
RECEIVER_SECRET = "write each secret as a string of at least 22 printable ASCII characters"
GATEWAY, GATEWAY_SECRET = "https://gateway.internal/purge", "s" * 22
COUNT = "write a whole number, not negative"
NAMES = "write a list of strings"
SPACELESS_NAMES = "write a list of strings, each without spaces"
SCOPES = "write a dict of scope name, in ASCII without spaces and quotes, to the text that a user reads"
TEXT = "write a string or None"
RESOURCE = "write each resource as an https URI without fragment, such as https://api.example.com"
HOSTS = "write a list of host names such as app.example.com, in ASCII and lower case, or None"
SCHEMES = "write each scheme as in cursor://callback: cursor, in lower case and without a period"
PREFIX = "write ASCII letters, digits and underscores"

ACCEPTED = [
    ("ACCESS_TOKEN_LIFETIME", 600, timedelta(minutes=10)),
    ("ACCESS_TOKEN_LIFETIME", timedelta(seconds=1), timedelta(seconds=1)),
    ("REFRESH_TOKEN_LIFETIME", 86400, timedelta(days=1)),
    ("GRANT_LIFETIME", None, None),
    ("GRANT_LIFETIME", 86400, timedelta(days=1)),
    ("CODE_LIFETIME", 30, timedelta(seconds=30)),
    ("ROTATE_REFRESH_TOKENS", False, False),
    ("REVOKE_ON_REUSE", False, False),
    ("RETRY_WINDOW", 10, timedelta(seconds=10)),
    ("RETRY_LIMIT", 0, 0),
    ("REVOKE_ACCESS_TOKENS_ON_REFRESH", False, False),
    ("REVOKE_GRANT_WITH_ACCESS_TOKEN", False, False),
    ("REVOKE_ON_PASSWORD_CHANGE", False, False),
    ("GRANT_TYPES", ["password"], ("password",)),
    ("REFRESH_TOKEN_GRANT_TYPES", ("client_credentials",), ("client_credentials",)),
    ("SCOPES", MappingProxyType({"read": "Read"}), {"read": "Read"}),
    ("DEFAULT_SCOPES", frozenset({"read"}), ("read",)),
    (
        "RESOURCES",
        {"https://api.example/a?b": {"name": "Notes", "scopes": ["read"]}, "http://[::1]:8000": {}},
        {
            "https://api.example/a?b": Resource(name="Notes", scopes=("read",)),
            "http://[::1]:8000": Resource(name="http://[::1]:8000", scopes=None),
        },
    ),
    ("ISSUER", "https://login.example.org", "https://login.example.org"),
    ("ISSUER", None, None),
    ("REQUIRE_HTTPS", True, True),
    ("NUM_PROXIES", 2, 2),
    ("RECORD_CLIENT_INFO", False, False),
    ("FAILURE_RATE", "3/hour", "3/hour"),
    ("FAILURE_RATE", None, None),
    ("SCOPE_POLICY", "builtins.len", len),
    ("SCOPE_POLICY", len, len),
    ("TOKEN_RESPONSE_FIELDS", dict, dict),
    ("INTROSPECTION_FIELDS", None, None),
    ("FOREIGN_TOKENS", ["builtins.len", "builtins.str"], (len, str)),
    ("FOREIGN_TOKENS", (), ()),
    ("REMEMBER_CONSENT", False, False),
    ("ALLOW_LOCALHOST_PORTS", True, True),
    ("REDIRECT_SCHEMES", ["cursor", "vscode-insiders"], ("cursor", "vscode-insiders")),
    ("CLIENT_ID_METADATA_DOCUMENTS", True, True),
    ("CLIENT_ID_METADATA_HOSTS", None, None),
    ("CLIENT_ID_METADATA_HOSTS", [], ()),
    ("CLIENT_ID_METADATA_HOSTS", {"app.example.com"}, ("app.example.com",)),
    (
        "CLIENT_ID_METADATA_HOSTS",
        ["localhost", "xn--bcher-kva.example", "127.0.0.1"],
        ("localhost", "xn--bcher-kva.example", "127.0.0.1"),
    ),
    ("OPENID_CONFIGURATION_ALIAS", True, True),
    ("CLOCK_SKEW", 0, timedelta(0)),
    ("ASSERTION_LIFETIME", 300, timedelta(minutes=5)),
    ("ACCEPT_TOKEN_ENDPOINT_AS_AUDIENCE", True, True),
    ("JWKS_CACHE_LIFETIME", 60, timedelta(minutes=1)),
    ("JWKS_ALLOW_PRIVATE_ADDRESSES", True, True),
    ("AUTHORIZATION_CODE_PREFIX", "code_", "code_"),
    ("ACCESS_TOKEN_PREFIX", "acme_1_", "acme_1_"),
    ("REFRESH_TOKEN_PREFIX", "x", "x"),
    ("REVOCATION_RECEIVERS", [], ()),
    ("ALARM_RECIPIENTS", ["soc@example.com"], ("soc@example.com",)),
    ("ALARM_RECIPIENTS", [], ()),
    ("ALARM_RECIPIENTS", print, print),
    ("ALARM_RECIPIENTS", "builtins.print", print),
    ("ALARM_INTERVAL", 60, timedelta(minutes=1)),
    ("MAIL_USERS_ON_ALARM", True, True),
    *[
        (
            "REVOCATION_RECEIVERS",
            [{"url": url, "secret": GATEWAY_SECRET}],
            (Receiver(url=url, secret=GATEWAY_SECRET),),
        )
        for url in (GATEWAY, "http://10.0.0.1:8080", "https://[fd00::1]/a?b=c")
    ],
]

REFUSED = [
    ("CLIENT_ID_METADATA_HOSTS", "app.example", NAMES),
    *[
        ("CLIENT_ID_METADATA_HOSTS", [value], re.escape(HOSTS))
        for value in (
            "App.example",
            "app.example:8443",
            "*.example",
            ".example",
            "https://app.example",
            "b\u00fccher.example",
        )
    ],
    ("REDIRECT_SCHEMES", "cursor", NAMES),
    *[
        ("REDIRECT_SCHEMES", [value], SCHEMES)
        for value in ("Cursor", "cursor:", "cursor://", "com.example.app", "1password", "k\u00fcrsor")
    ],
    *[
        (
            "REDIRECT_SCHEMES",
            ["cursor", value],
            f"leave out {value}: browsers and systems open such an address themselves",
        )
        for value in ("javascript", "data", "http", "https", "file", "vbscript", "blob", "about")
    ],
    *[
        ("FAILURE_RATE", value, "write a number and a time, such as 20/min, or None")
        for value in (20, "20", "0/min", "many/min", "20/fortnight", True)
    ],
    *[
        (key, value, "write a callable, its dotted path, or None")
        for key in ("SCOPE_POLICY", "TOKEN_RESPONSE_FIELDS", "INTROSPECTION_FIELDS")
        for value in (1, ["a"], "django.VERSION")
    ],
    *[
        (key, value, re.escape("write the dotted path of a callable (No module named 'nowhere')"))
        for key, value in (("SCOPE_POLICY", "nowhere.policy"), ("FOREIGN_TOKENS", ["builtins.len", "nowhere.adopt"]))
    ],
    *[
        ("FOREIGN_TOKENS", value, "write a list of dotted paths of callables")
        for value in (None, "builtins.len", {"builtins.len"}, [len], [None])
    ],
    ("FOREIGN_TOKENS", ["django.VERSION"], "write a callable, its dotted path, or None"),
    *[
        (key, value, LIFETIME if value == 0 else SECONDS)
        for key in ("ACCESS_TOKEN_LIFETIME", "REFRESH_TOKEN_LIFETIME", "GRANT_LIFETIME", "CODE_LIFETIME")
        for value in (0, -1, 1.5, "1h", True, timedelta(seconds=-1))
    ],
    ("ACCESS_TOKEN_LIFETIME", timedelta(milliseconds=999), LIFETIME),
    ("ACCESS_TOKEN_LIFETIME", None, SECONDS),
    ("ACCESS_TOKEN_LIFETIME", 10**20, SECONDS),
    ("ACCESS_TOKEN_LIFETIME", timedelta.max, SECONDS),
    ("SCOPES", {"read": 5}, "write each scope's text as a string"),
    *[("RETRY_WINDOW", value, SECONDS) for value in (-1, None, "10", False)],
    *[
        (key, value, BOOLEAN)
        for key in (
            "ROTATE_REFRESH_TOKENS",
            "REVOKE_ON_REUSE",
            "REVOKE_ACCESS_TOKENS_ON_REFRESH",
            "REVOKE_GRANT_WITH_ACCESS_TOKEN",
            "REVOKE_ON_PASSWORD_CHANGE",
            "RECORD_CLIENT_INFO",
        )
        for value in (0, "False", None)
    ],
    *[(key, value, COUNT) for key in ("RETRY_LIMIT", "NUM_PROXIES") for value in (-1, 1.0, "1", True, None)],
    *[
        (key, value, sentence)
        for key in ("GRANT_TYPES", "REFRESH_TOKEN_GRANT_TYPES", "DEFAULT_SCOPES")
        for value, sentence in [
            ("password", NAMES),
            (None, NAMES),
            ({"password": 1}, NAMES),
            ([1], SPACELESS_NAMES),
            ([""], SPACELESS_NAMES),
            (["a b"], SPACELESS_NAMES),
        ]
    ],
    *[("SCOPES", value, SCOPES) for value in (["read"], "read", {"": "Nothing"}, {1: "One"}, None)],
    *[
        ("RESOURCES", value, re.escape('write a dict of resource identifier to {"name": ..., "scopes": [...]}'))
        for value in (["https://api.example"], {"https://api.example": "Notes"}, {"https://api.example": None}, None)
    ],
    *[
        ("RESOURCES", {identifier: {}}, RESOURCE)
        for identifier in (
            *("", 1, "/notes", "urn:notes", "https://api.example#top", "https://a b.example"),
            *("https://user@api.example", "https:///notes", 'https://api.example/"', "https://API.example"),
        )
    ],
    ("RESOURCES", {"https://api.example": {"scope": ["read"]}}, "a resource has a name and scopes, no scope"),
    ("RESOURCES", {"https://api.example": {"name": 1}}, "write the name of each resource as a string"),
    ("RESOURCES", {"https://api.example": {"scopes": "read"}}, NAMES),
    *[
        ("REVOCATION_RECEIVERS", value, RECEIVERS)
        for value in (None, GATEWAY, {"url": GATEWAY, "secret": GATEWAY_SECRET}, [GATEWAY], [{"url": GATEWAY}])
    ],
    *[
        ("REVOCATION_RECEIVERS", [{"url": url, "secret": GATEWAY_SECRET}], RECEIVER_URL)
        for url in (
            *(None, "", "gateway.internal", "ftp://gateway.internal", "https://user@gateway.internal"),
            *("https://gateway.internal#top", "https://gateway.internal:0", "https://gateway.internal:65536"),
        )
    ],
    *[
        ("REVOCATION_RECEIVERS", [{"url": GATEWAY, "secret": secret}], RECEIVER_SECRET)
        for secret in (None, b"s" * 22, "s" * 21, "ß" * 22, "s" * 22 + "\n")
    ],
    ("REVOCATION_RECEIVERS", [{"url": GATEWAY, "secret": GATEWAY_SECRET}] * 2, "write each url once"),
    *[("ALARM_RECIPIENTS", value, ALARM_RECIPIENTS) for value in (None, ["soc"], ["a@b c"], [1], {"a@b"})],
    ("ALARM_INTERVAL", -1, SECONDS),
    ("MAIL_USERS_ON_ALARM", 1, BOOLEAN),
    *[("ISSUER", value, TEXT) for value in ("", 1, b"https://login.example.org")],
    *[
        (key, value, PREFIX)
        for key in ("ACCESS_TOKEN_PREFIX", "REFRESH_TOKEN_PREFIX")
        for value in ("", "_", "a-b", "ö_", "a b", 1, None)
    ],
]


def test_table_of_defaults_names_every_setting():
    assert {setting.key for setting in AppSettings.declared()} == set(DEFAULTS)


@pytest.mark.parametrize(("key", "default"), DEFAULTS.items())
def test_setting_that_is_left_out_has_its_default(key, default):
    with override_settings(OAUTH_REFRESH={}):
        assert getattr(app_settings, key.lower()) == default


def test_whole_dict_may_be_left_out(settings):
    del settings.OAUTH_REFRESH

    assert app_settings.access_token_lifetime == timedelta(hours=1)


@pytest.mark.parametrize(("key", "written", "read"), ACCEPTED)
def test_setting_is_read_late_and_converted(key, written, read):
    with override_settings(OAUTH_REFRESH={key: written}):
        assert getattr(app_settings, key.lower()) == read


@pytest.mark.parametrize(("key", "written", "sentence"), REFUSED)
def test_setting_refuses_what_it_cannot_use(key, written, sentence):
    with override_settings(OAUTH_REFRESH={key: written}), pytest.raises(ValueError, match=f"^{sentence}$"):
        getattr(app_settings, key.lower())


@pytest.mark.parametrize("setting", list(AppSettings.declared()), ids=lambda setting: setting.key)
def test_setting_explains_itself_in_a_sentence(setting):
    assert setting.help_text[0].isupper()
    assert setting.help_text.endswith(".")


@pytest.mark.parametrize(
    ("debug", "configured", "required"),
    [
        (False, {}, True),
        (True, {}, False),
        (False, {"REQUIRE_HTTPS": False}, False),
        (True, {"REQUIRE_HTTPS": True}, True),
    ],
)
def test_https_is_required_unless_debugging_or_configured_otherwise(settings, debug, configured, required):
    settings.DEBUG = debug
    settings.OAUTH_REFRESH = configured

    assert app_settings.https_is_required is required


def test_list_that_is_changed_in_place_is_read_again(oauth_settings, settings):
    oauth_settings(GRANT_TYPES=["password", "refresh_token"])
    assert app_settings.grant_types == ("password", "refresh_token")

    settings.OAUTH_REFRESH["GRANT_TYPES"].remove("password")

    assert app_settings.grant_types == ("refresh_token",)


def test_callable_behind_a_path_is_looked_up_again(oauth_settings, monkeypatch):
    oauth_settings(SCOPE_POLICY=f"{__name__}.policy")
    assert app_settings.scope_policy is policy

    monkeypatch.setattr(f"{__name__}.policy", print)

    assert app_settings.scope_policy is print


def policy(**kwargs):
    raise NotImplementedError


def test_receiver_shows_neither_its_secret_nor_its_url():
    receiver = Receiver(url="https://gateway.internal/hidden", secret=GATEWAY_SECRET)

    assert (repr(receiver), receiver.host) == ("Receiver()", "gateway.internal")


def test_dict_within_a_setting_that_is_changed_in_place_is_read_again(oauth_settings, settings):
    oauth_settings(RESOURCES={"https://api.example": {"name": "Notes"}})
    assert app_settings.resources["https://api.example"].name == "Notes"

    settings.OAUTH_REFRESH["RESOURCES"]["https://api.example"]["name"] = "Files"

    assert app_settings.resources["https://api.example"].name == "Files"
