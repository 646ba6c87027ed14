"""How requests travel to the token endpoint: RFC 6749 §3.2 and Appendix B."""

from http import HTTPStatus
from io import BytesIO
from urllib.parse import quote, urlencode

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.test import Client, RequestFactory
from django.urls import resolve, reverse

from oauth_refresh.models import Application, Grant
from tests.factories import ApplicationFactory
from tests.oauth import FORM, OAuthClient, basic, post_form
from tests.refusals import (
    INVALID_CLIENT,
    INVALID_GRANT,
    INVALID_SCOPE,
    NOT_A_FORM,
    NOT_READABLE,
    NOT_SECURE,
    ONLY_POST,
    UNAUTHORIZED_CLIENT,
    UNSUPPORTED_GRANT_TYPE,
    assert_protocol_headers,
    invalid_request,
    missing,
    repeated,
)

FULL_SCOPE = "notes:read notes:write"
GRANT_TYPE_MISSING = missing("grant_type")


def refresh_form(client):
    return {"grant_type": "refresh_token", "refresh_token": client.refresh_token}


def send(client, body, /, **extra):
    """POST ``body``, ready or as a dict, to the token endpoint with the credentials of ``client``."""
    return post_form("token", body, authorization=client.authorization, **extra)


def test_t_001_posted_form_is_answered(client_app):
    response = send(client_app, refresh_form(client_app))

    assert response.status_code == HTTPStatus.OK
    assert Grant.objects.get().generation == 2


def test_t_002_get_is_not_allowed(client_app, refused):
    headers = {"Authorization": client_app.authorization}

    answer = refused(
        lambda: Client().get(reverse("oauth_refresh:token"), query_params=refresh_form(client_app), headers=headers)
    )

    assert answer == ONLY_POST


def test_t_002_refusal_of_a_method_names_the_allowed_one():
    response = Client().get(reverse("oauth_refresh:token"))

    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_t_003_other_methods_are_not_allowed(client_app, refused, method):
    body, headers = urlencode(refresh_form(client_app)), {"Authorization": client_app.authorization}

    answer = refused(lambda: Client().generic(method, reverse("oauth_refresh:token"), body, FORM, headers=headers))

    assert answer == ONLY_POST


def test_t_003_head_is_not_allowed_and_has_no_body(client_app):
    response = Client().head(reverse("oauth_refresh:token"))

    assert (response.status_code, response.content) == (HTTPStatus.METHOD_NOT_ALLOWED, b"")
    assert_protocol_headers(response)


def test_t_004_json_is_not_read(client_app, refused):
    body = f'{{"grant_type": "refresh_token", "refresh_token": "{client_app.refresh_token}"}}'

    assert refused(lambda: send(client_app, body, content_type="application/json")) == NOT_A_FORM


@pytest.mark.parametrize(
    "parameter", [";charset=UTF-8", "; charset=utf-8", '; charset="utf-8"', ";CHARSET=UTF-8", " ; charset=UTF-8"]
)
def test_t_005_content_type_may_name_the_charset(client_app, parameter):
    response = send(client_app, refresh_form(client_app), content_type=FORM + parameter)

    assert response.status_code == HTTPStatus.OK


def test_t_005_content_type_may_be_in_upper_case(client_app):
    response = send(client_app, refresh_form(client_app), content_type=FORM.upper())

    assert response.status_code == HTTPStatus.OK


@pytest.mark.parametrize("charset", ["ISO-8859-1", "utf-16", "no-such-charset"])
def test_t_006_body_is_read_as_utf_8_for_every_charset_named(user, charset):
    application = ApplicationFactory(raw_secret="p% +&£€")
    client = OAuthClient(application).start(user=user)
    body = urlencode({**refresh_form(client), "client_id": application.client_id, "client_secret": "p% +&£€"})

    response = post_form("token", body, content_type=f"{FORM};charset={charset}")

    assert response.status_code == HTTPStatus.OK


