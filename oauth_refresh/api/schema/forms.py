"""The forms that clients send, in the words of OpenAPI: one per grant type (RFC 6749 §4, §6), and that of a token."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from oauth_refresh.api.client_credentials import JWT_BEARER_ASSERTION
from oauth_refresh.api.forms import FORM_CONTENT_TYPE
from oauth_refresh.conf import app_settings
from oauth_refresh.models import GrantType

_PARAMETERS = {
    "assertion": "A JWT by which a trusted issuer speaks for a user (RFC 7523 §2.1).",
    "client_assertion": "A JWT, signed with the client's private key (RFC 7523 §2.2).",
    "client_id": "Names the client, and is all that a public client has. Beside HTTP Basic it may be left out.",
    "client_secret": "The client's secret, unless it is sent by HTTP Basic.",
    "code": "The authorization code.",
    "code_verifier": "What the code_challenge was made from (RFC 7636 §4.5).",
    "password": "The user's password.",
    "redirect_uri": "As in the authorization request, if it was there.",
    "refresh_token": "The newest refresh token of the session.",
    "scope": "Scopes, separated by spaces. Left out: all that were granted, or the server's default.",
    "token": "An access token or a refresh token.",
    "token_type_hint": "Accepted and not needed: a token says itself what it is.",
    "username": "The user's name.",
}
_SECRET = frozenset({"client_secret", "password"})
_OF_THE_CLIENT = ("client_id", "client_secret", "client_assertion_type", "client_assertion")


@dataclass(frozen=True, slots=True, kw_only=True)
class _GrantForm:
    """What the form of one grant type is called, and holds beside the client's credentials."""

    name: str
    title: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_GRANT_FORMS = {
    GrantType.REFRESH_TOKEN: _GrantForm(
        name="Refresh", title="Trade a refresh token for a new pair", required=("refresh_token",), optional=("scope",)
    ),
    GrantType.AUTHORIZATION_CODE: _GrantForm(
        name="Code",
        title="Redeem an authorization code",
        required=("code",),
        optional=("redirect_uri", "code_verifier"),
    ),
    GrantType.CLIENT_CREDENTIALS: _GrantForm(
        name="ClientCredentials", title="Act for the client itself", optional=("scope",)
    ),
    GrantType.PASSWORD: _GrantForm(
        name="Password", title="Send a user's password", required=("username", "password"), optional=("scope",)
    ),
    GrantType.JWT_BEARER: _GrantForm(
        name="Assertion", title="Send a trusted issuer's assertion", required=("assertion",), optional=("scope",)
    ),
}

_TYKS_CLIENT = {
    "client_id": "ed59158fa2344e94b3e6278e8ab85142",
    "client_secret": "MGQ3NzE2MGQtYTUyZC00ZTVlLWJjMTItMjE2MTM1MmE3N2M1",
}
_TYKS_REFRESH = "YjdhOWFmZTAtNmExZi00ZTVlLWIwZTUtOGFhNmIwMWI3MzJj"
_TYKS_ACCESS = "580defdbe1d21e0001c67e5c2a0a6c98ba8b4a059dc5825388501573"
_AN_ASSERTION = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjE2In0.eyJpc3MiOiJhcHAifQ.J9l-ZhwP_2n"

