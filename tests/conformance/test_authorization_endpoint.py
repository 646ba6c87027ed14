"""The authorization endpoint, redirect URIs and ``iss``: RFC 6749 §3.1 and §4.1, 8252, 9207, 9700 §4.1 and §4.16."""

import re
from http import HTTPStatus

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from oauth_refresh.checks import check_issuer
from oauth_refresh.models import Application, AuthorizationCode, Grant
from oauth_refresh.services.clients import create_application
from tests.conformance.redirects import (
    ACCESS_DENIED,
    INVALID_SCOPE,
    ISSUER,
    SERVER_ERROR,
    UNAUTHORIZED_CLIENT,
    UNSUPPORTED_RESPONSE_TYPE,
    assert_protected,
    error_page,
    error_redirect,
    invalid_request,
    invalid_scope,
    read_error,
)
from tests.consent import CHALLENGE, REDIRECT_URI, STATE, read_answer, start_flow
from tests.factories import ApplicationFactory

NATIVE = "com.example.app:/callback"
METADATA = "/.well-known/oauth-authorization-server"

UNKNOWN = "The application that sent you here is unknown or no longer active."
NOT_REGISTERED = "The application asked to send you back to a URL that is not registered for it."
NOT_NAMED = "The application did not say where to send you back to."
REPEATED = "The application that sent you here repeated a parameter of its request."


def repeated(parameter):
    return invalid_request(f"The parameter {parameter} is repeated.")


def assert_asked(response):
    """The user sees the consent page, and nothing is granted yet."""
    assert response.status_code == HTTPStatus.OK
    assert 'value="allow"' in response.content.decode()
    assert not Grant.objects.exists()


def assert_answered(response, redirect_uri):
    """The application gets a code at its redirect URI."""
    assert response.status_code == HTTPStatus.SEE_OTHER
    assert response.headers["Location"].partition("?")[0] == redirect_uri
    assert "no-store" in response.headers["Cache-Control"]
    assert AuthorizationCode.objects.count() == 1
    assert read_answer(response)["code"].startswith("oac_")


def test_az_001_user_consents_and_the_code_is_sent_to_the_application(flow):
    assert_asked(flow.ask())

    assert_answered(flow.decide("allow"), REDIRECT_URI)


def test_az_001_user_who_is_not_signed_in_signs_in_first(flow):
    response = Client().get(flow.url())

    assert response.status_code == HTTPStatus.FOUND
    assert response.headers["Location"].startswith(f"{reverse('login')}?next=")


@pytest.mark.parametrize("slash", ["", "/"])
def test_az_001_endpoint_answers_with_and_without_a_slash(flow, slash):
    assert_asked(flow.browser.get(flow.url().replace("/authorize?", f"/authorize{slash}?")))


def test_az_001_without_an_issuer_there_is_no_endpoint(flow, oauth_settings):
    oauth_settings(ISSUER=None)

    assert flow.ask().status_code == HTTPStatus.NOT_FOUND
    assert flow.decide("allow").status_code == HTTPStatus.NOT_FOUND
    assert not Grant.objects.exists()


@pytest.mark.parametrize("client_id", [None, "", "unknown", "client\x00", "*", "%", "x" * 1000, "clé"])
@pytest.mark.parametrize("signed_in", [True, False])
def test_az_002_unknown_client_is_an_error_page(flow, client_id, signed_in):
    flow.browser = flow.browser if signed_in else Client()

    assert UNKNOWN in error_page(flow, client_id=client_id)


def test_az_002_inactive_client_is_an_error_page(flow):
    Application.objects.update(is_active=False)

    assert UNKNOWN in error_page(flow)


