"""The metadata document of a client: which is accepted and what of it counts, how long it is kept, what is refused."""

import json

import pytest
from django.core.cache import cache

from oauth_refresh.services.client_documents import (
    DOCUMENT_COLUMNS,
    DocumentUnavailable,
    is_document_url,
    read_document,
)
from tests.factories import UserFactory
from tests.jwts import EC_KEY, jwks, public
from tests.key_server import MISBEHAVIOUR

DAY = 86_400
NEVER_ANSWERED = {"/silent", "/slow-headers", "/slow-body"}
URIS = [f"https://app.example/{number}" for number in range(500)]


@pytest.fixture
def read(key_server, user):
    """Return a function that reads the document at a path for ``user``, or another one."""
    return lambda path="/client.json", user=user: read_document(key_server.origin + path, user=user)


def why_unavailable(read, path="/client.json", **changes):
    with pytest.raises(DocumentUnavailable) as refusal:
        read(path, **changes)
    return str(refusal.value)


# The address.


@pytest.mark.parametrize(
    "client_id",
    [
        "https://app.example/",
        "https://app.example/client.json",
        "https://app.example:8443/client.json",
        "https://app.example/client.json?version=/../2",
        "https://xn--bcher-kva.example/.well-known/client",
        "https://192.0.2.1/client.json",
        "https://app.example/" + "a" * 235,
    ],
)
def test_address_of_a_document(client_id):
    assert is_document_url(client_id)


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        "notebook",
        "http://app.example/client.json",
        "http://localhost/client.json",
        "HTTPS://app.example/client.json",
        "https://app.example",
        "https://app.example?client.json",
        "https://App.example/client.json",
        "https://bücher.example/client.json",
        "https://user@app.example/client.json",
        "https://user:password@app.example/client.json",
        "https://app.example/client.json#",
        "https://app.example/./client.json",
        "https://app.example/a/../client.json",
        "https://app.example/a/..",
        "https://app.example/a/%2e%2E/client.json",
        "https://app.example/.%2e",
        "https://app.example:99999/client.json",
        "https:///client.json",
        "https://app.example/cli ent.json",
        "https://app.example\\@evil.example/client.json",
        "https://app.example/" + "a" * 236,
    ],
)
def test_text_that_is_no_address_of_a_document(client_id):
    assert not is_document_url(client_id)


# What counts.


def test_document_of_a_public_client(key_server, read):
    key_server.describe(logo_uri="https://app.example/logo.png", contacts=["a@app.example"])

    assert read() == {
        "name": "Notebook",
        "redirect_uris": "https://app.example/callback",
        "auth_method": "none",
        "grant_types": "authorization_code refresh_token",
        "jwks": None,
        "jwks_uri": "",
    }
    assert tuple(read()) == DOCUMENT_COLUMNS
    assert key_server.paths == ["/client.json"]


EC_SET = {"keys": [public(EC_KEY, kid="one")]}
BY_KEY = {"token_endpoint_auth_method": "private_key_jwt"}
TAKEN = {
    "keys": ({**BY_KEY, "jwks": EC_SET}, {"auth_method": "private_key_jwt", "jwks": EC_SET}),
    "address of keys": (
        {**BY_KEY, "jwks_uri": "https://app.example/keys"},
        {"auth_method": "private_key_jwt", "jwks_uri": "https://app.example/keys"},
    ),
    "keys of a public client": ({"jwks": EC_SET, "jwks_uri": "https://app.example/keys"}, {"jwks": None}),
    "no name": ({"client_name": None}, {"name": "127.0.0.1"}),
    "blank name": ({"client_name": " "}, {"name": "127.0.0.1"}),
    "name that is no text": ({"client_name": {"de": "Heft"}}, {"name": "127.0.0.1"}),
    "long name": ({"client_name": "N" * 101}, {"name": "127.0.0.1"}),
    "name that turns the text": ({"client_name": "Note\u202ekoob"}, {"name": "127.0.0.1"}),
    "name of other letters": ({"client_name": "Notizbücher 手帳"}, {"name": "Notizbücher 手帳"}),
    "only a code": ({"grant_types": ["authorization_code"]}, {"grant_types": "authorization_code"}),
    "grant types of other servers": (
        {"grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token", "authorization_code"]},
        {"grant_types": "authorization_code refresh_token"},
    ),
    "scopes that are unknown here": ({"scope": "openid notes:read"}, {}),
    "redirect URIs that may not be used here": (
        {
            "redirect_uris": [
                "javascript:alert(1)",
                "https://a.example/",
                "app:/x",
                "http://b.example/",
                "https://a.example/",
            ]
        },
        {"redirect_uris": "https://a.example/"},
    ),
    "twenty redirect URIs": ({"redirect_uris": URIS[:20]}, {"redirect_uris": "\n".join(URIS[:20])}),
    "media type of its own": ({"headers": {"Content-Type": "application/oauth-client+json"}}, {}),
    "charset": ({"headers": {"Content-Type": 'Application/JSON; charset="UTF-8"'}}, {}),
}


