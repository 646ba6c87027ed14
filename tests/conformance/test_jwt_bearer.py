"""The JWT bearer grant: RFC 7521 §4.1, RFC 7523 §2.1 and §3."""

import time
from datetime import timedelta
from http import HTTPStatus

import pytest

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Application, Grant, GrantType, TrustedIssuer, UsedAssertion
from tests.conformance.refusals import (
    INVALID_CLIENT,
    INVALID_GRANT,
    INVALID_SCOPE,
    UNAUTHORIZED_CLIENT,
    UNSUPPORTED_GRANT_TYPE,
    missing,
    repeated,
)
from tests.conftest import SECRET
from tests.factories import ApplicationFactory, TrustedIssuerFactory
from tests.interference import fault_after_an_insert_of
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
from tests.oauth import OAuthClient, basic, post_form

GRANT_TYPES = f"{GrantType.JWT_BEARER} refresh_token"
OTHER_AUDIENCE = "https://other.example"
WRONG_SECRET = "not-the-secret-of-this-application"
HOUR = 3600


@pytest.fixture
def client(db):
    """A confidential client that may bring assertions, and holds nothing yet."""
    return OAuthClient(ApplicationFactory(raw_secret=SECRET, grant_types=GRANT_TYPES), SECRET)


@pytest.fixture
def issuer(db):
    """A trusted issuer that signs with ``EC_KEY``."""
    return TrustedIssuerFactory(jwks=jwks(EC_KEY))


@pytest.fixture
def speak(issuer, user):
    """Sign the issuer's word for the user, but for what is changed."""
    return lambda **changes: sign(grant_claims(issuer, user, **changes))


@pytest.fixture
def refused(refused, caplog):
    """As everywhere; and the assertion is neither used up nor told by a request that is refused."""

    def send_and_check(send, *, assertion=None):
        before = list(UsedAssertion.objects.values())
        answer = refused(send)
        assert list(UsedAssertion.objects.values()) == before
        assert assertion is None or assertion not in caplog.text
        return answer

    return send_and_check


def bring(client, assertion, **parameters):
    return client.token(grant_type=GrantType.JWT_BEARER, assertion=assertion, **parameters)


def test_jb_001_word_of_a_trusted_issuer_starts_a_grant(client, speak, user):
    response = bring(client, speak(), scope="notes:read notes:write")

    assert response.status_code == HTTPStatus.OK
    body = response.json()
    assert body == {
        "access_token": body["access_token"],
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": body["refresh_token"],
        "refresh_token_expires_in": 1209600,
        "scope": "notes:read notes:write",
    }
    grant = AccessToken.objects.live().get(digest=crypto.digest(body["access_token"])).grant
    assert (grant.user, grant.application, grant.grant_type) == (user, client.application, GrantType.JWT_BEARER)


def test_jb_001_grant_type_must_be_offered_by_the_server(client, speak, refused, settings):
    settings.OAUTH_REFRESH = {key: value for key, value in settings.OAUTH_REFRESH.items() if key != "GRANT_TYPES"}

    assert refused(lambda: bring(client, speak())) == UNSUPPORTED_GRANT_TYPE


def test_jb_001_grant_type_must_be_enabled_for_the_client(client, speak, refused):
    Application.objects.update(grant_types="password refresh_token")

    assert refused(lambda: bring(client, speak())) == UNAUTHORIZED_CLIENT


@pytest.mark.parametrize("parameters", [{}, {"assertion": ""}], ids=["missing", "empty"])
def test_jb_002_assertion_is_required(client, refused, parameters):
    assert refused(lambda: client.token(grant_type=GrantType.JWT_BEARER, **parameters)) == missing("assertion")


def test_jb_002_assertion_must_not_be_repeated(client, speak, refused):
    body = f"grant_type={GrantType.JWT_BEARER}&assertion={speak()}&assertion={speak()}"

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
def test_jb_003_assertion_that_says_something_wrong_is_refused(client, speak, issuer, refused, changes):
    TrustedIssuer.objects.update(issuer="https://issuer.example")
    signed = speak(**{"iss": "https://issuer.example", **changes})

    assert refused(lambda: bring(client, signed), assertion=signed) == INVALID_GRANT


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
def test_jb_003_assertion_that_is_not_signed_as_it_should_be_is_refused(client, issuer, user, refused, make):
    TrustedIssuer.objects.update(jwks=jwks(EC_KEY, RSA_KEY))
    signed = make(grant_claims(issuer, user))

    assert refused(lambda: bring(client, signed)) == INVALID_GRANT


def test_jb_003_issuer_that_is_trusted_no_longer_is_refused(client, speak, refused):
    TrustedIssuer.objects.update(is_active=False)

    assert refused(lambda: bring(client, speak())) == INVALID_GRANT


