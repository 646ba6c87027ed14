"""Read the body of a protocol request (RFC 6749 App. B): a form, in UTF-8, each parameter once."""

from urllib.parse import parse_qsl

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, UnreadablePostError

from oauth_refresh.errors import InvalidRequest, RequestTooLarge
from oauth_refresh.grant_types import Parameters

FORM_CONTENT_TYPE = "application/x-www-form-urlencoded"

# The parameters that RFC 6749, 7009, 7521 and 7636 define. OAuth 2.1 §3.2 narrows the ban on repetition to these.
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


def read_parameters(request: HttpRequest) -> Parameters:
    """Return the form parameters of ``request``; the query string is never read.

    Raises InvalidRequest for another content type, a body that is not UTF-8, too many fields or a repeated parameter,
    RequestTooLarge for a body over ``DATA_UPLOAD_MAX_MEMORY_SIZE``.
    """
    if request.content_type != FORM_CONTENT_TYPE:
        raise InvalidRequest(f"Send the parameters in the body, as {FORM_CONTENT_TYPE}.")
    try:
        _require_whole_body(request)
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
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in DEFINED_PARAMETERS and name in values:
            raise InvalidRequest(f"The parameter {name} is repeated.")
        values.setdefault(name, value)
    return Parameters(values)


def _require_whole_body(request: HttpRequest) -> None:
    """Refuse what a broken connection left: a refresh without its last parameter would mean something else."""
    announced = request.META.get("CONTENT_LENGTH")
    if announced and int(announced) != len(request.body):
        raise InvalidRequest("The body is shorter than announced.")
