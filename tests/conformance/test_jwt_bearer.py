"""The JWT bearer grant: RFC 7521 §4.1, RFC 7523 §2.1 and §3."""

import time
from datetime import timedelta
from http import HTTPStatus

import pytest

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Application, Grant, GrantType, TrustedIssuer, UsedAssertion
from tests.factories import SECRET, ApplicationFactory, TrustedIssuerFactory
from tests.interference import error_after_insert
from tests.jwts import (
    EC_KEY,
    ISSUER,
    LEFT_OUT,
    OTHER_KEY,
    RSA_KEY,
    TOKEN_ENDPOINT,
    KeyClient,
    assemble,
    client_assertion,
    client_claims,
    grant_claims,
    jwks,
    key_application,
    sign,
)
from tests.oauth import OAuthClient, basic, post_form, read_issued
from tests.refusals import (
    INVALID_CLIENT,
    INVALID_GRANT,
    INVALID_SCOPE,
    UNAUTHORIZED_CLIENT,
    UNSUPPORTED_GRANT_TYPE,
    invalid_scope,
    missing,
    repeated,
)

GRANT_TYPES = f"{GrantType.JWT_BEARER} refresh_token"
OTHER_AUDIENCE = "https://other.example"
WRONG_SECRET = "not-the-secret-of-this-application"
HOUR = 3600


@pytest.fixture
def client(db):
    """A confidential client that may present assertions, and has no tokens yet."""
    return OAuthClient(ApplicationFactory(raw_secret=SECRET, grant_types=GRANT_TYPES), SECRET)


@pytest.fixture
def issuer(db):
    """A trusted issuer that signs with ``EC_KEY``."""
    return TrustedIssuerFactory(jwks=jwks(EC_KEY))


@pytest.fixture
def sign_assertion(issuer, user):
    """Return a function that signs an assertion of the issuer about the user, with ``changes``."""
    return lambda **changes: sign(grant_claims(issuer, user, **changes))


@pytest.fixture
def refused(refused, caplog):
    """As everywhere; and a refused request neither consumes nor logs the assertion."""

    def send_and_check(send, *, assertion=None):
        before = list(UsedAssertion.objects.values())
        answer = refused(send)
        assert list(UsedAssertion.objects.values()) == before
        assert assertion is None or assertion not in caplog.text
        return answer

    return send_and_check


def request_token(client, assertion, **parameters):
    return client.token(grant_type=GrantType.JWT_BEARER, assertion=assertion, **parameters)


def test_jb_001_assertion_of_a_trusted_issuer_starts_a_grant(client, sign_assertion, user):
    response = request_token(client, sign_assertion(), scope="notes:read notes:write")

    body = read_issued(response, scope="notes:read notes:write")
    grant = AccessToken.objects.live().get(digest=crypto.digest(body["access_token"])).grant
    assert (grant.user, grant.application, grant.grant_type) == (user, client.application, GrantType.JWT_BEARER)


def test_jb_001_grant_type_must_be_offered_by_the_server(client, sign_assertion, refused, oauth_settings):
    oauth_settings(unset=["GRANT_TYPES"])

    assert refused(lambda: request_token(client, sign_assertion())) == UNSUPPORTED_GRANT_TYPE


def test_jb_001_grant_type_must_be_enabled_for_the_client(client, sign_assertion, refused):
    Application.objects.update(grant_types="password refresh_token")

    assert refused(lambda: request_token(client, sign_assertion())) == UNAUTHORIZED_CLIENT


@pytest.mark.parametrize("parameters", [{}, {"assertion": ""}], ids=["missing", "empty"])
def test_jb_002_assertion_is_required(client, refused, parameters):
    assert refused(lambda: client.token(grant_type=GrantType.JWT_BEARER, **parameters)) == missing("assertion")


def test_jb_002_assertion_must_not_be_repeated(client, sign_assertion, refused):
    body = f"grant_type={GrantType.JWT_BEARER}&assertion={sign_assertion()}&assertion={sign_assertion()}"

    answer = refused(lambda: post_form("token", body, authorization=client.authorization))

    assert answer == repeated("assertion")


