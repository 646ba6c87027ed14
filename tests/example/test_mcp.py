"""The MCP server of the example, by plain requests. What the clients of others make of it is in ``tests/interop``."""

import json
from http import HTTPStatus

import pytest
import requests

from example_project.demo.accounts import ORACLE_PUBLIC, USER
from tests.waiting import LONGEST_SECONDS

READ_BOTH = "notes:read notes:write"
MOST_BYTES = 65_536
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602


@pytest.fixture(scope="module")
def issue(site):
    """Return a function that returns an access token of a user, for the MCP server unless ``resource`` is another."""

    def issue(scope, resource=f"{site}/mcp"):
        password = {"grant_type": "password", "username": USER.username, "password": USER.password}
        form = {**password, "client_id": ORACLE_PUBLIC.client_id, "scope": scope, "resource": resource}
        return requests.post(f"{site}/oauth/token", data=form, timeout=LONGEST_SECONDS).json()["access_token"]

    return issue


@pytest.fixture(scope="module")
def reader(issue):
    return issue("notes:read")


@pytest.fixture(scope="module")
def writer(issue):
    return issue(READ_BOTH)


@pytest.fixture
def send(site):
    """Return a function that sends a body to the MCP server: bytes as they are, anything else as JSON."""

    def send(token, message, **headers):
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        return requests.post(f"{site}/mcp", data=body, headers=headers, timeout=LONGEST_SECONDS)

    return send


def request_of(method, **params):
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def call_of(tool, **arguments):
    return request_of("tools/call", name=tool, arguments=arguments)


def answer_of(response):
    """Return the error code of an answer, or what its only text says, and whether that is about an error."""
    answer = response.json()
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", 1)
    if "error" in answer:
        return answer["error"]["code"]
    (content,) = answer["result"]["content"]
    return json.loads(content["text"]), answer["result"]["isError"]


@pytest.mark.parametrize(
    ("offered", "agreed"), [("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("2024-11-05", "2025-11-25")]
)
def test_server_agrees_to_a_version_that_it_speaks(send, reader, offered, agreed):
    response = send(reader, request_of("initialize", protocolVersion=offered, capabilities={}))

    assert response.json() == {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {
            "protocolVersion": agreed,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "notes", "version": "1"},
        },
    }


def test_note_that_was_added_is_listed(send, writer):
    added, failed = answer_of(send(writer, call_of("add_note", text="Bread 🥖")))
    listed = answer_of(send(writer, call_of("list_notes")))

    assert (added["text"], failed) == ("Bread 🥖", False)
    assert listed == ([added], False)


def test_tools_and_ping_need_the_scope_of_readers_only(send, reader):
    tools = send(reader, request_of("tools/list")).json()["result"]["tools"]

    assert [tool["name"] for tool in tools] == ["list_notes", "add_note"]
    assert send(reader, request_of("ping")).json()["result"] == {}


def test_client_without_token_learns_where_to_ask_and_for_what(send, site):
    response = send(None, b"\xff not even read")

    assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert response.headers["WWW-Authenticate"] == (
        f'Bearer realm="oauth", scope="notes:read", resource_metadata="{site}/.well-known/oauth-protected-resource/mcp"'
    )


def test_token_without_the_scope_of_a_tool_is_told_all_that_it_needs(send, reader, site):
    response = send(reader, call_of("add_note", text="Milk"))

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
    assert f'scope="{READ_BOTH}", resource_metadata="{site}/.well-' in response.headers["WWW-Authenticate"]


def test_token_is_accepted_only_where_it_was_issued_for(site, send, issue, reader):
    at_notes = {"Authorization": f"Bearer {reader}"}

    assert send(issue("notes:read", site), request_of("ping")).status_code == HTTPStatus.UNAUTHORIZED
    assert requests.get(f"{site}/api/notes/", headers=at_notes, timeout=60).status_code == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_there_is_no_stream_and_no_session(site, reader, method):
    response = requests.request(
        method, f"{site}/mcp", headers={"Authorization": f"Bearer {reader}"}, timeout=LONGEST_SECONDS
    )

    assert response.status_code == HTTPStatus.METHOD_NOT_ALLOWED


def test_notification_is_accepted_without_an_answer(send, reader):
    response = send(reader, {"jsonrpc": "2.0", "method": "notifications/initialized"})

    assert (response.status_code, response.content) == (HTTPStatus.ACCEPTED, b"")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", PARSE_ERROR),
        (b"{", PARSE_ERROR),
        (b"\xff\xfe", PARSE_ERROR),
        (b"[" * MOST_BYTES, PARSE_ERROR),
        (b'{"id": ' + b"9" * 5000 + b"}", PARSE_ERROR),
        (b" " * MOST_BYTES + b"{}", INVALID_REQUEST),
        ([request_of("ping")], INVALID_REQUEST),
        ("ping", INVALID_REQUEST),
        ({}, INVALID_REQUEST),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, INVALID_REQUEST),
        (request_of("ping") | {"jsonrpc": "1.0"}, INVALID_REQUEST),
        (request_of("ping") | {"method": ["ping"]}, INVALID_REQUEST),
        (request_of("ping") | {"id": None}, INVALID_REQUEST),
        (request_of("ping") | {"id": True}, INVALID_REQUEST),
        (request_of("ping") | {"id": [1]}, INVALID_REQUEST),
        (request_of("ping") | {"params": [1]}, INVALID_REQUEST),
    ],
)
def test_what_is_no_message_is_answered_by_an_error(send, reader, body, code):
    response = send(reader, body)

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert response.headers["Content-Type"] == "application/json"
    assert (response.json()["id"], response.json()["error"]["code"]) == (None, code)


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (request_of("resources/list"), METHOD_NOT_FOUND),
        (request_of("tools/call"), INVALID_PARAMS),
        (request_of("tools/call", name=["add_note"]), INVALID_PARAMS),
        (call_of("drop_notes"), INVALID_PARAMS),
        (request_of("tools/call", name="add_note", arguments="text"), INVALID_PARAMS),
        (call_of("list_notes", user="eve"), INVALID_PARAMS),
        (call_of("add_note"), ({"text": ["This field is required."]}, True)),
        (call_of("add_note", text=["Bread"]), ({"text": ["Not a valid string."]}, True)),
        (call_of("add_note", text="a" * 201), ({"text": ["Ensure this field has no more than 200 characters."]}, True)),
        (call_of("add_note", text="\0"), ({"text": ["Null characters are not allowed."]}, True)),
        (
            call_of("add_note", text="\ud800"),
            ({"text": ["Surrogate characters are not allowed: U+D800."]}, True),
        ),
    ],
)
def test_request_that_cannot_be_met_is_answered_by_an_error(send, writer, message, answer):
    response = send(writer, message)

    assert response.status_code == HTTPStatus.OK
    assert answer_of(response) == answer


def test_id_may_be_any_text(send, reader):
    assert send(reader, request_of("ping") | {"id": "\ud800"}).json()["id"] == "\ud800"


def test_version_that_the_server_does_not_speak_is_refused(send, reader):
    refused = send(reader, request_of("ping"), **{"MCP-Protocol-Version": "2024-11-05"})

    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert refused.json()["error"]["message"] == "The protocol versions are 2025-11-25, 2025-06-18."


def test_request_from_the_page_of_another_site_is_refused(site, send, reader):
    assert send(reader, request_of("ping"), Origin=site).status_code == HTTPStatus.OK
    assert send(reader, request_of("ping"), Origin="https://evil.example").status_code == HTTPStatus.FORBIDDEN
