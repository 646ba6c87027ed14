"""Read a protocol request: the parameters of its form (RFC 6749 App. B), and the client's credentials (§2.3.1).

Whether the credentials are right is for ``services.clients`` to say.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, UnreadablePostError

from oauth_refresh.errors import InvalidClient, InvalidRequest, RequestTooLarge, SymmetricAssertion
from oauth_refresh.http import ClientInfo
from oauth_refresh.jose import SignedJWT, UnreadableJWT, parse_jwt
from oauth_refresh.models import Application, AuthMethod, GrantType, RefreshToken
from oauth_refresh.services.credentials import ClientCredentials
from oauth_refresh.services.lookup import find_refresh_row

FORM_CONTENT_TYPE = "application/x-www-form-urlencoded"
_NOT_A_FORM = f"Send the parameters in the body, as {FORM_CONTENT_TYPE}."
JWT_BEARER_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# The parameters that RFC 6749, 7009, 7521, 7636 and 8628 define. Only these must not be repeated, as in the draft of
# OAuth 2.1 (§3.2): an unknown parameter is ignored, however often it comes (RFC 6749 §3.2).
DEFINED_PARAMETERS = frozenset(
    {
        "assertion",
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "device_code",
        "grant_type",
        "password",
        "redirect_uri",
        "refresh_token",
        "scope",
        "token",
        "token_type_hint",
        "username",
    }
)


@dataclass(frozen=True, slots=True, repr=False)
class Parameters:
    """The form parameters of a protocol request, each once; an empty one counts as left out (RFC 6749 §3.2).

    ``resources``: the values of ``resource``, the only parameter that may be repeated (RFC 8707 §2).
    """

    values: Mapping[str, str]
    resources: tuple[str, ...] = ()

    def get(self, name: str) -> str | None:
        return self.values.get(name) or None

    def require(self, name: str) -> str:
        """Return the parameter. Raises InvalidRequest if it is missing or empty."""
        value = self.get(name)
        if value is None:
            raise InvalidRequest(f"The parameter {name} is missing.")
        return value


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClientRequest:
    """A request whose client is authenticated.

    ``http_request`` is for authentication backends that need it; ``refresh_token_row`` is the row of the refresh token
    that is to be traded, if it was found.
    """

    parameters: Parameters
    credentials: ClientCredentials
    application: Application
    client_info: ClientInfo
    http_request: HttpRequest
    refresh_token_row: RefreshToken | None = None


def read_parameters(request: HttpRequest, *, may_be_empty: bool = False) -> Parameters:
    """Return the form parameters of ``request``; the query string is never read.

    ``may_be_empty``: an empty body needs no content type. Raises InvalidRequest for another content type, a body that
    is not UTF-8, too many fields or a repeated parameter, and RequestTooLarge for a body over
    ``DATA_UPLOAD_MAX_MEMORY_SIZE``.
    """
    is_form = request.content_type == FORM_CONTENT_TYPE
    if not is_form and not may_be_empty:
        raise InvalidRequest(_NOT_A_FORM)
    try:
        _require_whole_body(request)
        if not is_form and request.body:
            raise InvalidRequest(_NOT_A_FORM)
        # The charset a client may name is not looked at: the format is defined in UTF-8.
        pairs = parse_qsl(
            request.body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=settings.DATA_UPLOAD_MAX_NUMBER_FIELDS,
        )
    except RequestDataTooBig as error:
        raise RequestTooLarge("The body is too large.") from error
    except UnreadablePostError as error:
        raise InvalidRequest("The body could not be read.") from error
    except ValueError as error:
        raise InvalidRequest("The body is not a form in UTF-8, or has too many fields.") from error
    # Of two values one check could use the first and another the second (RFC 6749 §3.2).
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in DEFINED_PARAMETERS and name in values:
            raise InvalidRequest(f"The parameter {name} is repeated.")
        values.setdefault(name, value)
    return Parameters(values, resources=tuple(value for name, value in pairs if name == "resource" and value))


def _require_whole_body(request: HttpRequest) -> None:
    """Refuse a body that a broken connection cut short: without its last parameter it would mean something else."""
    announced = request.META.get("CONTENT_LENGTH")
    is_chunked = "wsgi.input" in request.META and "Transfer-Encoding" in request.headers
    if is_chunked and not announced and not request.body:
        # Under WSGI a body without a length cannot be read, so its parameters would only seem to be missing.
        raise InvalidRequest("Send the body with a Content-Length: the server cannot read a chunked one.")
    if announced and int(announced) != len(request.body):
        raise InvalidRequest("The body is shorter than announced.")


def find_traded_token(parameters: Parameters) -> RefreshToken | None:
    """Return the row of the refresh token that is to be traded, with its application; None for any other request.

    It is read before the client is authenticated, which then costs a refresh no statement of its own. Nothing follows
    from the token until that has been done.
    """
    if parameters.get("grant_type") != GrantType.REFRESH_TOKEN:
        return None
    return find_refresh_row(parameters.get("refresh_token") or "")


def read_client_credentials(request: HttpRequest, parameters: Parameters) -> ClientCredentials:
    """Return the client's credentials from the Authorization header or the form; the query string does not count.

    The same pair in both places is one credential sent twice. Raises InvalidRequest if the two differ or an assertion
    comes on top, InvalidClient if there are none or they cannot be read.
    """
    client_id, raw_secret = parameters.get("client_id"), parameters.get("client_secret")
    basic_id, basic_secret = _read_basic(request)
    sent_by = {AuthMethod.CLIENT_SECRET_BASIC: basic_secret, AuthMethod.CLIENT_SECRET_POST: raw_secret}
    methods = frozenset(method for method, secret in sent_by.items() if secret is not None)
    assertion = _read_assertion(parameters, is_alone=not methods)
    # The same credential twice is what Tyk documents; two different ones leave open which client it is.
    if _differ(client_id, basic_id) or _differ(raw_secret, basic_secret):
        raise InvalidRequest("The client credentials in the header and in the body differ.")
    client_id = basic_id or client_id
    if assertion is not None:
        return ClientCredentials(
            client_id=_client_id_of(client_id, assertion),
            assertion=assertion,
            methods=frozenset({AuthMethod.PRIVATE_KEY_JWT}),
        )
    if client_id is None:
        raise InvalidClient("The request names no client.")
    return ClientCredentials(
        client_id=client_id, raw_secret=basic_secret or raw_secret, methods=methods or frozenset({AuthMethod.NONE})
    )


def _differ(one: str | None, other: str | None) -> bool:
    """Whether both were sent, and are not the same."""
    return None not in {one, other} and one != other


def _read_basic(request: HttpRequest) -> tuple[str | None, str | None]:
    """Return client ID and secret of a Basic header; neither without a header, or with one of another scheme.

    An empty password is no secret (RFC 6749 §2.3.1): libraries send it for public clients. Where the user is empty too,
    the header is ignored: some libraries always send one.
    """
    scheme, _space, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        user_pass = base64.b64decode(value.strip(), validate=True).decode()
        client_id, colon, raw_secret = user_pass.partition(":")
        # Both halves are form-encoded before they are joined, so a colon in one of them is %3A.
        credentials = unquote_plus(client_id, errors="strict"), unquote_plus(raw_secret, errors="strict")
    except ValueError as error:
        raise InvalidClient("The Basic credentials are not base64 of UTF-8 text.") from error
    if not colon or (raw_secret and not client_id):
        raise InvalidClient("The Basic credentials lack a client ID or a colon.")
    return credentials[0] or None, credentials[1] or None


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
    # client_secret_jwt: verifying it would need the raw secret, of which only the digest is stored.
    if assertion.algorithm.startswith("HS"):
        raise SymmetricAssertion("The client assertion is signed with a secret.")
    return assertion


def _client_id_of(client_id: str | None, assertion: SignedJWT) -> str:
    """Return the client that the assertion is about, which a ``client_id`` beside it may only confirm."""
    subject = assertion.claims.get("sub")
    if not isinstance(subject, str) or client_id not in {None, subject}:
        raise InvalidClient("The client ID is not the subject of the assertion.")
    return subject
