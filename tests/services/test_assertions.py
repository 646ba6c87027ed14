"""Assertions: what is refused and why, that none is accepted twice, and how many statements that takes."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from threading import Barrier

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauth_refresh.jose import parse_jwt
from oauth_refresh.models import Application, GrantType, TrustedIssuer, UsedAssertion
from oauth_refresh.services.assertions import (
    AssertionRefused,
    consume_jti,
    verify_client_assertion,
    verify_grant_assertion,
)
from oauth_refresh.services.metadata import endpoint_url
from oauth_refresh.signals import client_authentication_failed
from tests.factories import SECRET, ApplicationFactory, TrustedIssuerFactory
from tests.jwts import (
    EC_KEY,
    ISSUER,
    LEFT_OUT,
    OTHER_KEY,
    RSA_KEY,
    TOKEN_ENDPOINT,
    KeyClient,
    client_assertion,
    client_claims,
    grant_claims,
    jwks,
    key_application,
    sign,
)
from tests.oauth import OAuthClient, post_form
from tests.signals import recorded

NOW = 1_800_000_000
SKEW, HOUR = 30, 3600
RACERS = 2

NAMES = "iss and sub are not the client ID"
TYPE = "typ says that it is another kind of JWT"
AUDIENCE = "aud is not this server's issuer alone"
GRANT_AUDIENCE = "aud is not this server alone"
EXPIRY = "exp is missing, past or too far ahead"
NOT_YET = "nbf is ahead"
ISSUED = "iat is ahead or long past"
SIGNATURE = "no registered key verifies the signature"
IDENTIFIER = "jti is missing"
USED = "it was used before"
DISTRUSTED = "iss is not trusted"
NO_USER = "sub names no user"


@pytest.fixture
def frozen(time_machine):
    """A clock that stands at ``NOW``."""
    time_machine.move_to(NOW, tick=False)
    return time_machine


@pytest.fixture
def key_app(db, frozen):
    return key_application(EC_KEY)


@pytest.fixture
def issuer(db, frozen):
    return TrustedIssuerFactory(jwks=jwks(EC_KEY))


def verify_client(application, *, key=EC_KEY, header=None, **changes):
    token = parse_jwt(sign(client_claims(application.client_id, **changes), key, **(header or {})))
    verify_client_assertion(application, token, now=timezone.now())


def verify_grant(issuer, user, *, key=EC_KEY, header=None, **changes):
    token = parse_jwt(sign(grant_claims(issuer, user, **changes), key, **(header or {})))
    return verify_grant_assertion(token, now=timezone.now())


def why_refused(verify, *arguments, **changes):
    """Return why the assertion is refused; nothing is used up by it."""
    before = list(UsedAssertion.objects.values())
    with pytest.raises(AssertionRefused) as refusal:
        verify(*arguments, **changes)
    assert list(UsedAssertion.objects.values()) == before
    return str(refusal.value)


COMMON = [
    ({"exp": LEFT_OUT}, EXPIRY),
    ({"exp": None}, EXPIRY),
    ({"exp": NOW - SKEW}, EXPIRY),
    ({"exp": NOW + HOUR + SKEW + 1}, EXPIRY),
    ({"exp": 253402300799}, EXPIRY),
    ({"exp": -(10**9)}, EXPIRY),
    ({"exp": "1800000060"}, "exp is no number"),
    ({"exp": True}, "exp is no number"),
    ({"exp": [NOW + 60]}, "exp is no number"),
    ({"exp": 10**40}, "exp is no time"),
    ({"exp": 1e300}, "exp is no time"),
    ({"nbf": NOW + SKEW + 1}, NOT_YET),
    ({"nbf": "now"}, "nbf is no number"),
    ({"nbf": 10**40}, "nbf is no time"),
    ({"iat": NOW + SKEW + 1}, ISSUED),
    ({"iat": NOW - HOUR - SKEW - 1}, ISSUED),
    ({"iat": {}}, "iat is no number"),
    ({"iat": -(10**40)}, "iat is no time"),
    ({"key": OTHER_KEY}, SIGNATURE),
    ({"key": RSA_KEY}, SIGNATURE),
    ({"key": RSA_KEY, "header": {"alg": "PS256"}}, SIGNATURE),
    ({"header": {"typ": "at+jwt"}}, TYPE),
    ({"header": {"typ": ""}}, TYPE),
    ({"header": {"typ": "application/application/jwt"}}, TYPE),
]
REFUSED_OF_A_CLIENT = [
    *COMMON,
    ({"iss": LEFT_OUT}, NAMES),
    ({"sub": LEFT_OUT}, NAMES),
    ({"iss": LEFT_OUT, "sub": LEFT_OUT}, NAMES),
    ({"iss": "another-client"}, NAMES),
    ({"sub": "another-client"}, NAMES),
    ({"iss": "another-client", "sub": "another-client"}, NAMES),
    ({"iss": None, "sub": None}, NAMES),
    ({"iss": ["another-client"]}, NAMES),
    ({"iss": {}, "sub": {}}, NAMES),
    ({"aud": LEFT_OUT}, AUDIENCE),
    ({"aud": TOKEN_ENDPOINT}, AUDIENCE),
    ({"aud": [ISSUER, TOKEN_ENDPOINT]}, AUDIENCE),
    ({"aud": [ISSUER, ISSUER]}, AUDIENCE),
    ({"aud": []}, AUDIENCE),
    ({"aud": [[ISSUER]]}, AUDIENCE),
    ({"aud": [None]}, AUDIENCE),
    ({"aud": ISSUER + "/"}, AUDIENCE),
    ({"aud": {}}, AUDIENCE),
    ({"header": {"typ": "authorization-grant+jwt"}}, TYPE),
    ({"jti": LEFT_OUT}, IDENTIFIER),
    ({"jti": ""}, IDENTIFIER),
    ({"jti": 1}, IDENTIFIER),
    ({"jti": ["1"]}, IDENTIFIER),
]
REFUSED_OF_AN_ISSUER = [
    *COMMON,
    ({"iss": LEFT_OUT}, DISTRUSTED),
    ({"iss": "https://unknown.example"}, DISTRUSTED),
    ({"iss": None}, DISTRUSTED),
    ({"iss": ["https://unknown.example"]}, DISTRUSTED),
    ({"iss": {}}, DISTRUSTED),
    ({"iss": "\x00"}, DISTRUSTED),
    ({"iss": "\ud800"}, DISTRUSTED),
    ({"sub": LEFT_OUT}, NO_USER),
    ({"sub": ""}, NO_USER),
    ({"sub": "nobody"}, NO_USER),
    ({"sub": 1}, NO_USER),
    ({"sub": ["nobody"]}, NO_USER),
    ({"sub": "\x00"}, NO_USER),
    ({"sub": "\ud800"}, NO_USER),
    ({"aud": LEFT_OUT}, GRANT_AUDIENCE),
    ({"aud": []}, GRANT_AUDIENCE),
    ({"aud": "https://other.example"}, GRANT_AUDIENCE),
    ({"aud": [ISSUER, "https://other.example"]}, GRANT_AUDIENCE),
    ({"aud": [[ISSUER]]}, GRANT_AUDIENCE),
    ({"aud": {}}, GRANT_AUDIENCE),
    ({"header": {"typ": "client-authentication+jwt"}}, TYPE),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSED_OF_A_CLIENT)
def test_assertion_of_a_client_is_refused_and_not_consumed(key_app, changes, reason):
    assert why_refused(verify_client, key_app, **changes) == reason


@pytest.mark.parametrize(("changes", "reason"), REFUSED_OF_AN_ISSUER)
def test_assertion_of_an_issuer_is_refused(issuer, user, changes, reason):
    assert why_refused(verify_grant, issuer, user, **changes) == reason


ACCEPTED = [
    {},
    {"exp": NOW - SKEW + 1},
    {"exp": NOW + HOUR + SKEW},
    {"exp": NOW + 0.5},
    {"nbf": NOW + SKEW},
    {"iat": NOW + SKEW},
    {"iat": NOW - HOUR - SKEW},
    {"iat": LEFT_OUT},
    {"aud": [ISSUER]},
    {"header": {"typ": LEFT_OUT}},
    {"header": {"typ": "application/JWT"}},
]


@pytest.mark.parametrize("changes", ACCEPTED, ids=repr)
def test_assertion_of_a_client_is_accepted(key_app, changes):
    verify_client(key_app, **changes)

    assert UsedAssertion.objects.count() == 1


@pytest.mark.parametrize("changes", [*ACCEPTED, {"aud": [TOKEN_ENDPOINT, ISSUER]}, {"jti": LEFT_OUT}], ids=repr)
def test_assertion_of_an_issuer_is_accepted_and_not_yet_consumed(issuer, user, changes):
    assert verify_grant(issuer, user, **changes) == (issuer, user)
    assert not UsedAssertion.objects.exists()


def test_issuer_that_is_trusted_no_longer_is_refused(issuer, user):
    TrustedIssuer.objects.update(is_active=False)

    assert why_refused(verify_grant, issuer, user) == DISTRUSTED


def test_issuer_must_use_one_of_its_own_algorithms(issuer, user):
    TrustedIssuer.objects.update(algorithms="RS256")

    assert why_refused(verify_grant, issuer, user) == SIGNATURE


def test_issuer_is_not_verified_with_the_keys_of_another(issuer, user):
    TrustedIssuerFactory(jwks=jwks(OTHER_KEY))

    assert why_refused(verify_grant, issuer, user, key=OTHER_KEY) == SIGNATURE


def test_inactive_user_is_not_spoken_for(issuer, user):
    type(user).objects.update(is_active=False)

    assert why_refused(verify_grant, issuer, user) == "the user is not active"


@pytest.mark.parametrize("uri", ["https://127.0.0.1/keys", "https://name.invalid/keys"])
def test_keys_that_are_unavailable_refuse_the_assertion(key_app, issuer, user, uri):
    for model in (Application, TrustedIssuer):
        model.objects.update(jwks=None, jwks_uri=uri)
    key_app.refresh_from_db()

    assert why_refused(verify_client, key_app).startswith("the keys could not be fetched: ")
    assert why_refused(verify_grant, issuer, user).startswith("the last attempt to fetch the keys failed")


# Once.


def test_assertion_is_used_up_until_it_is_expired_for_every_clock(key_app):
    verify_client(key_app, exp=NOW + 60)

    assert UsedAssertion.objects.get().expires_at == datetime.fromtimestamp(NOW + 60 + SKEW, UTC)


def test_used_assertion_is_refused(key_app):
    verify_client(key_app, jti="1")

    assert why_refused(verify_client, key_app, jti="1") == USED
    assert why_refused(verify_client, key_app, jti="1", exp=NOW + 100, iat=LEFT_OUT) == USED


@pytest.mark.parametrize(
    ("first", "second"), [("1", "1 "), ("a", "A"), ("1", "01"), ('"', '\\"'), ("\ud800", "\udfff")]
)
def test_identifiers_are_compared_character_by_character(key_app, first, second):
    verify_client(key_app, jti=first)
    verify_client(key_app, jti=second)

    assert UsedAssertion.objects.count() == 2


def test_identifier_belongs_to_its_issuer(key_app):
    verify_client(key_app, jti="1")
    verify_client(key_application(EC_KEY), jti="1")

    assert UsedAssertion.objects.count() == 2


def test_issuer_and_identifier_are_kept_apart(frozen, db):
    for issuer, identifier in (("a", "bc"), ("ab", "c"), ('a", "b', "c")):
        token = parse_jwt(sign({"iss": issuer, "jti": identifier, "exp": NOW + 60}))
        consume_jti(token, now=timezone.now())

    assert UsedAssertion.objects.count() == 3


@pytest.mark.parametrize("identifier", [LEFT_OUT, None, "", 1, True, ["1"], {}], ids=str)
def test_assertion_without_an_identifier_cannot_be_used_up(frozen, db, identifier):
    claims = {"iss": "a", "exp": NOW + 60} | ({} if identifier is LEFT_OUT else {"jti": identifier})

    assert why_refused(consume_jti, parse_jwt(sign(claims)), now=timezone.now()) == IDENTIFIER


@pytest.mark.parametrize("expiry", [None, NOW - HOUR, NOW + 2 * HOUR])
def test_assertion_is_remembered_until_it_expires(frozen, db, expiry):
    token = parse_jwt(sign({"iss": "a", "jti": "1", "exp": expiry}))

    assert why_refused(consume_jti, token, now=timezone.now()) == EXPIRY


def test_transaction_of_the_caller_survives_a_used_assertion(key_app):
    with transaction.atomic():
        verify_client(key_app, jti="1")
        assert why_refused(verify_client, key_app, jti="1") == USED
        verify_client(key_app, jti="2")

    assert UsedAssertion.objects.count() == 2


def test_failed_assertion_sends_a_signal_with_its_reason(key_app):
    with recorded(client_authentication_failed) as sent:
        KeyClient(key_app, key=OTHER_KEY).token(grant_type="client_credentials")

    assert [(call["application"], call["reason"]) for call in sent] == [
        (key_app, f"The assertion is refused: {SIGNATURE}.")
    ]


@pytest.mark.parametrize(
    "change", [{"is_active": False}, {"auth_method": "client_secret_basic"}, {"auth_method": "none"}]
)
def test_application_that_is_refused_otherwise_uses_nothing_up(db, change):
    application = key_application(EC_KEY, **change)

    KeyClient(application).token(grant_type="client_credentials")

    assert not UsedAssertion.objects.exists()


def test_refused_scope_leaves_the_assertion_of_an_issuer_unused(issuer, user):
    client = OAuthClient(ApplicationFactory(raw_secret=SECRET, grant_types=GrantType.JWT_BEARER), SECRET)
    TrustedIssuer.objects.update(scope="notes:read")
    signed = sign(grant_claims(issuer, user))

    for scope in ("notes:write", "unknown", '"'):
        answer = client.token(grant_type=GrantType.JWT_BEARER, assertion=signed, scope=scope)
        assert answer.json()["error"] == "invalid_scope"
    assert not UsedAssertion.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_inside", [False, True], ids=["alone", "inside a transaction"])
def test_one_of_two_parallel_uses_succeeds(is_inside):
    if connection.vendor == "sqlite":
        pytest.skip("threads share no database in memory")
    token, barrier = parse_jwt(sign(client_claims("client"))), Barrier(RACERS)

    def use():
        try:
            barrier.wait()
            if is_inside:
                with transaction.atomic():
                    consume_jti(token, now=timezone.now())
            else:
                consume_jti(token, now=timezone.now())
        except AssertionRefused as refusal:
            return str(refusal)
        finally:
            connections.close_all()
        return "accepted"

    with ThreadPoolExecutor(RACERS) as pool:
        outcomes = sorted(future.result() for future in [pool.submit(use) for _racer in range(RACERS)])

    assert outcomes == ["accepted", USED]
    assert UsedAssertion.objects.count() == 1


# What it costs.


@pytest.mark.django_db(transaction=True)
def test_refresh_by_a_client_with_keys_costs_one_statement_more_than_by_a_secret(user):
    client = KeyClient(key_application(EC_KEY)).start(user=user)

    with CaptureQueriesContext(connection) as queries:
        client.rotate()

    found = [re.match(r"(\w+)(?:.*?oauth_refresh_(\w+))?", query["sql"]) for query in queries.captured_queries]
    assert [" ".join(filter(None, match.groups())) for match in found] == [
        "SELECT refreshtoken",
        "INSERT usedassertion",
        *(
            ["WITH grant"]
            if connection.vendor == "postgresql"
            else ["BEGIN", "UPDATE grant", "INSERT refreshtoken", "INSERT accesstoken", "COMMIT"]
        ),
    ]


def test_assertion_that_is_refused_costs_no_statement(key_app, django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(AssertionRefused, match=SIGNATURE):
        verify_client(key_app, key=OTHER_KEY)


@pytest.mark.parametrize("audience", [LEFT_OUT, None, "", ISSUER])
def test_server_without_an_issuer_accepts_no_assertion(key_app, issuer, user, oauth_settings, audience):
    oauth_settings(ISSUER=None)
    reason = "this server has no issuer that an assertion could be meant for"

    assert why_refused(verify_client, key_app, aud=audience) == reason
    assert why_refused(verify_grant, issuer, user, aud=audience) == reason


def test_server_without_an_issuer_has_no_addresses(oauth_settings):
    oauth_settings(ISSUER=None)

    with pytest.raises(ValueError, match="'ISSUER'"):
        endpoint_url("token")


@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize("zone", ["UTC", "America/Chicago"])
def test_times_of_an_assertion_are_compared_in_any_time_zone(settings, user, use_tz, zone):
    settings.USE_TZ, settings.TIME_ZONE = use_tz, zone
    client = KeyClient(key_application(EC_KEY)).start(user=user)

    assert client.refresh().status_code == HTTPStatus.OK


@pytest.mark.parametrize("use_tz", [True, False])
def test_expired_assertion_is_refused_in_any_time_zone(settings, user, use_tz):
    settings.USE_TZ, settings.TIME_ZONE = use_tz, "America/Chicago"
    client = KeyClient(key_application(EC_KEY)).start(user=user)
    expired = sign(client_claims(client.application.client_id, exp=int(time.time()) - 60))

    response = post_form("token", {"grant_type": "refresh_token", **client_assertion(expired)})

    assert response.status_code == HTTPStatus.UNAUTHORIZED