@pytest.mark.parametrize("case", TAKEN.values(), ids=TAKEN)
def test_what_is_taken_from_a_document(key_server, read, case):
    members, columns = case
    key_server.describe(**members)

    assert read().items() >= columns.items()


REFUSED = {
    "another client ID": ({"client_id": "https://bank.example/client.json"}, "its client_id is not its URL"),
    "no client ID": ({"client_id": None}, "its client_id is not its URL"),
    "list as client ID": ({"client_id": []}, "its client_id is not its URL"),
    "secret": ({"client_secret": "s"}, "it holds a secret"),
    "secret that does not expire": ({"client_secret_expires_at": 0}, "it holds a secret"),
    **{
        f"method {method}": (
            {"token_endpoint_auth_method": method},
            "its token_endpoint_auth_method is neither none nor private_key_jwt",
        )
        for method in ("client_secret_basic", "client_secret_post", "client_secret_jwt", "tls_client_auth", 1, [])
    },
    "no keys": (BY_KEY, "it has no keys that can be used, or two sources of them"),
    "two sources of keys": (
        {**BY_KEY, "jwks": EC_SET, "jwks_uri": "https://app.example/keys"},
        "it has no keys that can be used, or two sources of them",
    ),
    "private key": (
        {**BY_KEY, "jwks": {"keys": [EC_KEY.as_dict(private=True)]}},
        "it has no keys that can be used, or two sources of them",
    ),
    **{
        f"address of keys {uri!r:.20}": (
            {**BY_KEY, "jwks_uri": uri},
            "it has no keys that can be used, or two sources of them",
        )
        for uri in ("http://app.example/keys", 7, "https://app.example/" + "k" * 500)
    },
    "21 redirect URIs": ({"redirect_uris": URIS[:21]}, "it has more than 20 redirect URIs"),
    "no redirect URI": ({"redirect_uris": []}, "it has no redirect URI that may be used here"),
    "no list of redirect URIs": ({"redirect_uris": None}, "it has no redirect URI that may be used here"),
    "text of redirect URIs": ({"redirect_uris": URIS[0]}, "its redirect_uris are not a list of strings"),
    "number as redirect URI": ({"redirect_uris": [1]}, "its redirect_uris are not a list of strings"),
    "no redirect URI that may be used": (
        {"redirect_uris": ["cursor://callback", "https://user@app.example/"]},
        "it has no redirect URI that may be used here",
    ),
    "implicit": ({"response_types": ["token"]}, "its response_types leave out code"),
    "no code": ({"grant_types": ["client_credentials"]}, "its grant_types leave out authorization_code"),
    "malformed scope": ({"scope": 'notes "read"'}, "its scope is malformed"),
    "HTML": ({"headers": {"Content-Type": "text/html"}}, "its Content-Type is not JSON"),
    "no media type": ({"headers": {"Content-Type": "json"}}, "its Content-Type is not JSON"),
    "another charset": (
        {"headers": {"Content-Type": "application/json; charset=utf-16"}},
        "its charset is not UTF-8",
    ),
    "over 10 KB": ({"padding": "x" * 10_240}, "it is too large"),
    "5 MB": ({"padding": "x" * 5_000_000}, "it could not be fetched: ValueError"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_document_that_is_refused(key_server, read, case):
    members, reason = case
    key_server.describe(**members)

    assert why_unavailable(read) == reason


def test_five_hundred_redirect_uris_fit_into_no_document(key_server, read):
    key_server.describe(redirect_uris=URIS)

    assert why_unavailable(read) == "it is too large"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "it could not be fetched: JSONDecodeError"),
        (b"[]", "it is not a JSON object"),
        (b'"text"', "it is not a JSON object"),
        (b"\xff", "it could not be fetched: UnicodeDecodeError"),
        (json.dumps({}).encode("utf-16"), "it could not be fetched: UnicodeDecodeError"),
        (b'{"client_id": "a", "client_id": "b"}', "it could not be fetched: ValueError"),
    ],
)
def test_body_that_is_no_document(key_server, read, body, reason):
    key_server.publish("/client.json", body)

    assert why_unavailable(read) == reason