@pytest.mark.parametrize("registered", ["", f"{REDIRECT_URI}\nhttps://app.example/other"], ids=["none", "two"])
@pytest.mark.parametrize("left_out", [None, ""], ids=["missing", "empty"])
def test_az_003_redirect_uri_must_be_clear(flow, registered, left_out):
    Application.objects.update(redirect_uris=registered)

    assert NOT_NAMED in error_page(flow, redirect_uri=left_out)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://evil.example/callback",
        "https://",
        "https://[::1",
        "/callback",
        "callback",
        "javascript:alert(1)",
        "data:text/html,x",
        f" {REDIRECT_URI}",
        f"{REDIRECT_URI}\n",
        f"{REDIRECT_URI}\x00",
        f"{REDIRECT_URI} {REDIRECT_URI}",
    ],
)
def test_az_003_redirect_uri_that_is_not_registered_is_an_error_page(flow, redirect_uri):
    assert NOT_REGISTERED in error_page(flow, redirect_uri=redirect_uri)


def test_az_003_repeated_redirect_uri_is_an_error_page(flow):
    assert REPEATED in error_page(flow, redirect_uri=[REDIRECT_URI, REDIRECT_URI])


def test_az_004_the_only_registered_redirect_uri_need_not_be_named(flow):
    assert_answered(flow.decide("allow", redirect_uri=None), REDIRECT_URI)


@pytest.mark.parametrize("left_out", [None, ""], ids=["missing", "empty"])
def test_az_005_response_type_is_required(flow, left_out):
    missing = invalid_request("The parameter response_type is missing.")

    assert error_redirect(flow, response_type=left_out) == missing


@pytest.mark.parametrize("response_type", ["token", "code token", "code id_token", "none", "CODE", " code", "unknown"])
def test_az_006_other_response_types_are_not_supported(flow, response_type):
    assert error_redirect(flow, response_type=response_type) == UNSUPPORTED_RESPONSE_TYPE


def test_az_007_grant_type_must_be_enabled_for_the_client(flow):
    Application.objects.update(grant_types="refresh_token")

    assert error_redirect(flow) == UNAUTHORIZED_CLIENT


def test_az_007_grant_type_must_be_offered_by_the_server(flow, oauth_settings):
    oauth_settings(GRANT_TYPES=["refresh_token"])

    assert error_redirect(flow) == UNAUTHORIZED_CLIENT


@pytest.mark.parametrize(
    "scope",
    ['notes:"read"', "notes:read\x00", "notes:read\r\nLocation:x", "<script> \\", "nötes:read", " ", "x" * 7_000],
)
def test_az_008_malformed_or_very_long_scope_is_refused_and_not_repeated(flow, scope):
    assert error_redirect(flow, scope=scope) == INVALID_SCOPE


