"""Read what a request says of its client (RFC 6749 §2.3.1). Whether it is true is for ``services.clients``."""

import base64
from urllib.parse import unquote_plus

from django.http import HttpRequest

from oauth_refresh.errors import InvalidClient, InvalidRequest, SymmetricAssertion
from oauth_refresh.grant_types import Parameters
from oauth_refresh.jose import SignedJWT, UnreadableJWT, parse_jwt
from oauth_refresh.models import AuthMethod
from oauth_refresh.services.clients import ClientCredentials

JWT_BEARER_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def read_client_credentials(request: HttpRequest, parameters: Parameters) -> ClientCredentials:
    """Return the client's credentials from the Authorization header or the form; the query string does not count.

    The same pair in both places is one credential sent twice. Raises InvalidRequest if the two differ or an assertion
    comes on top, InvalidClient if there is none or it cannot be read.
    """
    client_id, raw_secret = parameters.get("client_id"), parameters.get("client_secret")
    basic = _read_basic(request)
    assertion = _read_assertion(parameters, is_alone=basic is None and raw_secret is None)
    if assertion is not None:
        return ClientCredentials(
            client_id=_name_of(client_id, assertion),
            assertion=assertion,
            methods=frozenset({AuthMethod.PRIVATE_KEY_JWT}),
        )
    methods = set()
    if raw_secret is not None:
        methods.add(AuthMethod.CLIENT_SECRET_POST)
    if basic is not None:
        if client_id not in {None, basic[0]} or raw_secret not in {None, basic[1]}:
            raise InvalidRequest("The client credentials in the header and in the body differ.")
        client_id, raw_secret = basic
        methods.add(AuthMethod.CLIENT_SECRET_BASIC)
    if client_id is None:
        raise InvalidClient("The request names no client.")
    return ClientCredentials(
        client_id=client_id, raw_secret=raw_secret, methods=frozenset(methods or {AuthMethod.NONE})
    )


def _read_basic(request: HttpRequest) -> tuple[str, str] | None:
    """Return client ID and secret of a Basic header; None without a header, or with one of another scheme."""
    scheme, _space, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user_pass = base64.b64decode(value.strip(), validate=True).decode()
        client_id, colon, raw_secret = user_pass.partition(":")
        # Both halves are form-encoded before they are joined, so a colon in one of them is %3A.
        credentials = unquote_plus(client_id, errors="strict"), unquote_plus(raw_secret, errors="strict")
    except ValueError as error:
        raise InvalidClient("The Basic credentials are not base64 of UTF-8 text.") from error
    if not colon or not client_id:
        raise InvalidClient("The Basic credentials lack a client ID or a colon.")
    return credentials


def _read_assertion(parameters: Parameters, *, is_alone: bool) -> SignedJWT | None:
    """Return the client assertion, parsed but not verified; None without one (RFC 7521 §4.2)."""
    raw_assertion, assertion_type = parameters.get("client_assertion"), parameters.get("client_assertion_type")
    if raw_assertion is None and assertion_type is None:
        return None
    if not is_alone:
        raise InvalidRequest("The client authenticates in more than one way.")
    if raw_assertion is None or assertion_type is None:
        raise InvalidRequest("client_assertion and client_assertion_type go together.")
    if assertion_type != JWT_BEARER_ASSERTION:
        raise InvalidClient("The client assertion is of an unknown type.")
    try:
        assertion = parse_jwt(raw_assertion)
    except UnreadableJWT as error:
        raise InvalidClient(f"The client assertion is refused: {error}.") from error
    if assertion.algorithm.startswith("HS"):
        raise SymmetricAssertion("The client assertion is signed with a secret.")
    return assertion


def _name_of(client_id: str | None, assertion: SignedJWT) -> str:
    """Return the client that the assertion is about, which a ``client_id`` beside it may only confirm."""
    subject = assertion.claims.get("sub")
    if not isinstance(subject, str) or client_id not in {None, subject}:
        raise InvalidClient("The client ID is not the subject of the assertion.")
    return subject