# What WSO2, Tyk and Oracle print, then RFC 6749 §4.1.3, §4.4.2, §4.3.2 and RFC 7523 §4.
_TOKEN_EXAMPLES: dict[str, tuple[str, dict[str, str]]] = {
    "RefreshByBasic": (
        "Refresh, for less scope; the client authenticates by HTTP Basic",
        {"grant_type": GrantType.REFRESH_TOKEN, "refresh_token": _TYKS_REFRESH, "scope": "PRODUCTION"},
    ),
    "RefreshByBody": (
        "Refresh; the client's credentials are in the body, and may be in the header too",
        {"grant_type": GrantType.REFRESH_TOKEN, **_TYKS_CLIENT, "refresh_token": _TYKS_REFRESH},
    ),
    "RefreshByAssertion": (
        "Refresh; the client authenticates by a signed assertion",
        {
            "grant_type": GrantType.REFRESH_TOKEN,
            "refresh_token": _TYKS_REFRESH,
            "client_id": _TYKS_CLIENT["client_id"],
            "client_assertion_type": JWT_BEARER_ASSERTION,
            "client_assertion": _AN_ASSERTION,
        },
    ),
    "RefreshByPublicClient": (
        "Refresh; a public client names itself",
        {
            "grant_type": GrantType.REFRESH_TOKEN,
            "refresh_token": _TYKS_REFRESH,
            "client_id": _TYKS_CLIENT["client_id"],
        },
    ),
    "Code": (
        "Redeem an authorization code",
        {
            "grant_type": GrantType.AUTHORIZATION_CODE,
            "code": "SplxlOBeZQQYbYS6WxSbIA",
            "redirect_uri": "https://client.example.com/cb",
            "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        },
    ),
    "ClientCredentials": ("Act for the client itself", {"grant_type": GrantType.CLIENT_CREDENTIALS}),
    "Password": (
        "Send a user's password",
        {"grant_type": GrantType.PASSWORD, "username": "johndoe", "password": "A3ddj3w"},
    ),
    "Assertion": (
        "Send a trusted issuer's assertion",
        {"grant_type": GrantType.JWT_BEARER, "assertion": _AN_ASSERTION},
    ),
}


def token_form() -> dict[str, Any]:
    """Return the request body of the token endpoint: the form of one of the grant types that the server offers."""
    offered = {grant_type: f"#/components/schemas/OAuth{form.name}Request" for grant_type, form in _offered()}
    examples = {
        name: {"summary": summary, "value": dict(value)}
        for name, (summary, value) in _TOKEN_EXAMPLES.items()
        if value["grant_type"] in offered
    }
    schema = {
        "oneOf": [{"$ref": reference} for reference in offered.values()],
        "discriminator": {"propertyName": "grant_type", "mapping": offered},
    }
    return _body(schema, examples)


def one_token_form(*, secret_is_needed: bool) -> dict[str, Any]:
    """Return the request body of an endpoint that is asked about one token (RFC 7009 §2.1, RFC 7662 §2.1)."""
    token = {"token": _TYKS_ACCESS}
    examples = {
        "ByBasic": {"summary": "The client authenticates by HTTP Basic", "value": token},
        "ByBody": {"summary": "The client's credentials are in the body", "value": token | _TYKS_CLIENT},
    }
    if not secret_is_needed:
        named = token | {"client_id": _TYKS_CLIENT["client_id"]}
        examples["ByPublicClient"] = {"summary": "A public client names itself", "value": named}
    return _body({"$ref": "#/components/schemas/OAuthTokenRequest"}, examples)


def form_schemas() -> dict[str, dict[str, Any]]:
    """Return every form by the name of its component, and the constants that forms hold.

    A constant is a component of its own, as drf-spectacular's hook would make it, which then finds nothing to rename.
    """
    schemas = {
        "OAuthTokenRequest": _form("A token, and who asks", ("token",), ("token_type_hint",)),
        "OAuthClientAssertionType": {"type": "string", "enum": [JWT_BEARER_ASSERTION]},
    }
    for grant_type, form in _offered():
        constant = f"OAuth{form.name}GrantType"
        schema = _form(form.title, form.required, form.optional)
        schema["required"] = ["grant_type", *form.required]
        schema["properties"] = {"grant_type": {"$ref": f"#/components/schemas/{constant}"}, **schema["properties"]}
        schemas[f"OAuth{form.name}Request"] = schema
        schemas[constant] = {"type": "string", "enum": [grant_type]}
    return schemas


def _offered() -> Iterator[tuple[str, _GrantForm]]:
    return ((str(name), form) for name, form in _GRANT_FORMS.items() if name in app_settings.grant_types)


def _form(title: str, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    names = (*required, *optional, *_OF_THE_CLIENT)
    properties = {name: _parameter(name, is_required=name in required) for name in names}
    return {"type": "object", "title": title, "properties": properties, "required": list(required)}


def _parameter(name: str, *, is_required: bool) -> dict[str, Any]:
    if name == "client_assertion_type":
        return {"$ref": "#/components/schemas/OAuthClientAssertionType"}
    parameter: dict[str, Any] = {"type": "string", "description": _PARAMETERS[name]}
    if is_required:
        parameter["minLength"] = 1  # an empty parameter counts as left out
    if name in _SECRET:
        parameter["format"] = "password"
    return parameter


def _body(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {FORM_CONTENT_TYPE: {"schema": schema, "examples": examples}}}