@pytest.mark.parametrize(
    ("scope", "wrong"),
    [
        ("unknown", "unknown"),
        ("notes:read unknown other", "unknown"),
        ("Notes:Read", "Notes:Read"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("https://api.example/notes.read", "https://api.example/notes.read"),
    ],
)
def test_az_008_unknown_scope_is_refused_and_the_first_is_named(flow, scope, wrong):
    assert error_redirect(flow, scope=scope) == invalid_scope(wrong)


def test_az_008_scope_that_is_not_the_clients_is_refused(flow):
    Application.objects.update(scope="notes:read")

    assert error_redirect(flow, scope="notes:read notes:write") == invalid_scope("notes:write")


@pytest.mark.parametrize("left_out", [None, ""], ids=["missing", "empty"])
def test_az_009_without_a_scope_the_default_is_requested(flow, left_out):
    page = flow.ask(scope=left_out).content.decode()

    assert ("Read your notes" in page, "Write your notes" in page) == (True, False)
    assert flow.redeem(flow.code(scope=left_out)).json()["scope"] == "notes:read"


def test_az_009_without_a_default_a_scope_is_required(flow, oauth_settings):
    oauth_settings(DEFAULT_SCOPES=[])

    assert error_redirect(flow, scope=None) == INVALID_SCOPE


def test_az_009_without_a_default_the_list_of_the_application_is_requested(flow, oauth_settings):
    oauth_settings(DEFAULT_SCOPES=[])
    Application.objects.update(scope="notes:write SANDBOX gone")

    page = flow.ask(scope=None).content.decode()

    assert ("Read your notes" in page, "Write your notes" in page, "Use the sandbox" in page) == (False, True, True)
    assert flow.redeem(flow.code(scope=None)).json()["scope"] == "notes:write SANDBOX"


def test_az_009_list_of_the_application_with_unknown_scopes_only_is_empty(flow, oauth_settings):
    oauth_settings(DEFAULT_SCOPES=[])
    Application.objects.update(scope="gone")

    assert error_redirect(flow, scope=None) == INVALID_SCOPE


def test_az_009_default_that_is_not_the_applications_is_not_replaced_by_its_list(flow):
    """A project that names a default says what goes without being asked for; the list may hold more than that."""
    Application.objects.update(scope="notes:write")

    assert error_redirect(flow, scope=None) == INVALID_SCOPE


@pytest.mark.parametrize("decision", ["deny", "", "ALLOW", "nonsense"])
def test_az_010_denial_is_sent_to_the_client(flow, decision):
    response = flow.decide(decision)

    assert read_error(response, redirect_uri=REDIRECT_URI) == ACCESS_DENIED
    assert not Grant.objects.exists()


def test_az_010_no_decision_is_a_denial(flow):
    response = flow.browser.post(flow.url())

    assert read_error(response, redirect_uri=REDIRECT_URI) == ACCESS_DENIED


STATES = {
    "reserved": "a&b=c#d?e/f;g,h",
    "space and plus": "a b+c",
    "percent": "100%25%",
    "UTF-8": "zürich €漢字😀",
    "quotes": "\"'<script>",
    "control": "a\tb\r\nLocation: x",
    "NUL": "a\x00b",
    "1 kB": "x" * 1000,
    "4 kB": "x" * 4000,
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_az_011_state_comes_back_as_it_was_sent(flow, state):
    assert read_answer(flow.decide("allow", state=state))["state"] == state


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_az_011_state_comes_back_with_an_error(flow, state):
    assert error_redirect(flow, scope="unknown", state=state) == invalid_scope("unknown")


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_az_011_state_survives_the_way_to_the_sign_in(flow, state):
    response = Client().get(flow.url(state=state))

    assert response.status_code == HTTPStatus.FOUND
    assert read_answer(response)["next"] == flow.url(state=state)


def test_az_011_no_state_comes_back_where_none_was_sent(flow):
    assert set(read_answer(flow.decide("allow", state=None))) == {"code", "iss"}


@pytest.mark.parametrize("parameter", ["response_type", "scope", "state", "code_challenge", "code_challenge_method"])
@pytest.mark.parametrize("values", [("a", "a"), ("a", "b"), ("", "")], ids=["equal", "different", "empty"])
def test_az_012_parameter_must_not_be_repeated(flow, parameter, values):
    assert error_redirect(flow, **{parameter: values}) == repeated(parameter)


def test_az_012_repeated_state_does_not_come_back(flow):
    assert "state" not in read_answer(flow.ask(state=["a", "b"]))


@pytest.mark.parametrize("parameter", ["client_id", "redirect_uri"])
@pytest.mark.parametrize("values", [("a", "a"), ("a", "b"), ("", "")], ids=["equal", "different", "empty"])
def test_az_012_parameter_that_names_the_recipient_must_not_be_repeated(flow, parameter, values):
    assert REPEATED in error_page(flow, **{parameter: values})


def test_az_013_unknown_parameters_are_ignored(flow):
    response = flow.decide("allow", prompt="none", nonce=["a", "b"], response_mode="form_post", format="api")

    assert_answered(response, REDIRECT_URI)


def test_az_013_empty_parameter_counts_as_left_out(flow):
    answer = read_answer(flow.decide("allow", scope="", state=""))

    assert set(answer) == {"code", "iss"}


def test_az_014_server_error_after_the_redirect_uri_was_checked_is_sent_to_the_client(flow, settings):
    settings.TEMPLATES = []

    assert error_redirect(flow) == SERVER_ERROR


def fail_to_insert(execute, sql, params, many, context):
    """Stand between Django and a database that takes no more rows."""
    if sql.startswith("INSERT"):
        raise OperationalError("disk full")
    return execute(sql, params, many, context)


def test_az_014_server_error_while_the_code_is_issued_is_sent_to_the_client(flow):
    with connection.execute_wrapper(fail_to_insert):
        response = flow.decide("allow")

    assert read_error(response, redirect_uri=REDIRECT_URI) == SERVER_ERROR
    assert not Grant.objects.exists()


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_az_015_redirect_after_the_form_does_not_send_it_on(flow, decision):
    assert flow.decide(decision).status_code == HTTPStatus.SEE_OTHER


def test_az_015_switching_the_user_does_not_send_the_form_on(flow):
    assert flow.decide("switch").status_code == HTTPStatus.FOUND


def test_az_016_consent_page_cannot_be_framed(flow):
    assert_protected(flow.ask())


def test_az_016_page_of_a_refusal_cannot_be_framed(flow):
    assert error_page(flow, client_id="unknown")  # asserts the headers as well


def without_third_parties(page):
    """Return whether everything that the page loads or links to is on the same site."""
    return not re.search(r"""(?:src|href|action)\s*=\s*["']?(?:https?:|//)""", page) and "<script" not in page


def test_az_017_pages_load_nothing_from_other_sites(flow):
    assert without_third_parties(flow.ask().content.decode())
    assert without_third_parties(error_page(flow, client_id="unknown"))


@pytest.mark.parametrize("signed_in", [True, False])
def test_az_018_other_origins_may_not_read_the_endpoint(flow, signed_in):
    browser = flow.browser if signed_in else Client()
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}

    for response in (browser.options(flow.url(), headers=headers), browser.get(flow.url(), headers=headers)):
        assert [name for name in response.headers if name.startswith("Access-Control-")] == []


@pytest.mark.parametrize(
    "wrong", [{"scope": "unknown"}, {"response_type": "token"}, {"code_challenge": None}, {"state": ["a", "b"]}]
)
def test_az_019_user_who_is_not_signed_in_is_not_redirected_to_the_client(flow, wrong):
    response = Client().get(flow.url(**wrong))

    assert response.status_code == HTTPStatus.FOUND
    assert response.headers["Location"].startswith(f"{reverse('login')}?next=")


@pytest.mark.parametrize("decision", ["allow", "deny", "switch"])
def test_az_020_form_of_another_site_decides_nothing(flow, user, decision):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)

    response = browser.post(flow.url(), {"decision": decision})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert "Location" not in response.headers
    assert not Grant.objects.exists()
    assert browser.session["_auth_user_id"] == str(user.pk)


