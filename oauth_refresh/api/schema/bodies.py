"""What answers hold, in the words of JSON Schema (RFC 6749 §5, RFC 7662 §2.2, RFC 8414 §2), and an example of each."""

from typing import Any

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_ADDRESS = {"type": "string", "format": "uri"}
_SECONDS = {"type": "integer", "minimum": 0}
_MOMENT = {"type": "integer", "description": "Seconds since 1970-01-01 UTC."}
_TOKEN_TYPE = {"$ref": "#/components/schemas/OAuthTokenType"}

_AUTHENTICATION_METHODS = {
    f"{endpoint}_endpoint_auth_{what}_supported": _TEXTS
    for endpoint in ("token", "revocation", "introspection")
    for what in ("methods", "signing_alg_values")
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "OAuthTokenType": {"type": "string", "enum": ["Bearer"]},
    "OAuthTokens": {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in"],
        "properties": {
            "access_token": _TEXT,
            "token_type": _TOKEN_TYPE,
            "expires_in": _SECONDS | {"description": "How many seconds the access token has left."},
            "refresh_token": _TEXT
            | {"description": "Replaces the one that was sent. Without one the session ends with the access token."},
            "refresh_token_expires_in": _SECONDS | {"description": "How many seconds the refresh token may go unused."},
            "scope": _TEXT | {"description": "What the access token allows: scopes, separated by spaces."},
        },
    },
    "OAuthIntrospection": {
        "type": "object",
        "required": ["active"],
        "properties": {
            "active": {
                "type": "boolean",
                "description": "Whether the token is live, and the caller's to know of. If not, nothing else is told.",
            },
            "scope": _TEXT,
            "client_id": _TEXT,
            "token_type": _TOKEN_TYPE,
            "exp": _MOMENT,
            "iat": _MOMENT,
            "sub": _TEXT | {"description": "The user's primary key; the client_id where the client acts for itself."},
            "username": _TEXT,
            "iss": _ADDRESS,
            "aud": _ADDRESS,
        },
    },
    "OAuthServerMetadata": {
        "type": "object",
        "required": ["issuer", "token_endpoint", "response_types_supported", "grant_types_supported"],
        "properties": {
            "issuer": _ADDRESS,
            "authorization_endpoint": _ADDRESS,
            "token_endpoint": _ADDRESS,
            "revocation_endpoint": _ADDRESS,
            "introspection_endpoint": _ADDRESS,
            "scopes_supported": _TEXTS,
            "response_types_supported": _TEXTS,
            "response_modes_supported": _TEXTS,
            "grant_types_supported": _TEXTS,
            "code_challenge_methods_supported": _TEXTS,
            "authorization_response_iss_parameter_supported": {"type": "boolean"},
            **_AUTHENTICATION_METHODS,
        },
    },
    "OAuthError": {
        "type": "object",
        "required": ["error", "error_description"],
        "properties": {
            "error": _TEXT | {"description": "A code that a client can act on."},
            "error_description": {
                "type": "string",
                "pattern": r"^[\x20\x21\x23-\x5B\x5D-\x7E]+$",
                "description": "A sentence for the client's developer.",
            },
        },
    },
}

# Tyk's, with the members that it leaves out; then those of RFC 7662 §2.2 and RFC 8414 §3.2, as we would answer.
TOKENS = {
    "access_token": "580defdbe1d21e0001c67e5c2a0a6c98ba8b4a059dc5825388501573",
    "token_type": "Bearer",
    "expires_in": 3600,
    "refresh_token": "NWQzNGVhMTItMDE4Ny00MDFkLTljOWItNGE4NzI1ZGI1NGU2",
    "refresh_token_expires_in": 1209600,
    "scope": "PRODUCTION",
}
LIVE = {
    "active": True,
    "scope": "PRODUCTION",
    "client_id": "ed59158fa2344e94b3e6278e8ab85142",
    "token_type": "Bearer",
    "exp": 1419356238,
    "iat": 1419352638,
    "sub": "42",
    "username": "jdoe",
    "iss": "https://server.example.com",
    "aud": "https://server.example.com",
}
METADATA = {
    "issuer": "https://server.example.com",
    "authorization_endpoint": "https://server.example.com/oauth/authorize",
    "token_endpoint": "https://server.example.com/oauth/token",
    "revocation_endpoint": "https://server.example.com/oauth/revoke",
    "scopes_supported": ["PRODUCTION", "SANDBOX"],
    "response_types_supported": ["code"],
    "grant_types_supported": ["authorization_code", "refresh_token"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
}
