"""What an authorization server may answer, and what counts as no answer."""

import json
from datetime import UTC, datetime

import pytest

from oauth_refresh.resource_server.remote import RemoteToken, Unavailable
from oauth_refresh.resource_server.remote.answers import (
    Introspection,
    Metadata,
    Page,
    read_introspection,
    read_metadata,
    read_page,
)
from tests.feed_server import access_token

ISSUER = "https://auth.example"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXP = int(NOW.timestamp()) + 60
ACTIVE = {
    "active": True,
    "scope": "notes:read PRODUCTION",
    "client_id": "phone",
    "token_type": "Bearer",
    "exp": EXP,
    "sub": "42",
    "username": "ada",
    "aud": ISSUER,
    "grant_id": "7",
}
TOKEN = RemoteToken(
    sub="42",
    username="ada",
    client_id="phone",
    scopes=("notes:read", "PRODUCTION"),
    grant_id="7",
    expires_at=datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
)
METADATA = {
    "issuer": ISSUER,
    "introspection_endpoint": f"{ISSUER}/introspect",
    "revocations_endpoint": f"{ISSUER}/revocations",
}
NO_JSON = {
    "nothing": b"",
    "HTML": b"<html>Sign in</html>",
    "half of it": b'{"active": tr',
    "not UTF-8": b'{"active": "\xff"}',
    "a list": b"[]",
    "null": b"null",
    "nested": b"[" * 100_000,
}


def introspection(members, *, resource=None, date=None):
    return read_introspection(json.dumps(members).encode(), resource=resource, date=date, now=NOW)


def test_active_token_is_read_whole():
    assert introspection(ACTIVE) == Introspection(token=TOKEN, seconds_left=59)
    assert TOKEN.names == (("grant_id", "7"), ("sub", "42"), ("client_id", "phone"))


@pytest.mark.parametrize("name", ["grant_id", "sub", "client_id"])
def test_token_without_one_of_its_names_cannot_be_recognized(name):
    assert introspection({key: value for key, value in ACTIVE.items() if key != name}).token.names is None


def test_token_without_expiry_has_no_seconds_left():
    answer = introspection({key: value for key, value in ACTIVE.items() if key not in {"exp", "username", "scope"}})

    assert (answer.seconds_left, answer.token.expires_at, answer.token.username) == (None, None, None)
    assert answer.token.scopes == ()


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Thu, 01 Jan 2026 00:00:30 GMT", 29),
        ("Thu, 01 Jan 2026 00:00:30 -0000", 29),
        ("Wed, 31 Dec 2025 23:55:00 GMT", 359),  # the server's clock is five minutes behind ours, and so is its exp
        ("yesterday", 59),
        ("Thu, 99999999999999999999 Jan 2026 00:00:30 GMT", 59),
        ("", 59),
        (None, 59),
    ],
)
def test_seconds_left_are_counted_by_the_clock_of_the_server(date, seconds):
    assert introspection(ACTIVE, date=date).seconds_left == seconds


@pytest.mark.parametrize(
    ("changed", "resource"),
    [
        ({"active": False}, None),
        ({"token_type": None}, None),  # a refresh token of this API's own
        ({"token_type": "DPoP"}, None),
        ({}, "https://api.example"),
        ({"aud": None}, "https://api.example"),
        ({"aud": []}, "https://api.example"),
        ({"aud": 7}, "https://api.example"),
    ],
)
def test_what_is_no_token_for_this_api_is_inactive(changed, resource):
    assert introspection(ACTIVE | changed, resource=resource) == Introspection(token=None)


@pytest.mark.parametrize("audience", ["https://api.example", ["https://other.example", "https://api.example"]])
def test_audience_may_be_one_or_several(audience):
    assert introspection(ACTIVE | {"aud": audience}, resource="https://api.example").token == TOKEN


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
@pytest.mark.parametrize("read", ["introspection", "metadata", "page"])
def test_body_that_is_no_json_object_is_an_error(read, body):
    with pytest.raises(Unavailable, match="not"):
        {
            "introspection": lambda: read_introspection(body, resource=None, date=None, now=NOW),
            "metadata": lambda: read_metadata(body, issuer=ISSUER),
            "page": lambda: read_page(body),
        }[read]()