def test_az_021_redirect_has_no_fragment(flow):
    assert "#" not in flow.decide("allow").headers["Location"]


@pytest.mark.parametrize("query", ["?tenant=1", "?tenant=1&x=%20y", "?a;b"])
def test_az_022_query_of_the_redirect_uri_is_kept(user, query):
    flow = start_flow(user, redirect_uris=REDIRECT_URI + query)

    assert flow.decide("allow").headers["Location"].startswith(f"{REDIRECT_URI}{query}&code=")


def test_az_023_client_id_is_of_the_servers_choice(db):
    application, _secret = create_application(name="An application")

    assert re.fullmatch(r"[0-9a-f]{32}", application.client_id)


def test_az_024_consent_page_says_who_asks_for_what(user):
    flow = start_flow(user, name="Notebook")

    page = flow.ask(scope="notes:read notes:write").content.decode()

    assert all(text in page for text in ("Notebook", "Read your notes", "Write your notes", "app.example"))


def test_az_024_trusted_application_is_allowed_without_asking(user):
    flow = start_flow(user, is_trusted=True)

    assert_answered(flow.ask(), REDIRECT_URI)


@pytest.mark.parametrize("redirect_uri", [NATIVE, "http://127.0.0.1/callback", "http://[::1]/callback"])
def test_az_024_redirect_that_others_may_catch_is_never_allowed_without_asking(user, redirect_uri):
    assert_asked(start_flow(user, public=True, redirect_uris=redirect_uri, is_trusted=True).ask())