def test_jb_003_assertion_is_accepted_once(client, speak, refused):
    signed = speak()
    bring(client, signed)

    assert refused(lambda: bring(client, signed)) == INVALID_GRANT
    assert Grant.objects.count() == 1


def test_jb_003_another_client_cannot_use_an_assertion_again(client, speak, refused):
    signed = speak()
    bring(client, signed)
    other = OAuthClient(ApplicationFactory(raw_secret=SECRET, grant_types=GRANT_TYPES), SECRET)

    assert refused(lambda: bring(other, signed)) == INVALID_GRANT


AUDIENCES = {
    "issuer": ISSUER,
    "token endpoint": TOKEN_ENDPOINT,
    "list of the issuer": [ISSUER],
    "list of the token endpoint": [TOKEN_ENDPOINT],
    "both": [TOKEN_ENDPOINT, ISSUER],
}


@pytest.mark.parametrize("audience", AUDIENCES.values(), ids=AUDIENCES)
def test_jb_004_audience_may_be_the_issuer_or_the_token_endpoint(client, speak, audience):
    assert bring(client, speak(aud=audience)).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "audience", [[], [ISSUER, OTHER_AUDIENCE], [OTHER_AUDIENCE, TOKEN_ENDPOINT], ISSUER + "/", [ISSUER, None]], ids=repr
)
def test_jb_004_audience_may_name_nobody_else(client, speak, refused, audience):
    assert refused(lambda: bring(client, speak(aud=audience))) == INVALID_GRANT


def test_jb_005_failing_client_authentication_comes_first_and_uses_nothing_up(client, speak, refused):
    signed = speak()
    wrong = basic(client.application.client_id, WRONG_SECRET)
    form = {"grant_type": GrantType.JWT_BEARER, "assertion": signed}

    assert refused(lambda: post_form("token", form, authorization=wrong), assertion=signed) == INVALID_CLIENT
    assert bring(client, signed).status_code == HTTPStatus.OK


def test_jb_005_client_may_authenticate_by_an_assertion_too(issuer, speak):
    client = KeyClient(key_application(EC_KEY))

    assert bring(client, speak()).status_code == HTTPStatus.OK
    assert UsedAssertion.objects.count() == 2


def test_jb_006_client_must_say_who_it_is(client, speak, refused):
    form = {"grant_type": GrantType.JWT_BEARER, "assertion": speak()}

    assert refused(lambda: post_form("token", form)) == INVALID_CLIENT


def test_jb_006_confidential_client_must_prove_who_it_is(client, speak, refused):
    form = {
        "grant_type": GrantType.JWT_BEARER,
        "assertion": speak(),
        "client_id": client.application.client_id,
    }

    assert refused(lambda: post_form("token", form)) == INVALID_CLIENT


def test_jb_006_public_client_cannot_bring_an_assertion(speak, refused):
    public = OAuthClient(ApplicationFactory(public=True, grant_types=GrantType.JWT_BEARER))

    assert refused(lambda: public.token(grant_type=GrantType.JWT_BEARER, assertion=speak())) == INVALID_CLIENT


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
def test_jb_007_subject_must_be_a_user(client, speak, refused, subject):
    assert refused(lambda: bring(client, speak(sub=subject))) == INVALID_GRANT


@pytest.mark.parametrize("change", [str.upper, lambda name: name + " ", lambda name: " " + name])
def test_jb_007_subject_is_compared_character_by_character(client, speak, user, refused, change):
    assert refused(lambda: bring(client, speak(sub=change(user.username)))) == INVALID_GRANT


def test_jb_007_inactive_user_is_refused(client, speak, user, refused):
    user.is_active = False
    user.save()

    assert refused(lambda: bring(client, speak())) == INVALID_GRANT


def test_jb_007_subject_may_be_another_unique_field(client, speak, user):
    TrustedIssuer.objects.update(subject_field="id")

    assert bring(client, speak(sub=str(user.pk))).status_code == HTTPStatus.OK
    assert Grant.objects.get().user == user


@pytest.mark.parametrize("subject", ["9" * 30, "1.0", "one", "-1", "True", "\u0667", ""])
def test_jb_007_subject_that_does_not_fit_the_field_is_no_user(client, speak, refused, subject):
    TrustedIssuer.objects.update(subject_field="id")

    assert refused(lambda: bring(client, speak(sub=subject))) == INVALID_GRANT


@pytest.mark.parametrize("limited", [Application, TrustedIssuer])
def test_jb_008_scope_is_limited_by_client_and_issuer_and_its_refusal_uses_nothing_up(client, speak, refused, limited):
    limited.objects.update(scope="notes:read")
    signed = speak()

    assert refused(lambda: bring(client, signed, scope="notes:read notes:write"), assertion=signed) == INVALID_SCOPE
    assert bring(client, signed, scope="notes:read").json()["scope"] == "notes:read"