def test_t_007_multipart_is_not_read(client_app, refused):
    headers = {"Authorization": client_app.authorization}

    answer = refused(
        lambda: Client().post(reverse("oauth_refresh:token"), data=refresh_form(client_app), headers=headers)
    )

    assert answer == NOT_A_FORM


def test_t_008_body_without_content_type_is_not_read(client_app, refused):
    assert refused(lambda: send(client_app, refresh_form(client_app), content_type="")) == NOT_A_FORM


def test_t_008_request_without_content_type_and_body_is_malformed(client_app, refused):
    assert refused(lambda: send(client_app, "")) == NOT_A_FORM


def test_t_008_empty_form_lacks_the_grant_type(client_app, refused):
    assert refused(lambda: send(client_app, "", CONTENT_TYPE=FORM)) == GRANT_TYPE_MISSING


@pytest.mark.parametrize(
    "parameter",
    [
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
        "username",
    ],
)
@pytest.mark.parametrize("values", [("a", "a"), ("a", "b"), ("", "")], ids=["equal", "different", "empty"])
def test_t_009_defined_parameter_must_not_be_repeated(client_app, refused, parameter, values):
    others = {name: value for name, value in refresh_form(client_app).items() if name != parameter}
    body = urlencode([*others.items(), *((parameter, value) for value in values)])

    assert refused(lambda: send(client_app, body)) == repeated(parameter)


def test_t_010_resource_may_be_repeated(client_app):
    body = [*refresh_form(client_app).items(), ("resource", "https://a.example"), ("resource", "https://b.example")]

    assert send(client_app, urlencode(body)).status_code == HTTPStatus.OK


def test_t_011_unknown_parameter_may_be_repeated(client_app):
    body = [*refresh_form(client_app).items(), ("colour", "red"), ("colour", "blue")]

    assert send(client_app, urlencode(body)).status_code == HTTPStatus.OK


def test_t_012_empty_grant_type_counts_as_missing(client_app, refused):
    form = {**refresh_form(client_app), "grant_type": ""}

    assert refused(lambda: send(client_app, form)) == GRANT_TYPE_MISSING


def test_t_013_empty_scope_counts_as_left_out(client_app):
    response = send(client_app, {**refresh_form(client_app), "scope": ""})

    assert response.json()["scope"] == FULL_SCOPE


def test_t_014_empty_refresh_token_counts_as_missing(client_app, refused):
    form = {"grant_type": "refresh_token", "refresh_token": ""}

    assert refused(lambda: send(client_app, form)) == missing("refresh_token")


def test_t_014_empty_code_counts_as_missing(client_app, refused):
    form = {"grant_type": "authorization_code", "code": ""}

    assert refused(lambda: send(client_app, form)) == missing("code")


def test_t_014_empty_assertion_counts_as_missing(client_app, refused):
    grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    Application.objects.update(grant_types=grant_type)

    answer = refused(lambda: send(client_app, {"grant_type": grant_type, "assertion": ""}))

    assert answer == missing("assertion")


def test_t_015_parameters_that_do_not_belong_here_are_ignored(client_app):
    extra = {"foo": "bar", "access_token": "", "format": "api", "code": "unused"}

    response = send(client_app, {**refresh_form(client_app), **extra})

    assert response.status_code == HTTPStatus.OK


def test_t_016_grant_type_is_required(client_app, refused):
    assert refused(lambda: send(client_app, {"refresh_token": client_app.refresh_token})) == GRANT_TYPE_MISSING


@pytest.mark.parametrize("grant_type", ["nope", "implicit", "REFRESH_TOKEN", " refresh_token", "refresh_token "])
def test_t_017_unknown_grant_type_is_unsupported(client_app, refused, grant_type):
    form = {**refresh_form(client_app), "grant_type": grant_type}

    assert refused(lambda: send(client_app, form)) == UNSUPPORTED_GRANT_TYPE