@pytest.mark.parametrize("redirect_uri", [REDIRECT_URI, "https://app.example/other"])
def test_ru_001_registered_redirect_uri_is_accepted(user, redirect_uri):
    flow = start_flow(user, redirect_uris=f"{REDIRECT_URI}\nhttps://app.example/other")

    assert_answered(flow.decide("allow", redirect_uri=redirect_uri), redirect_uri)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://APP.example/callback",
        "HTTPS://app.example/callback",
        "https://app.example/Callback",
        "https://app.example/callback/",
        "https://app.example/callback?",
        "https://app.example/callback?a=b",
        "https://app.example/callback/more",
        "https://app.example/x/../callback",
        "https://app.example/./callback",
        "https://app.example//callback",
        "https://app.example/%63allback",
        "https://app.example/callback%00",
        "https://app.example@evil.example/callback",
        "https://user@app.example/callback",
        "https://app.example:443/callback",
        "https://app.example:8443/callback",
        "http://app.example/callback",
        "com.app.example:/callback",
        "https://sub.app.example/callback",
        "https://app.example./callback",
        "https://app.example.evil.example/callback",
        "https://evil.example/https://app.example/callback",
        "https://app.example/callback#",
        "https://app.example/callback#x",
        "https:\\\\app.example\\callback",
        "//app.example/callback",
    ],
)
def test_ru_002_anything_but_the_registered_redirect_uri_is_refused(flow, redirect_uri):
    assert NOT_REGISTERED in error_page(flow, redirect_uri=redirect_uri)


@pytest.mark.parametrize(
    ("registered", "used"),
    [
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"),
        ("http://127.0.0.1:8000/cb", "http://127.0.0.1:51004/cb"),
        ("http://127.0.0.1:8000/cb", "http://127.0.0.1/cb"),
        ("http://[::1]/cb", "http://[::1]:61023/cb"),
        ("http://127.0.0.1/cb?a=b", "http://127.0.0.1:51004/cb?a=b"),
        ("http://127.0.0.1", "http://127.0.0.1:51004"),
    ],
)
def test_ru_003_loopback_address_may_have_any_port(user, registered, used):
    flow = start_flow(user, public=True, redirect_uris=registered)

    response = flow.decide("allow", redirect_uri=used)

    assert response.status_code == HTTPStatus.SEE_OTHER
    assert response.headers["Location"].startswith(used)


@pytest.mark.parametrize(
    "used",
    [
        "http://127.0.0.1:51004/other",
        "http://127.0.0.1:51004/cb/",
        "http://127.0.0.1:51004/cb?a=b",
        "http://127.0.0.1:51004",
        "https://127.0.0.1:51004/cb",
        "http://[::1]:51004/cb",
        "http://localhost:51004/cb",
        "http://127.0.0.1:51004/cb#",
    ],
)
def test_ru_003_only_the_port_may_differ(user, used):
    flow = start_flow(user, public=True, redirect_uris="http://127.0.0.1/cb")

    assert NOT_REGISTERED in error_page(flow, redirect_uri=used)


def test_ru_004_localhost_has_the_registered_port(user):
    flow = start_flow(user, public=True, redirect_uris="http://localhost/cb")

    assert NOT_REGISTERED in error_page(flow, redirect_uri="http://localhost:51004/cb")


def test_ru_004_project_may_let_localhost_have_any_port(user, oauth_settings):
    oauth_settings(ALLOW_LOCALHOST_PORTS=True)
    flow = start_flow(user, public=True, redirect_uris="http://localhost/cb")

    response = flow.decide("allow", redirect_uri="http://localhost:51004/cb")

    assert_answered(response, "http://localhost:51004/cb")


@pytest.mark.parametrize(
    "used",
    [
        "http://127.0.0.1.evil.example:80/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1:@evil.example/cb",
        "http://evil.example#127.0.0.1/cb",
        "http://0.0.0.0/cb",
        "http://127.1/cb",
        "http://2130706433/cb",
        "http://127.0.0.2/cb",
        "http://127.0.0.1:port/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:٣/cb",
        "http://127.0.0.1:123456/cb",
        "http://127.0.0.1:51004\\@evil.example/cb",
        "http://[::1%25eth0]/cb",
        "http://[::ffff:127.0.0.1]/cb",
        "http://LOCALHOST/cb",
        "http://localhost.evil.example/cb",
    ],
)
def test_ru_005_what_looks_like_a_loopback_address_is_refused(user, oauth_settings, used):
    oauth_settings(ALLOW_LOCALHOST_PORTS=True)
    flow = start_flow(user, public=True, redirect_uris="http://127.0.0.1/cb\nhttp://[::1]/cb\nhttp://localhost/cb")

    assert NOT_REGISTERED in error_page(flow, redirect_uri=used)