@pytest.mark.parametrize(
    "changed",
    [
        {"active": "true"},
        {"active": 1},
        {"active": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1.5},
        {"exp": -1},
        {"exp": 10**30},
        {"scope": ["notes:read"]},
        {"sub": 42},
        {"username": {}},
        {"client_id": False},
        {"grant_id": 7},
        {"token_type": 1},
    ],
    ids=str,
)
def test_introspection_with_wrong_types_is_an_error(changed):
    with pytest.raises(Unavailable):
        introspection(ACTIVE | changed)


def test_metadata_of_another_server_need_not_know_our_members():
    assert read_metadata(json.dumps(METADATA).encode(), issuer=ISSUER) == Metadata(
        introspection_endpoint="https://auth.example/introspect",
        revocations_endpoint="https://auth.example/revocations",
        access_token_prefix=None,
        foreign_tokens_accepted=True,
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": f"{ISSUER}/"},
        {"issuer": None},
        {"introspection_endpoint": None},
        {"introspection_endpoint": 7},
        {"introspection_endpoint": "http://auth.example/introspect"},
        {"revocations_endpoint": "/revocations"},
        {"revocations_endpoint": "https://[/revocations"},
        {"access_token_prefix": 7},
    ],
    ids=str,
)
def test_metadata_that_cannot_be_used_are_an_error(changed):
    with pytest.raises(Unavailable):
        read_metadata(json.dumps(METADATA | changed).encode(), issuer=ISSUER)


@pytest.mark.parametrize(
    ("prefix", "foreign", "raw", "may_be"),
    [
        ("oat_", False, access_token("a"), True),
        ("oat_", False, access_token("a") + "a", False),
        ("oat_", True, "oat_short", False),
        ("oat_", False, "another", False),
        ("oat_", True, "another", True),
        (None, False, "another", True),
    ],
)
def test_text_is_asked_about_only_if_it_may_be_a_token(prefix, foreign, raw, may_be):
    members = METADATA | {"access_token_prefix": prefix, "foreign_tokens_accepted": foreign}

    assert read_metadata(json.dumps(members).encode(), issuer=ISSUER).may_be_token(raw) is may_be


@pytest.mark.parametrize(
    ("members", "page"),
    [
        (
            {
                "cursor": "1",
                "revocations": [{"grant_id": "7"}, {"sub": "42"}, {"client_id": "phone"}],
                "more": True,
            },
            Page(
                cursor="1",
                names=(("grant_id", "7"), ("sub", "42"), ("client_id", "phone")),
                more=True,
                ends_everything=False,
                has_unknown_kind=False,
            ),
        ),
        (
            {"cursor": "1", "revocations": [{"all": True}, {"sub": "42"}], "more": False},
            Page(cursor="1", names=(("sub", "42"),), more=False, ends_everything=True, has_unknown_kind=False),
        ),
        (
            {"cursor": "1", "reset": True},
            Page(cursor="1", names=(), more=False, ends_everything=True, has_unknown_kind=False),
        ),
    ],
)
def test_page_of_the_feed_is_read_whole(members, page):
    assert read_page(json.dumps(members).encode()) == page


@pytest.mark.parametrize(
    "entry",
    [{"session": "1"}, {"all": False}, {"sub": 42}, {"sub": "42", "client_id": "phone"}, {}, "all", None, ["sub"]],
    ids=str,
)
def test_entry_of_an_unknown_kind_is_noticed(entry):
    body = json.dumps({"cursor": "1", "revocations": [entry], "more": False}).encode()

    assert read_page(body).has_unknown_kind


@pytest.mark.parametrize(
    "members",
    [
        {"revocations": [], "more": False},
        {"cursor": "", "revocations": [], "more": False},
        {"cursor": 1, "revocations": [], "more": False},
        {"cursor": "1", "more": False},
        {"cursor": "1", "revocations": {}, "more": False},
        {"cursor": "1", "revocations": []},
        {"cursor": "1", "revocations": [], "more": "no"},
        {"cursor": "1", "reset": "yes"},
    ],
    ids=str,
)
def test_page_of_another_form_is_an_error(members):
    with pytest.raises(Unavailable):
        read_page(json.dumps(members).encode())
