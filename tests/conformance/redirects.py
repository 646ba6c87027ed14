"""What the authorization endpoint answers: the client by redirect, or the user by a page."""

from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from tests.consent import CodeFlow, read_answer
from tests.database import database_snapshot
from tests.refusals import DESCRIPTION

ISSUER = "https://auth.example"


def invalid_request(description: str) -> dict[str, str]:
    return {"error": "invalid_request", "error_description": description}


UNAUTHORIZED_CLIENT = {
    "error": "unauthorized_client",
    "error_description": "This client may not use this grant type.",
}
UNSUPPORTED_RESPONSE_TYPE = {
    "error": "unsupported_response_type",
    "error_description": "The server offers response_type=code only.",
}
INVALID_SCOPE = {
    "error": "invalid_scope",
    "error_description": "The scope is malformed, unknown, or wider than what may be granted.",
}


def invalid_scope(name: str) -> dict[str, str]:
    """Return the error that names the first wrong scope."""
    return {**INVALID_SCOPE, "error_description": f"{INVALID_SCOPE['error_description'].removesuffix('.')}: {name}"}


ACCESS_DENIED = {"error": "access_denied", "error_description": "The user refused."}
SERVER_ERROR = {"error": "server_error", "error_description": "The server could not answer now. Try again."}


def error_redirect(flow: CodeFlow, **changes: Any) -> dict[str, str]:
    """Send a request that must be refused by redirect; return its parameters without ``state`` and ``iss``."""
    before = database_snapshot()
    response = flow.ask(**changes)
    assert database_snapshot() == before
    return read_error(response, redirect_uri=flow.redirect_uri)


def read_error(response: Any, *, redirect_uri: str) -> dict[str, str]:
    """Return the error of a redirect, after looking at what all of them have in common."""
    assert response.status_code == HTTPStatus.SEE_OTHER
    assert response.headers["Location"].startswith(redirect_uri + "?")
    assert "no-store" in response.headers["Cache-Control"]
    answer = read_answer(response)
    assert DESCRIPTION.fullmatch(answer["error_description"])
    assert answer.pop("iss") == ISSUER
    states = parse_qs(response.wsgi_request.META["QUERY_STRING"], keep_blank_values=True).get("state", [])
    if len(states) == 1:
        assert answer.pop("state") == states[0]
    return answer


def error_page(flow: CodeFlow, **changes: Any) -> str:
    """Send a request that must be refused with a page; return the page."""
    before = database_snapshot()
    response = flow.ask(**changes)
    assert database_snapshot() == before
    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Location" not in response.headers
    assert_protected(response)
    return response.content.decode()


def assert_protected(response: Any) -> None:
    """No other site can frame the page or learn its address, and nothing keeps it (RFC 9700 §4.16, §4.2.4)."""
    assert "Content-Security-Policy" not in response.headers  # it is the project's
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in response.headers["Cache-Control"]