def test_body_that_is_nested_deep(key_server, read):
    key_server.publish("/client.json", b"[" * 5_000)

    # By the version of Python.
    assert why_unavailable(read).removeprefix("it could not be fetched: ") in {"RecursionError", "JSONDecodeError"}


@pytest.mark.parametrize("path", sorted({*MISBEHAVIOUR} - NEVER_ANSWERED))
def test_server_that_misbehaves(read, path):
    assert why_unavailable(read, path)


def test_server_that_never_ends_its_answer(key_server, read, monkeypatch):
    monkeypatch.setattr("oauth_refresh.services.fetching._TIMEOUT_SECONDS", 0.3)

    assert why_unavailable(read, "/slow-headers") == "it could not be fetched: TimeoutError"


def test_document_at_a_private_address_is_not_fetched(key_server, read, oauth_settings):
    oauth_settings(JWKS_ALLOW_PRIVATE_ADDRESSES=False)
    key_server.describe()

    assert why_unavailable(read) == "it could not be fetched: OSError"
    assert key_server.paths == []


# How long it is kept.


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 300),
        ({"Cache-Control": "public"}, 300),
        ({"Cache-Control": "max-age=soon"}, 300),
        ({"Cache-Control": "public, Max-Age=600"}, 600),
        ({"Cache-Control": "max-age=600", "Age": "100"}, 500),
        ({"Cache-Control": "max-age=600", "Age": "old"}, 600),
        ({"Cache-Control": "max-age=600", "Age": "601"}, 60),
        ({"Cache-Control": "max-age=0"}, 60),
        ({"Cache-Control": "no-store"}, 60),
        ({"Cache-Control": "no-cache, max-age=600"}, 60),
        ({"Cache-Control": "max-age=31536000, immutable"}, DAY),
        ({"Cache-Control": "max-age=99999999999999999999"}, 300),
    ],
)
def test_document_is_kept_as_its_headers_say_within_a_minute_and_a_day(
    key_server, read, stopped_clock, headers, seconds
):
    key_server.describe(headers=headers)
    read()
    key_server.describe(client_name="Renamed")

    stopped_clock.shift(seconds - 1)
    assert read()["name"] == "Notebook"
    stopped_clock.shift(1)
    assert read()["name"] == "Renamed"


def test_failure_is_not_kept_but_nothing_is_fetched_for_a_minute(key_server, read, stopped_clock):
    key_server.describe(client_secret="s")
    why_unavailable(read)
    key_server.describe()

    assert why_unavailable(read) == "the last attempt to fetch it failed a moment ago"
    assert key_server.paths == ["/client.json"]
    stopped_clock.shift(61)
    assert read()["name"] == "Notebook"


def test_document_that_is_gone_is_not_used_any_longer(key_server, read, stopped_clock):
    key_server.describe()
    read()
    key_server.documents.clear()
    stopped_clock.shift(300)

    assert why_unavailable(read) == "its Content-Type is not JSON"


def test_user_who_opens_links_to_many_documents_causes_ten_fetches_a_minute(key_server, read, stopped_clock):
    for number in range(11):
        key_server.describe(f"/{number}")
    for number in range(10):
        read(f"/{number}")

    assert why_unavailable(read, "/10") == "too many were fetched for this user within a minute"
    assert len(key_server.paths) == 10
    assert read("/10", user=UserFactory())["name"] == "Notebook"
    stopped_clock.shift(61)
    cache.clear()
    assert read("/10")["name"] == "Notebook"


def test_many_documents_do_not_fill_the_cache(key_server, read, monkeypatch):
    monkeypatch.setattr("oauth_refresh.services.client_documents._PLACES", 3)
    for number in range(10):
        key_server.describe(f"/{number}")
        assert read(f"/{number}")["name"] == "Notebook"

    assert len([key for key in cache._cache if "document:" in key]) <= 3


def test_documents_that_share_a_place_in_the_cache_are_not_confused(key_server, read, monkeypatch):
    monkeypatch.setattr("oauth_refresh.services.client_documents._PLACES", 1)
    for name in ("a", "b"):
        key_server.describe(f"/{name}", client_name=name)

    assert [read(f"/{name}")["name"] for name in "abab"] == list("abab")


def test_what_is_returned_can_be_changed_without_changing_what_is_kept(key_server, read):
    key_server.describe()
    read()["name"] = "changed"

    assert read()["name"] == "Notebook"


def test_keys_are_those_of_the_document_alone(key_server, read):
    key_server.describe(**BY_KEY, jwks=jwks(EC_KEY))

    assert read()["jwks"] == {"keys": [public(EC_KEY)]}
