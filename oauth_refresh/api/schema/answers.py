"""What the protocol endpoints answer, in the words of OpenAPI (RFC 6749 §5, RFC 7662 §2.2, RFC 8414 §3.2)."""

from typing import Any

from oauth_refresh.api.schema import bodies
from oauth_refresh.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    MethodNotAllowed,
    OAuthError,
    RequestTooLarge,
    TooManyAttempts,
    UnauthorizedClient,
    UnsupportedGrantType,
)

Answer = dict[str, Any]

_TEXT = {"type": "string"}
_NO_STORE = {
    "Cache-Control": {"$ref": "#/components/headers/OAuthNoStore"},
    "Pragma": {"$ref": "#/components/headers/OAuthNoCache"},
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "After how many seconds to come again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_CHALLENGE = {
    "WWW-Authenticate": {
        "description": "How a client may authenticate.",
        "required": True,
        "schema": _TEXT,
        "example": 'Basic realm="oauth"',
    }
}
_ALLOW = {"Allow": {"description": "The method that is allowed.", "required": True, "schema": _TEXT}}


def shared_headers() -> dict[str, dict[str, Any]]:
    """Return the headers of every answer, by the name of their component."""
    values = {"OAuthNoStore": "no-store", "OAuthNoCache": "no-cache"}
    return {
        name: {"description": "Not to be stored.", "required": True, "schema": _TEXT | {"enum": [value]}}
        for name, value in values.items()
    }


def shared_answers() -> dict[str, Answer]:
    """Return the answers that several endpoints give, by the name of their component."""
    return {
        "OAuthInvalidClient": _refusal("Client authentication failed.", _told(InvalidClient("")), headers=_CHALLENGE),
        "OAuthMethodNotAllowed": _refusal(
            "The method is another one.", _told(MethodNotAllowed("Only POST is allowed.")), headers=_ALLOW
        ),
        "OAuthRequestTooLarge": _refusal("The form is too large.", _told(RequestTooLarge("The body is too large."))),
        "OAuthTooManyAttempts": _refusal(
            "This client or user failed to authenticate too often, from this address.",
            _told(TooManyAttempts("", retry_after=1)),
            headers=_RETRY_AFTER,
        ),
        "OAuthUnavailable": _refusal(
            "A fault of the server. Come again with the same request.",
            {"error": "temporarily_unavailable", "error_description": "The server could not answer now. Try again."},
            headers=_RETRY_AFTER,
        ),
    }


def token_answers() -> dict[str, Answer]:
    alone = {name: value for name, value in bodies.TOKENS.items() if not name.startswith("refresh_token")}
    return {
        "200": _json("The tokens.", "OAuthTokens", {"Pair": bodies.TOKENS, "AccessTokenOnly": alone}),
        "400": _refusal(
            "The request is refused; the error says why.",
            _told(InvalidRequest("The parameter refresh_token is missing.")),
            *map(_told, (InvalidGrant(""), UnauthorizedClient(""), UnsupportedGrantType(""), InvalidScope(""))),
        ),
        **_AFTER_A_FORM,
    }


def revoke_answers() -> dict[str, Answer]:
    return {
        "200": {
            "description": "The token is dead, if there was one. The body is empty.",
            "headers": _NO_STORE,
        },
        "400": _refusal(
            "Nothing is revoked: the form is malformed, or the token was issued to another client.",
            _told(InvalidRequest("The parameter token is missing.")),
            _told(InvalidGrant("")),
        ),
        **_AFTER_A_FORM,
    }


def introspect_answers() -> dict[str, Answer]:
    return {
        "200": _json(
            "What the caller may know of the token.",
            "OAuthIntrospection",
            {"Live": bodies.LIVE, "DeadOrUnknownOrNotForTheCaller": {"active": False}},
        ),
        "400": _refusal("The form is malformed.", _told(InvalidRequest("The parameter token is missing."))),
        **_AFTER_A_FORM,
    }


def metadata_answers() -> dict[str, Answer]:
    public = {
        "Access-Control-Allow-Origin": {
            "description": "Any web page may read it.",
            "required": True,
            "schema": _TEXT | {"enum": ["*"]},
        }
    }
    return {
        "200": _json("What the server offers.", "OAuthServerMetadata", {"Metadata": bodies.METADATA}, headers=public),
        "400": _refusal(
            "The request came by plain http.",
            _told(InvalidRequest("Use https: what was sent in the clear must be regarded as leaked.")),
        ),
        "404": _refusal(
            "The server has no issuer, or another one.",
            {"error": "not_found", "error_description": "There is no such issuer."},
        ),
        "405": _shared("MethodNotAllowed"),
        "503": _shared("Unavailable"),
    }


def _shared(name: str) -> Answer:
    return {"$ref": f"#/components/responses/OAuth{name}"}


_AFTER_A_FORM = {
    "401": _shared("InvalidClient"),
    "405": _shared("MethodNotAllowed"),
    "413": _shared("RequestTooLarge"),
    "429": _shared("TooManyAttempts"),
    "503": _shared("Unavailable"),
}


def _told(error: OAuthError) -> dict[str, str]:
    return {"error": error.code, "error_description": error.description}


def _refusal(description: str, *told: dict[str, str], headers: Answer | None = None) -> Answer:
    """Return an answer whose ``error`` is one of those that are ``told``, which are its examples."""
    answer = _json(description, "OAuthError", {body["error"]: body for body in told}, headers=headers)
    content = answer["content"]["application/json"]
    codes = _TEXT | {"enum": [body["error"] for body in told]}
    content["schema"] = {"allOf": [content["schema"], {"type": "object", "properties": {"error": codes}}]}
    return answer


def _json(description: str, schema: str, examples: Answer, *, headers: Answer | None = None) -> Answer:
    content = {
        "schema": {"$ref": f"#/components/schemas/{schema}"},
        "examples": {name: {"value": value} for name, value in examples.items()},
    }
    return {
        "description": description,
        "headers": _NO_STORE | (headers or {}),
        "content": {"application/json": content},
    }