CLAIMS = {
    "no issuer": {"iss": LEFT_OUT},
    "unknown issuer": {"iss": "https://unknown.example"},
    "issuer in upper case": {"iss": "HTTPS://ISSUER.EXAMPLE"},
    "issuer with a slash": {"iss": "https://issuer.example/"},
    "issuer with NUL": {"iss": "https://issuer.example\x00"},
    "issuer is half a character": {"iss": "\ud800"},
    "issuer is empty": {"iss": ""},
    "issuer is very long": {"iss": "https://issuer.example/" + "x" * 5000},
    "issuer is a list": {"iss": ["https://issuer.example"]},
    "issuer is a number": {"iss": 1},
    "no audience": {"aud": LEFT_OUT},
    "another audience": {"aud": OTHER_AUDIENCE},
    "audience is an object": {"aud": {ISSUER: ISSUER}},
    "audience is a list of a list": {"aud": [[ISSUER]]},
    "no expiry": {"exp": LEFT_OUT},
    "expired": {"exp": 1_000_000_000},
    "expiry is text": {"exp": "4102444800"},
    "expiry is infinite": {"exp": float("inf")},
    "expiry far ahead": {"exp": 4_102_444_800},
    "not valid yet": {"nbf": 4_102_444_800},
    "made in the future": {"iat": 4_102_444_800},
    "made long ago": {"iat": 1_000_000_000},
    "no identifier": {"jti": LEFT_OUT},
    "identifier is a number": {"jti": 1},
}


@pytest.mark.parametrize("changes", CLAIMS.values(), ids=CLAIMS)
def test_jb_003_assertion_with_a_wrong_claim_is_refused(client, sign_assertion, issuer, refused, changes):
    TrustedIssuer.objects.update(issuer="https://issuer.example")
    signed = sign_assertion(**{"iss": "https://issuer.example", **changes})

    assert refused(lambda: request_token(client, signed), assertion=signed) == INVALID_GRANT


FORMS = {
    "no JWT": lambda claims: "nonsense",
    "another key": lambda claims: sign(claims, OTHER_KEY),
    "algorithm the issuer does not use": lambda claims: sign(claims, RSA_KEY, alg="PS256"),
    "unsigned": lambda claims: assemble({"alg": "none"}, claims, b""),
    "signed with a secret": lambda claims: assemble({"alg": "HS256"}, claims),
    "signature of zeros": lambda claims: assemble({"alg": "ES256"}, claims, bytes(64)),
    "kid is a list": lambda claims: assemble({"alg": "ES256", "kid": []}, claims, b"s" * 64),
    "100 kB": lambda claims: sign({**claims, "padding": "x" * 100_000}),
    "critical extension": lambda claims: assemble({"alg": "ES256", "crit": ["x"], "x": 1}, claims),
}


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
def test_jb_003_assertion_with_a_wrong_signature_is_refused(client, issuer, user, refused, make):
    TrustedIssuer.objects.update(jwks=jwks(EC_KEY, RSA_KEY))
    signed = make(grant_claims(issuer, user))

    assert refused(lambda: request_token(client, signed)) == INVALID_GRANT


def test_jb_003_issuer_that_is_trusted_no_longer_is_refused(client, sign_assertion, refused):
    TrustedIssuer.objects.update(is_active=False)

    assert refused(lambda: request_token(client, sign_assertion())) == INVALID_GRANT


def test_jb_003_assertion_is_accepted_once(client, sign_assertion, refused):
    signed = sign_assertion()
    request_token(client, signed)

    assert refused(lambda: request_token(client, signed)) == INVALID_GRANT
    assert Grant.objects.count() == 1


def test_jb_003_another_client_cannot_use_an_assertion_again(client, sign_assertion, refused):
    signed = sign_assertion()
    request_token(client, signed)
    other = OAuthClient(ApplicationFactory(raw_secret=SECRET, grant_types=GRANT_TYPES), SECRET)

    assert refused(lambda: request_token(other, signed)) == INVALID_GRANT


AUDIENCES = {
    "issuer": ISSUER,
    "token endpoint": TOKEN_ENDPOINT,
    "list of the issuer": [ISSUER],
    "list of the token endpoint": [TOKEN_ENDPOINT],
    "both": [TOKEN_ENDPOINT, ISSUER],
}


@pytest.mark.parametrize("audience", AUDIENCES.values(), ids=AUDIENCES)
def test_jb_004_audience_may_be_the_issuer_or_the_token_endpoint(client, sign_assertion, audience):
    assert request_token(client, sign_assertion(aud=audience)).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "audience", [[], [ISSUER, OTHER_AUDIENCE], [OTHER_AUDIENCE, TOKEN_ENDPOINT], ISSUER + "/", [ISSUER, None]], ids=repr
)
def test_jb_004_audience_may_name_no_other_server(client, sign_assertion, refused, audience):
    assert refused(lambda: request_token(client, sign_assertion(aud=audience))) == INVALID_GRANT


