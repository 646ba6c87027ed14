"""What every refusal looks like (INV-1 to INV-6 of the checklist), and the refusals there are."""

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

Answer = tuple[HTTPStatus, dict[str, str]]

# RFC 6749 §5.2: no quotation mark, no backslash, no control character, nothing outside ASCII.
DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]+")
SECRET_PARAMETERS = {
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "password",
    "refresh_token",
    "token",
}
SHORTEST_SECRET = 16


def invalid_request(description: str, *, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Answer:
    return status, {"error": "invalid_request", "error_description": description}


ONLY_POST = invalid_request("Only POST is allowed.", status=HTTPStatus.METHOD_NOT_ALLOWED)
NOT_A_FORM = invalid_request("Send the parameters in the body, as application/x-www-form-urlencoded.")
NOT_READABLE = invalid_request("The body is not a form in UTF-8, or has too many fields.")
TWO_CREDENTIALS = invalid_request("The client credentials in the header and in the body differ.")
TWO_METHODS = invalid_request("The client authenticates in more than one way.")
NOT_SECURE = invalid_request("Use https: what was sent in the clear must be regarded as leaked.")

INVALID_CLIENT: Answer = (
    HTTPStatus.UNAUTHORIZED,
    {"error": "invalid_client", "error_description": "Client authentication failed."},
)
INVALID_GRANT: Answer = (
    HTTPStatus.BAD_REQUEST,
    {
        "error": "invalid_grant",
        "error_description": "The credential presented is invalid, expired, revoked, or was issued to another client.",
    },
)
INVALID_SCOPE: Answer = (
    HTTPStatus.BAD_REQUEST,
    {
        "error": "invalid_scope",
        "error_description": "The scope is malformed, unknown, or wider than what may be granted.",
    },
)
UNAUTHORIZED_CLIENT: Answer = (
    HTTPStatus.BAD_REQUEST,
    {"error": "unauthorized_client", "error_description": "This client may not use this grant type."},
)
UNSUPPORTED_GRANT_TYPE: Answer = (
    HTTPStatus.BAD_REQUEST,
    {"error": "unsupported_grant_type", "error_description": "The server does not offer this grant type."},
)
UNAVAILABLE: Answer = (
    HTTPStatus.SERVICE_UNAVAILABLE,
    {"error": "temporarily_unavailable", "error_description": "The server could not answer now. Try again."},
)


def invalid_scope(name: str) -> Answer:
    """Return the refusal that names the first wrong scope."""
    status, body = INVALID_SCOPE
    return status, {**body, "error_description": f"{body['error_description'].removesuffix('.')}: {name}"}


def missing(parameter: str) -> Answer:
    return invalid_request(f"The parameter {parameter} is missing.")


def repeated(parameter: str) -> Answer:
    return invalid_request(f"The parameter {parameter} is repeated.")


def answer_of(response: Any) -> Answer:
    """Return status and body of a response of Django's test client."""
    return HTTPStatus(response.status_code), response.json()


def read_refusal(response: Any) -> Answer:
    """Return status and body of a refusal, after asserting what all refusals have in common."""
    body = response.json()
    assert set(body) == {"error", "error_description"}
    assert DESCRIPTION.fullmatch(body["error_description"])
    assert_protocol_headers(response)
    challenge = 'Basic realm="oauth"' if response.status_code == HTTPStatus.UNAUTHORIZED else None
    assert response.headers.get("WWW-Authenticate") == challenge
    return HTTPStatus(response.status_code), body


def assert_protocol_headers(response: Any) -> None:
    """Every answer is JSON, is not to be stored, sets no cookie and redirects nowhere."""
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert "Location" not in response.headers
    assert not response.cookies


def assert_no_secret_in(text: str, *, request: Any) -> None:
    """Nothing that the client sent as a secret is in ``text``: the answer, the log or the database."""
    body = getattr(request, "_body", b"")  # a body that the view did not read cannot have leaked
    raw_values = [value for name, value in parse_qsl(body.decode(errors="replace")) if name in SECRET_PARAMETERS]
    raw_values.append(request.headers.get("Authorization", "").partition(" ")[2])
    assert not [raw for raw in raw_values if len(raw) >= SHORTEST_SECRET and raw in text]