@pytest.mark.parametrize("scope", ["notes:delete", 'notes:"read"'])
def test_jb_008_scope_must_be_known_and_well_formed(client, speak, refused, scope):
    assert refused(lambda: bring(client, speak(), scope=scope)) == INVALID_SCOPE


def test_jb_008_default_scope_is_limited_by_the_issuer_too(client, speak, refused):
    TrustedIssuer.objects.update(scope="notes:write")

    assert refused(lambda: bring(client, speak())) == INVALID_SCOPE


def test_jb_008_default_scope_is_shown(client, speak):
    assert bring(client, speak()).json()["scope"] == "notes:read"


def test_jb_009_grant_can_be_refreshed(client, speak):
    client.refresh_token = bring(client, speak()).json()["refresh_token"]

    assert client.refresh().status_code == HTTPStatus.OK


def test_jb_009_client_that_may_not_refresh_gets_no_refresh_token(client, speak):
    Application.objects.update(grant_types=GrantType.JWT_BEARER)

    assert bring(client, speak()).json().keys() == {"access_token", "token_type", "expires_in", "scope"}


def test_jb_009_project_may_leave_refresh_tokens_out(client, speak, settings):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "REFRESH_TOKEN_GRANT_TYPES": ["authorization_code"]}

    assert bring(client, speak()).json().keys() == {"access_token", "token_type", "expires_in", "scope"}


def test_jb_010_access_token_of_ours_is_no_assertion(client, speak, refused):
    own = bring(client, speak()).json()["access_token"]

    assert refused(lambda: bring(client, own)) == INVALID_GRANT


@pytest.mark.parametrize(
    "type_", ["at+jwt", "application/at+jwt", "client-authentication+jwt", "logout+jwt", "dpop+jwt", ""]
)
def test_jb_010_jwt_of_another_kind_is_no_assertion(client, issuer, user, refused, type_):
    signed = sign(grant_claims(issuer, user), typ=type_)

    assert refused(lambda: bring(client, signed)) == INVALID_GRANT


@pytest.mark.parametrize("type_", [LEFT_OUT, "JWT", "authorization-grant+jwt"])
def test_jb_010_assertion_may_say_what_it_is(client, issuer, user, type_):
    assert bring(client, sign(grant_claims(issuer, user), typ=type_)).status_code == HTTPStatus.OK


def test_jb_010_id_token_for_the_client_is_no_assertion(client, speak, refused):
    id_token = speak(aud=client.application.client_id, nonce="n")

    assert refused(lambda: bring(client, id_token)) == INVALID_GRANT


def test_jb_010_client_assertion_is_no_assertion_for_a_user_even_where_all_names_are_the_same(user):
    key_application(EC_KEY, client_id=user.username)
    TrustedIssuerFactory(issuer=user.username, jwks=jwks(EC_KEY))
    own = sign(client_claims(user.username))

    answer = post_form("token", {"grant_type": GrantType.JWT_BEARER, "assertion": own, **client_assertion(own)})

    assert (HTTPStatus(answer.status_code), answer.json()) == INVALID_GRANT
    assert not Grant.objects.exists()


def test_jb_011_client_cannot_speak_for_a_user(user, issuer, refused):
    client = OAuthClient(
        ApplicationFactory(raw_secret=SECRET, grant_types=GRANT_TYPES, jwks=jwks(OTHER_KEY)),
        SECRET,
    )
    own_id = client.application.client_id

    for name in (own_id, issuer.issuer):
        signed = sign(grant_claims(issuer, user, iss=name), OTHER_KEY)
        assert refused(lambda signed=signed: bring(client, signed)) == INVALID_GRANT


def test_jb_012_access_token_lives_as_long_as_configured_whenever_the_assertion_ends(client, speak):
    body = bring(client, speak(exp=int(time.time()) + 10)).json()

    assert body["expires_in"] == HOUR


def test_jb_012_application_may_have_a_lifetime_of_its_own(client, speak):
    Application.objects.update(access_token_lifetime=timedelta(minutes=5))

    assert bring(client, speak()).json()["expires_in"] == 300


@pytest.mark.django_db(transaction=True)
def test_jb_001_assertion_is_not_used_up_by_a_fault_of_ours(client, speak):
    form = {"grant_type": GrantType.JWT_BEARER, "assertion": speak()}

    with fault_after_an_insert_of(AccessToken):
        assert client.token(**form).status_code == HTTPStatus.SERVICE_UNAVAILABLE

    assert client.token(**form).status_code == HTTPStatus.OK
