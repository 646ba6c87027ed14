"""What each protocol endpoint is for, what it is sent, and what it answers, in the words of OpenAPI."""

from typing import Any

from oauth_refresh.api.schema import answers, bodies, forms

Operation = dict[str, Any]

CLIENT_SCHEME = "oauthClient"
_TAGS = ["OAuth 2.0"]
# By HTTP Basic, or not by a header at all: by members of the form, or as a public client.
_CLIENT: list[dict[str, list[str]]] = [{CLIENT_SCHEME: []}, {}]

CLIENT_SCHEME_DEFINITION = {
    "type": "http",
    "scheme": "basic",
    "description": (
        "The client's own ID and secret, each form-encoded (RFC 6749 §2.3.1). Instead of this header a client may send "
        "client_id and client_secret in the form, or a signed client_assertion; a public client sends client_id alone."
    ),
}


def token() -> Operation:
    return {
        "summary": "Get tokens, or trade a refresh token for a new pair",
        "description": (
            "The token endpoint (RFC 6749 §3.2). By default a refresh token works once: the answer holds its "
            "successor, and a spent one that comes back ends the whole session."
        ),
        "tags": _TAGS,
        "requestBody": forms.token_form(),
        "security": _CLIENT,
        "responses": answers.token_answers(),
    }


def revoke() -> Operation:
    return {
        "summary": "Revoke a token, and by default its whole session",
        "description": "The revocation endpoint (RFC 7009). The tokens are refused from the next request on.",
        "tags": _TAGS,
        "requestBody": forms.one_token_form(secret_is_needed=False),
        "security": _CLIENT,
        "responses": answers.revoke_answers(),
    }


def introspect() -> Operation:
    return {
        "summary": "Ask whether a token is live, and what it is for",
        "description": (
            "The introspection endpoint (RFC 7662), for confidential clients: about their own tokens, and for resource "
            "servers about every access token. It changes nothing."
        ),
        "tags": _TAGS,
        "requestBody": forms.one_token_form(secret_is_needed=True),
        "security": _CLIENT,
        "responses": answers.introspect_answers(),
    }


def metadata() -> Operation:
    return {
        "summary": "Read what the server offers",
        "description": "The metadata of the authorization server (RFC 8414).",
        "tags": _TAGS,
        "security": [],
        "responses": answers.metadata_answers(),
    }


def components() -> dict[str, dict[str, Any]]:
    """Return what operations may refer to, by the kind and the name of the component."""
    return {
        "schemas": forms.form_schemas() | bodies.SCHEMAS,
        "responses": answers.shared_answers(),
        "headers": answers.shared_headers(),
    }