def test_jb_005_failed_client_authentication_comes_first_and_consumes_nothing(client, sign_assertion, refused):
    signed = sign_assertion()
    wrong = basic(client.application.client_id, WRONG_SECRET)
    form = {"grant_type": GrantType.JWT_BEARER, "assertion": signed}

    assert refused(lambda: post_form("token", form, authorization=wrong), assertion=signed) == INVALID_CLIENT
    assert request_token(client, signed).status_code == HTTPStatus.OK


def test_jb_005_client_may_authenticate_by_an_assertion(issuer, sign_assertion):
    client = KeyClient(key_application(EC_KEY))

    assert request_token(client, sign_assertion()).status_code == HTTPStatus.OK
    assert UsedAssertion.objects.count() == 2


def test_jb_006_client_must_identify_itself(client, sign_assertion, refused):
    form = {"grant_type": GrantType.JWT_BEARER, "assertion": sign_assertion()}

    assert refused(lambda: post_form("token", form)) == INVALID_CLIENT


def test_jb_006_confidential_client_must_authenticate(client, sign_assertion, refused):
    form = {
        "grant_type": GrantType.JWT_BEARER,
        "assertion": sign_assertion(),
        "client_id": client.application.client_id,
    }

    assert refused(lambda: post_form("token", form)) == INVALID_CLIENT


def test_jb_006_public_client_cannot_present_an_assertion(sign_assertion, refused):
    public = OAuthClient(ApplicationFactory(public=True, grant_types=GrantType.JWT_BEARER))

    assert refused(lambda: public.token(grant_type=GrantType.JWT_BEARER, assertion=sign_assertion())) == INVALID_CLIENT


SUBJECTS = {
    "missing": LEFT_OUT,
    "null": None,
    "empty": "",
    "unknown": "nobody",
    "number": 1,
    "list": ["user"],
    "object": {},
    "NUL": "user\x00",
    "half a character": "\ud800",
    "very long": "u" * 5000,
}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_jb_007_subject_must_be_a_user(client, sign_assertion, refused, subject):
    assert refused(lambda: request_token(client, sign_assertion(sub=subject))) == INVALID_GRANT


@pytest.mark.parametrize("change", [str.upper, lambda name: name + " ", lambda name: " " + name])
def test_jb_007_subject_is_compared_character_by_character(client, sign_assertion, user, refused, change):
    assert refused(lambda: request_token(client, sign_assertion(sub=change(user.username)))) == INVALID_GRANT


def test_jb_007_inactive_user_is_refused(client, sign_assertion, user, refused):
    user.is_active = False
    user.save()

    assert refused(lambda: request_token(client, sign_assertion())) == INVALID_GRANT


def test_jb_007_subject_may_be_another_unique_field(client, sign_assertion, user):
    TrustedIssuer.objects.update(subject_field="id")

    assert request_token(client, sign_assertion(sub=str(user.pk))).status_code == HTTPStatus.OK
    assert Grant.objects.get().user == user


@pytest.mark.parametrize("subject", ["9" * 30, "1.0", "one", "-1", "True", "\u0667", ""])
def test_jb_007_subject_that_does_not_fit_the_field_is_no_user(client, sign_assertion, refused, subject):
    TrustedIssuer.objects.update(subject_field="id")

    assert refused(lambda: request_token(client, sign_assertion(sub=subject))) == INVALID_GRANT


@pytest.mark.parametrize("limited", [Application, TrustedIssuer])
def test_jb_008_scope_is_limited_by_client_and_issuer_and_its_refusal_consumes_nothing(
    client, sign_assertion, refused, limited
):
    limited.objects.update(scope="notes:read")
    signed = sign_assertion()

    assert refused(
        lambda: request_token(client, signed, scope="notes:read notes:write"), assertion=signed
    ) == invalid_scope("notes:write")
    assert request_token(client, signed, scope="notes:read").json()["scope"] == "notes:read"


@pytest.mark.parametrize(
    ("scope", "answer"), [("notes:delete", invalid_scope("notes:delete")), ('notes:"read"', INVALID_SCOPE)]
)
def test_jb_008_scope_must_be_known_and_well_formed(client, sign_assertion, refused, scope, answer):
    assert refused(lambda: request_token(client, sign_assertion(), scope=scope)) == answer