def test_t_018_grant_type_must_be_enabled_for_the_client(client_app, refused):
    Application.objects.update(grant_types="refresh_token")

    assert refused(lambda: send(client_app, {"grant_type": "client_credentials"})) == UNAUTHORIZED_CLIENT


def test_t_019_failed_authentication_comes_before_an_unknown_grant_type(client_app, refused):
    wrong = basic(client_app.application.client_id, "not-the-secret-of-this-application")

    assert refused(lambda: post_form("token", {"grant_type": "nope"}, authorization=wrong)) == INVALID_CLIENT


@pytest.mark.parametrize("body", ["", "unused=1"])
def test_t_020_query_string_is_never_read(client_app, refused, body):
    form = refresh_form(client_app)

    answer = refused(lambda: send(client_app, body, query_params=form, CONTENT_TYPE=FORM))

    assert answer == GRANT_TYPE_MISSING


MALFORMED = {
    "escape that is none in the token": ("grant_type=refresh_token&refresh_token=%ZZ", INVALID_GRANT),
    "truncated escape in the token": ("grant_type=refresh_token&refresh_token=ort_%E", INVALID_GRANT),
    "NUL in the token": ("grant_type=refresh_token&refresh_token=ort_%00", INVALID_GRANT),
    "invalid UTF-8 in the token": ("grant_type=refresh_token&refresh_token=%FF", NOT_READABLE),
    "invalid UTF-8 in an unknown parameter": ("grant_type=refresh_token&foo=%C3%28", NOT_READABLE),
    "invalid UTF-8 in a name": ("grant_type=refresh_token&%FF=foo", NOT_READABLE),
    "NUL in the grant type": ("grant_type=refresh_token%00", UNSUPPORTED_GRANT_TYPE),
    "escape that is none in the grant type": ("grant_type=%ZZ", UNSUPPORTED_GRANT_TYPE),
    "NUL in the scope": ("grant_type=client_credentials&scope=notes:read%00", INVALID_SCOPE),
    "NUL in the user name": ("grant_type=password&username=%00&password=x", INVALID_GRANT),
    "NUL in the password": ("grant_type=password&username=user&password=%00", INVALID_GRANT),
}


@pytest.mark.parametrize(("body", "answer"), MALFORMED.values(), ids=MALFORMED)
def test_t_021_malformed_octets_are_a_refusal(client_app, refused, body, answer):
    assert refused(lambda: send(client_app, body)) == answer


def test_t_021_octets_outside_utf_8_in_the_body_itself_are_a_refusal(client_app, refused):
    headers = {"Authorization": client_app.authorization}

    answer = refused(
        lambda: Client().generic("POST", reverse("oauth_refresh:token"), b"grant_type=\xff", FORM, headers=headers)
    )

    assert answer == NOT_READABLE


@pytest.mark.parametrize("space", ["+", "%20"])
def test_t_022_plus_and_escape_both_stand_for_a_space(client_app, space):
    body = f"grant_type=client_credentials&scope={quote('notes:write')}{space}{quote('notes:read')}"

    assert send(client_app, body).json()["scope"] == "notes:write notes:read"