def assert_not_registrable(redirect_uri):
    with pytest.raises(ValidationError) as refusal:
        ApplicationFactory.build(redirect_uris=redirect_uri).full_clean()
    assert list(refusal.value.message_dict) == ["redirect_uris"]


@pytest.mark.parametrize("redirect_uri", ["http://app.example/cb", "http://0.0.0.0/cb", "http://127.0.0.1.nip.io/cb"])
def test_ru_006_plain_http_cannot_be_registered(db, redirect_uri):
    assert_not_registrable(redirect_uri)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://app.example/cb#x",
        "https://app.example/cb#",
        "/cb",
        "app.example/cb",
        "//app.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:x",
        "blob:x",
    ],
)
def test_ru_007_fragment_relative_and_dangerous_uris_cannot_be_registered(db, redirect_uri):
    assert_not_registrable(redirect_uri)


@pytest.mark.parametrize("redirect_uri", ["myapp:/cb", "myapp://cb"])
def test_ru_008_private_use_scheme_without_a_period_cannot_be_registered(db, redirect_uri):
    assert_not_registrable(redirect_uri)


@pytest.mark.parametrize("redirect_uri", [NATIVE, "com.example.app://cb"])
def test_ru_008_private_use_scheme_with_a_period_can_be_registered(db, redirect_uri):
    ApplicationFactory.build(redirect_uris=redirect_uri).full_clean()


@pytest.mark.parametrize("redirect_uri", [NATIVE, "com.example.app://cb"])
def test_ru_009_code_goes_to_a_private_use_scheme(user, redirect_uri):
    flow = start_flow(user, public=True, redirect_uris=redirect_uri)

    assert_answered(flow.decide("allow"), redirect_uri)


def test_ru_009_error_goes_to_a_private_use_scheme(user):
    flow = start_flow(user, public=True, redirect_uris=NATIVE)

    assert error_redirect(flow, scope="unknown") == invalid_scope("unknown")


def test_is_001_answer_names_the_issuer(flow):
    answer = read_answer(flow.decide("allow"))

    assert answer == {"code": answer["code"], "state": STATE, "iss": ISSUER}


@pytest.mark.parametrize("issuer", ["https://auth.example/", "https://auth.example/tenant"])
def test_is_001_issuer_is_named_as_it_is_set(flow, oauth_settings, issuer):
    oauth_settings(ISSUER=issuer)

    assert read_answer(flow.decide("allow"))["iss"] == issuer


@pytest.mark.parametrize(
    "wrong",
    [{"scope": "unknown"}, {"response_type": "token"}, {"code_challenge": CHALLENGE[1:]}, {"state": ["a", "b"]}],
)
def test_is_002_every_error_names_the_issuer(flow, wrong):
    assert read_answer(flow.ask(**wrong))["iss"] == ISSUER


def test_is_002_denial_names_the_issuer(flow):
    assert read_answer(flow.decide("deny"))["iss"] == ISSUER


def test_is_003_metadata_says_that_the_issuer_is_named(db):
    metadata = Client().get(METADATA).json()

    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["issuer"] == ISSUER


@pytest.mark.parametrize(
    "issuer",
    ["http://auth.example", "https://auth.example?a=b", "https://auth.example/?", "https://auth.example/#x", "auth"],
)
def test_is_004_issuer_must_be_an_https_url_without_query_and_fragment(oauth_settings, issuer):
    oauth_settings(ISSUER=issuer, REQUIRE_HTTPS=True)

    assert [message.id for message in check_issuer()] == ["oauth_refresh.E008"]


def test_is_004_issuer_must_have_no_empty_fragment(oauth_settings):
    oauth_settings(ISSUER="https://auth.example/#", REQUIRE_HTTPS=True)

    assert [message.id for message in check_issuer()] == ["oauth_refresh.E008"]