def test_jb_008_default_scope_is_limited_by_the_issuer_too(client, sign_assertion, refused):
    TrustedIssuer.objects.update(scope="notes:write")

    assert refused(lambda: request_token(client, sign_assertion())) == INVALID_SCOPE


def test_jb_008_default_scope_is_shown(client, sign_assertion):
    assert request_token(client, sign_assertion()).json()["scope"] == "notes:read"


def test_jb_009_grant_can_be_refreshed(client, sign_assertion):
    client.refresh_token = request_token(client, sign_assertion()).json()["refresh_token"]

    assert client.refresh().status_code == HTTPStatus.OK


def test_jb_009_client_that_may_not_refresh_gets_no_refresh_token(client, sign_assertion):
    Application.objects.update(grant_types=GrantType.JWT_BEARER)

    assert request_token(client, sign_assertion()).json().keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "scope",
    }


def test_jb_009_project_may_leave_refresh_tokens_out(client, sign_assertion, oauth_settings):
    oauth_settings(REFRESH_TOKEN_GRANT_TYPES=["authorization_code"])

    assert request_token(client, sign_assertion()).json().keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "scope",
    }


def test_jb_010_access_token_of_this_server_is_no_assertion(client, sign_assertion, refused):
    own = request_token(client, sign_assertion()).json()["access_token"]

    assert refused(lambda: request_token(client, own)) == INVALID_GRANT


@pytest.mark.parametrize(
    "type_", ["at+jwt", "application/at+jwt", "client-authentication+jwt", "logout+jwt", "dpop+jwt", ""]
)
def test_jb_010_jwt_of_another_kind_is_no_assertion(client, issuer, user, refused, type_):
    signed = sign(grant_claims(issuer, user), typ=type_)

    assert refused(lambda: request_token(client, signed)) == INVALID_GRANT


@pytest.mark.parametrize("type_", [LEFT_OUT, "JWT", "authorization-grant+jwt"])
def test_jb_010_assertion_may_say_what_it_is(client, issuer, user, type_):
    assert request_token(client, sign(grant_claims(issuer, user), typ=type_)).status_code == HTTPStatus.OK


def test_jb_010_id_token_for_the_client_is_no_assertion(client, sign_assertion, refused):
    id_token = sign_assertion(aud=client.application.client_id, nonce="n")

    assert refused(lambda: request_token(client, id_token)) == INVALID_GRANT


def test_jb_010_client_assertion_is_no_assertion_for_a_user_even_where_all_names_are_the_same(user):
    key_application(EC_KEY, client_id=user.username)
    TrustedIssuerFactory(issuer=user.username, jwks=jwks(EC_KEY))
    own = sign(client_claims(user.username))

    answer = post_form("token", {"grant_type": GrantType.JWT_BEARER, "assertion": own, **client_assertion(own)})

    assert (HTTPStatus(answer.status_code), answer.json()) == INVALID_GRANT
    assert not Grant.objects.exists()


def test_jb_011_client_cannot_assert_a_user(user, issuer, refused):
    client = OAuthClient(
        ApplicationFactory(raw_secret=SECRET, grant_types=GRANT_TYPES, jwks=jwks(OTHER_KEY)),
        SECRET,
    )
    own_id = client.application.client_id

    for name in (own_id, issuer.issuer):
        signed = sign(grant_claims(issuer, user, iss=name), OTHER_KEY)
        assert refused(lambda signed=signed: request_token(client, signed)) == INVALID_GRANT


def test_jb_012_access_token_is_valid_as_long_as_configured_whenever_the_assertion_expires(client, sign_assertion):
    body = request_token(client, sign_assertion(exp=int(time.time()) + 10)).json()

    assert body["expires_in"] == HOUR


def test_jb_012_application_may_have_a_lifetime_of_its_own(client, sign_assertion):
    Application.objects.update(access_token_lifetime=timedelta(minutes=5))

    assert request_token(client, sign_assertion()).json()["expires_in"] == 300


@pytest.mark.django_db(transaction=True)
def test_jb_001_assertion_is_not_consumed_by_a_server_error(client, sign_assertion):
    form = {"grant_type": GrantType.JWT_BEARER, "assertion": sign_assertion()}

    with error_after_insert(AccessToken):
        assert client.token(**form).status_code == HTTPStatus.SERVICE_UNAVAILABLE

    assert client.token(**form).status_code == HTTPStatus.OK