def test_t_023_body_over_the_limit_is_too_large(client_app, refused, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    form = {**refresh_form(client_app), "foo": "x" * 1000}

    answer = refused(lambda: send(client_app, form))

    assert answer == invalid_request("The body is too large.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def test_t_023_too_many_fields_are_malformed(client_app, refused, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 3
    form = {**refresh_form(client_app), "a": "1", "b": "2"}

    assert refused(lambda: send(client_app, form)) == NOT_READABLE


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png;q=0.1", "nonsense"])
def test_t_024_answer_is_json_for_every_accept_header(client_app, accept):
    response = send(client_app, refresh_form(client_app), headers={"Accept": accept}, query_params={"format": "api"})

    assert response.status_code == HTTPStatus.OK
    assert_protocol_headers(response)


def test_t_024_refusal_is_json_for_every_accept_header(client_app, refused):
    unknown = {"grant_type": "refresh_token", "refresh_token": "unknown"}

    answer = refused(lambda: send(client_app, unknown, headers={"Accept": "text/html"}, query_params={"format": "api"}))

    assert answer == INVALID_GRANT


@pytest.fixture
def browser(user, settings):
    """A browser that is logged in, and whose CSRF cookie fits nothing; middleware would like to renew both."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    browser.cookies["csrftoken"] = "bogus"
    return browser


def test_t_025_cookies_of_a_browser_make_no_difference(client_app, browser):
    response = send(client_app, refresh_form(client_app), client=browser, headers={"X-CSRFToken": "other"})

    assert response.status_code == HTTPStatus.OK
    assert_protocol_headers(response)


def test_t_025_session_is_no_client_authentication(client_app, browser, refused):
    answer = refused(lambda: post_form("token", refresh_form(client_app), client=browser))

    assert answer == INVALID_CLIENT


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("endpoint", ["token", "revoke"])
def test_t_026_endpoint_answers_with_and_without_a_slash(client_app, endpoint, slash):
    path = reverse(f"oauth_refresh:{endpoint}").removesuffix("/") + slash
    body = urlencode({**refresh_form(client_app), "token": client_app.access_token})

    response = Client().post(path, body, content_type=FORM, headers={"Authorization": client_app.authorization})

    assert response.status_code == HTTPStatus.OK


@pytest.mark.parametrize("endpoint", ["token", "revoke"])
def test_t_027_plain_http_is_refused(client_app, refused, oauth_settings, endpoint):
    oauth_settings(REQUIRE_HTTPS=True)
    form = {**refresh_form(client_app), "token": client_app.access_token}

    assert refused(lambda: post_form(endpoint, form, authorization=client_app.authorization)) == NOT_SECURE


@pytest.mark.parametrize("endpoint", ["token", "revoke"])
def test_t_027_https_is_answered(client_app, oauth_settings, endpoint):
    oauth_settings(REQUIRE_HTTPS=True)
    form = {**refresh_form(client_app), "token": client_app.access_token}

    response = post_form(endpoint, form, authorization=client_app.authorization, secure=True)

    assert response.status_code == HTTPStatus.OK


def test_chunked_body_that_the_server_cannot_read_asks_for_its_length(client_app):
    """Under WSGI, Django reads nothing without a Content-Length, and the client would be told something else."""
    request = RequestFactory().generic("POST", "/", CONTENT_TYPE=FORM, headers={"Transfer-Encoding": "chunked"})

    response = resolve(reverse("oauth_refresh:token")).func(request)

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert response.data == {
        "error": "invalid_request",
        "error_description": "Send the body with a Content-Length: the server cannot read a chunked one.",
    }


def answer_under_asgi(client, endpoint, body):
    """Send a chunked body as an ASGI server passes it on, and return status and body of the answer."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": reverse(f"oauth_refresh:{endpoint}"),
        "headers": [
            (b"transfer-encoding", b"chunked"),
            (b"content-type", FORM.encode()),
            (b"authorization", client.authorization.encode()),
        ],
    }
    response = resolve(scope["path"]).func(ASGIRequest(scope, BytesIO(body)))
    return response.status_code, response.data


@pytest.mark.parametrize("endpoint", ["token", "revoke", "introspect"])
def test_chunked_body_is_read_under_asgi(client_app, endpoint):
    body = urlencode({**refresh_form(client_app), "token": client_app.access_token}).encode()

    status, _body = answer_under_asgi(client_app, endpoint, body)

    assert status == HTTPStatus.OK


def test_chunked_body_that_is_empty_lacks_its_parameters_under_asgi(client_app):
    assert answer_under_asgi(client_app, "token", b"") == GRANT_TYPE_MISSING
