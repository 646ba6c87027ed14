"""Client authentication by signed assertions: RFC 7521 §4.2, RFC 7523 §2.2 and §3, RFC 7523bis §4, RFC 8725."""

import hmac
import json
import time
from http import HTTPStatus

import pytest

from oauth_refresh.models import Application, Grant, UsedAssertion
from tests.factories import SECRET
from tests.jwts import (
    EC_KEY,
    ED_KEY,
    ISSUER,
    JWT_BEARER_ASSERTION,
    LEFT_OUT,
    OTHER_KEY,
    RSA_KEY,
    TOKEN_ENDPOINT,
    KeyClient,
    assemble,
    client_assertion,
    client_claims,
    jwks,
    key_application,
    public,
    segment,
    sign,
)
from tests.oauth import post_form
from tests.refusals import INVALID_CLIENT, INVALID_GRANT, assert_protocol_headers, invalid_request

OTHER_AUDIENCE = "https://other.example"
REVOCATION_ENDPOINT = "https://auth.example/oauth/revoke"
SYMMETRIC = (
    HTTPStatus.UNAUTHORIZED,
    {
        "error": "invalid_client",
        "error_description": "Sign client assertions with a private key (private_key_jwt): client_secret_jwt is not "
        "offered, because the server keeps no readable secret.",
    },
)
MINUTE, HOUR = 60, 3600
SKEW = 30


@pytest.fixture
def key_client(user):
    """A client that signs with one of three keys, and holds a live pair."""
    return KeyClient(key_application(EC_KEY, RSA_KEY, ED_KEY)).start(user=user)


@pytest.fixture
def refused(refused):
    """As everywhere; and no assertion is used up by a request that is refused."""

    def send_and_check(send):
        before = list(UsedAssertion.objects.values())
        answer = refused(send)
        assert list(UsedAssertion.objects.values()) == before
        return answer

    return send_and_check


def refresh(key_client, signed=None, **parameters):
    """Send the refresh of ``key_client``, with ``signed`` as its client assertion."""
    form = {"grant_type": "refresh_token", "refresh_token": key_client.refresh_token, **parameters}
    return post_form("token", form | ({} if signed is None else client_assertion(signed)))


def revoke(key_client, signed):
    return post_form("revoke", {"token": key_client.access_token, **client_assertion(signed)})


def claims_of(key_client, **changes):
    return client_claims(key_client.application.client_id, **changes)


def signed_for(key_client, **changes):
    """Return a good assertion, but for ``changes`` of its claims."""
    return sign(claims_of(key_client, **changes))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(EC_KEY, "ES256"), (ED_KEY, "Ed25519"), (RSA_KEY, "RS256"), (RSA_KEY, "PS512")],
    ids=["ES256", "Ed25519", "RS256", "PS512"],
)
def test_jw_001_signed_assertion_authenticates(key_client, key, algorithm):
    response = refresh(key_client, sign(claims_of(key_client), key, alg=algorithm))

    assert response.status_code == HTTPStatus.OK
    assert_protocol_headers(response)
    assert Grant.objects.get().generation == 2


@pytest.mark.parametrize("unknown", ["urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "jwt-bearer"])
def test_jw_002_another_type_of_assertion_is_refused(key_client, refused, unknown):
    form = {"client_assertion_type": unknown, "client_assertion": signed_for(key_client)}

    assert refused(lambda: refresh(key_client, **form)) == INVALID_CLIENT


@pytest.mark.parametrize("left_out", ["client_assertion", "client_assertion_type"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_jw_003_assertion_and_its_type_go_together(key_client, refused, left_out, how):
    form = client_assertion(signed_for(key_client)) | ({left_out: ""} if how == "empty" else {})
    if how == "missing":
        del form[left_out]

    answer = refused(lambda: refresh(key_client, **form))

    assert answer == invalid_request("client_assertion and client_assertion_type go together.")


def test_jw_004_client_id_may_confirm_the_subject(key_client):
    response = refresh(key_client, signed_for(key_client), client_id=key_client.application.client_id)

    assert response.status_code == HTTPStatus.OK


def test_jw_004_client_is_taken_from_the_subject(key_client):
    assert refresh(key_client, signed_for(key_client), client_id="").status_code == HTTPStatus.OK


@pytest.mark.parametrize("client_id", ["another-client", " "])
def test_jw_004_another_client_id_than_the_subject_is_refused(key_client, refused, client_id):
    assert refused(lambda: refresh(key_client, signed_for(key_client), client_id=client_id)) == INVALID_CLIENT


def test_jw_004_client_id_of_another_application_is_refused(key_client, refused):
    other = key_application(EC_KEY)

    assert refused(lambda: refresh(key_client, signed_for(key_client), client_id=other.client_id)) == INVALID_CLIENT


NAMES = {
    "no issuer": {"iss": LEFT_OUT},
    "no subject": {"sub": LEFT_OUT},
    "neither": {"iss": LEFT_OUT, "sub": LEFT_OUT},
    "another issuer": {"iss": "another-client"},
    "another subject": {"sub": "another-client"},
    "unknown client": {"iss": "another-client", "sub": "another-client"},
    "issuer of null": {"iss": None},
    "subject of null": {"sub": None},
    "issuer is a number": {"iss": 1},
    "subject is a number": {"sub": 1},
    "issuer is an object": {"iss": {}},
    "subject is an object": {"sub": {}},
    "issuer is a list": {"iss": ["another-client"]},
    "subject is a list": {"sub": ["another-client"]},
    "subject with NUL": {"iss": "\x00", "sub": "\x00"},
    "subject is half a character": {"iss": "\ud800", "sub": "\ud800"},
    "subject is empty": {"iss": "", "sub": ""},
    "subject is very long": {"iss": "c" * 5000, "sub": "c" * 5000},
}


@pytest.mark.parametrize("changes", NAMES.values(), ids=NAMES)
def test_jw_005_issuer_and_subject_must_be_the_client(key_client, refused, changes):
    assert refused(lambda: refresh(key_client, signed_for(key_client, **changes))) == INVALID_CLIENT


def test_jw_005_assertion_of_another_client_does_not_open_this_ones_grant(key_client, refused):
    other = KeyClient(key_application(EC_KEY), refresh_token=key_client.refresh_token)
    signed = signed_for(other)

    assert refresh(key_client, signed).json() == INVALID_GRANT[1]
    assert Grant.objects.get().generation == 1


def test_jw_005_client_cannot_sign_for_another_one(key_client, refused):
    other = key_application(OTHER_KEY)
    for_other = sign(client_claims(other.client_id), EC_KEY)

    assert refused(lambda: refresh(key_client, for_other)) == INVALID_CLIENT


def test_jw_006_audience_is_the_issuer(key_client):
    assert refresh(key_client, signed_for(key_client, aud=ISSUER)).status_code == HTTPStatus.OK


def test_jw_007_audience_may_be_a_list_of_the_issuer(key_client):
    assert refresh(key_client, signed_for(key_client, aud=[ISSUER])).status_code == HTTPStatus.OK


@pytest.mark.parametrize("audience", [TOKEN_ENDPOINT, [TOKEN_ENDPOINT]], ids=["string", "list"])
def test_jw_008_token_endpoint_is_no_audience(key_client, refused, audience):
    assert refused(lambda: refresh(key_client, signed_for(key_client, aud=audience))) == INVALID_CLIENT


@pytest.mark.parametrize("audience", [TOKEN_ENDPOINT, [TOKEN_ENDPOINT], ISSUER], ids=["string", "list", "issuer"])
def test_jw_008_token_endpoint_is_an_audience_where_the_project_says_so(key_client, oauth_settings, audience):
    oauth_settings(ACCEPT_TOKEN_ENDPOINT_AS_AUDIENCE=True)

    assert refresh(key_client, signed_for(key_client, aud=audience)).status_code == HTTPStatus.OK


TWO_AUDIENCES = {
    "issuer and token endpoint": [ISSUER, TOKEN_ENDPOINT],
    "issuer and another server": [ISSUER, OTHER_AUDIENCE],
    "another server and issuer": [OTHER_AUDIENCE, ISSUER],
    "issuer twice": [ISSUER, ISSUER],
}


@pytest.mark.parametrize("audience", TWO_AUDIENCES.values(), ids=TWO_AUDIENCES)
@pytest.mark.parametrize("accepts_token_endpoint", [False, True])
def test_jw_009_issuer_must_be_the_only_audience(key_client, refused, oauth_settings, audience, accepts_token_endpoint):
    oauth_settings(ACCEPT_TOKEN_ENDPOINT_AS_AUDIENCE=accepts_token_endpoint)

    assert refused(lambda: refresh(key_client, signed_for(key_client, aud=audience))) == INVALID_CLIENT


AUDIENCES = {
    "missing": LEFT_OUT,
    "null": None,
    "empty": "",
    "empty list": [],
    "list of null": [None],
    "list of a list": [[ISSUER]],
    "object": {ISSUER: ISSUER},
    "number": 1,
    "another server": OTHER_AUDIENCE,
    "another server in a list": [OTHER_AUDIENCE],
    "trailing slash": ISSUER + "/",
    "upper case": ISSUER.upper(),
    "default port": ISSUER + ":443",
    "plain http": "http://auth.example",
    "longer": ISSUER + ".evil.example",
}


@pytest.mark.parametrize("audience", AUDIENCES.values(), ids=AUDIENCES)
def test_jw_010_audience_is_compared_character_by_character(key_client, refused, audience):
    assert refused(lambda: refresh(key_client, signed_for(key_client, aud=audience))) == INVALID_CLIENT


@pytest.mark.parametrize("audience", [ISSUER, [ISSUER]], ids=["string", "list"])
def test_jw_011_audience_is_the_issuer_at_revocation_too(key_client, audience):
    response = revoke(key_client, signed_for(key_client, aud=audience))

    assert (response.status_code, response.content) == (HTTPStatus.OK, b"{}")
    assert Grant.objects.get().revoked_reason == "client_request"


@pytest.mark.parametrize(
    "audience",
    [REVOCATION_ENDPOINT, [REVOCATION_ENDPOINT], TOKEN_ENDPOINT, OTHER_AUDIENCE, *TWO_AUDIENCES.values(), LEFT_OUT],
)
def test_jw_011_no_other_audience_is_accepted_at_revocation(key_client, refused, audience):
    assert refused(lambda: revoke(key_client, signed_for(key_client, aud=audience))) == INVALID_CLIENT


def test_jw_011_revocation_endpoint_is_never_an_audience(key_client, refused, oauth_settings):
    oauth_settings(ACCEPT_TOKEN_ENDPOINT_AS_AUDIENCE=True)

    assert refused(lambda: revoke(key_client, signed_for(key_client, aud=REVOCATION_ENDPOINT))) == INVALID_CLIENT


@pytest.mark.parametrize(
    "type_",
    [
        LEFT_OUT,
        "JWT",
        "jwt",
        "client-authentication+jwt",
        "Client-Authentication+JWT",
        "application/client-authentication+jwt",
    ],
)
def test_jw_012_type_of_a_client_assertion_is_accepted(key_client, type_):
    assert refresh(key_client, sign(claims_of(key_client), typ=type_)).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "type_",
    ["at+jwt", "application/at+jwt", "dpop+jwt", "logout+jwt", "id_token+jwt", "authorization-grant+jwt", "JWT ", ""],
)
def test_jw_012_another_type_of_jwt_is_refused(key_client, refused, type_):
    assert refused(lambda: refresh(key_client, sign(claims_of(key_client), typ=type_))) == INVALID_CLIENT


@pytest.mark.parametrize("type_", [None, 1, ["JWT"]], ids=repr)
def test_jw_012_type_that_is_no_text_is_refused(key_client, refused, type_):
    header = {"alg": "ES256", "typ": type_}

    assert refused(lambda: refresh(key_client, assemble(header, claims_of(key_client)))) == INVALID_CLIENT


NO_TIMES = {
    "null": None,
    "text": "soon",
    "digits": "4102444800",
    "boolean": True,
    "list": [],
    "infinite": float("inf"),
    "not a number": float("nan"),
    "huge": 10**40,
    "huge and negative": -(10**40),
    "beyond year 9999": 253402300800,
}


@pytest.mark.parametrize("expiry", [LEFT_OUT, *NO_TIMES.values()], ids=["missing", *NO_TIMES])
def test_jw_013_expiry_must_be_a_time(key_client, refused, expiry):
    assert refused(lambda: refresh(key_client, signed_for(key_client, exp=expiry))) == INVALID_CLIENT


@pytest.mark.parametrize("seconds", [-HOUR, -SKEW - 1, -SKEW])
def test_jw_013_expired_assertion_is_refused(key_client, refused, time_machine, seconds):
    time_machine.move_to(1_800_000_000, tick=False)

    assert refused(lambda: refresh(key_client, signed_for(key_client, exp=time.time() + seconds))) == INVALID_CLIENT


@pytest.mark.parametrize("seconds", [-SKEW + 1, -SKEW + 0.5, 1, MINUTE])
def test_jw_013_clock_of_the_client_may_be_a_little_off(user, time_machine, seconds):
    time_machine.move_to(1_800_000_000, tick=False)
    key_client = KeyClient(key_application(EC_KEY)).start(user=user)

    assert refresh(key_client, signed_for(key_client, exp=time.time() + seconds)).status_code == HTTPStatus.OK


@pytest.mark.parametrize("seconds", [HOUR + SKEW + 1, 24 * HOUR])
def test_jw_014_expiry_too_far_ahead_is_refused(key_client, refused, time_machine, seconds):
    time_machine.move_to(1_800_000_000, tick=False)

    assert refused(lambda: refresh(key_client, signed_for(key_client, exp=time.time() + seconds))) == INVALID_CLIENT


def test_jw_014_expiry_may_be_an_hour_ahead(user, time_machine):
    time_machine.move_to(1_800_000_000, tick=False)
    key_client = KeyClient(key_application(EC_KEY)).start(user=user)

    assert refresh(key_client, signed_for(key_client, exp=time.time() + HOUR + SKEW)).status_code == HTTPStatus.OK


def test_jw_014_project_may_shorten_the_limit(key_client, refused, oauth_settings):
    oauth_settings(ASSERTION_LIFETIME=MINUTE, CLOCK_SKEW=0)
    long_lived = signed_for(key_client, exp=int(time.time()) + 5 * MINUTE)

    assert refused(lambda: refresh(key_client, long_lived)) == INVALID_CLIENT


@pytest.mark.parametrize("seconds", [SKEW + 2, HOUR])
def test_jw_015_assertion_that_is_not_valid_yet_is_refused(key_client, refused, seconds):
    early = signed_for(key_client, nbf=time.time() + seconds)

    assert refused(lambda: refresh(key_client, early)) == INVALID_CLIENT


@pytest.mark.parametrize("not_before", [value for value in NO_TIMES.values() if value is not None], ids=repr)
def test_jw_015_start_that_is_no_time_is_refused(key_client, refused, not_before):
    assert refused(lambda: refresh(key_client, signed_for(key_client, nbf=not_before))) == INVALID_CLIENT


@pytest.mark.parametrize("seconds", [-HOUR, 0, SKEW - 2])
def test_jw_015_assertion_that_is_valid_by_now_is_accepted(key_client, seconds):
    assert refresh(key_client, signed_for(key_client, nbf=time.time() + seconds)).status_code == HTTPStatus.OK


@pytest.mark.parametrize("seconds", [-24 * HOUR, -HOUR - SKEW - 2, SKEW + 2, HOUR])
def test_jw_016_assertion_made_long_ago_or_in_the_future_is_refused(key_client, refused, seconds):
    strange = signed_for(key_client, iat=time.time() + seconds)

    assert refused(lambda: refresh(key_client, strange)) == INVALID_CLIENT


@pytest.mark.parametrize("issued_at", [value for value in NO_TIMES.values() if value is not None], ids=repr)
def test_jw_016_moment_of_issue_that_is_no_time_is_refused(key_client, refused, issued_at):
    assert refused(lambda: refresh(key_client, signed_for(key_client, iat=issued_at))) == INVALID_CLIENT


def test_jw_016_moment_of_issue_may_be_left_out(key_client):
    assert refresh(key_client, signed_for(key_client, iat=LEFT_OUT)).status_code == HTTPStatus.OK


def test_jw_017_assertion_is_accepted_once(key_client, refused):
    signed = signed_for(key_client)
    key_client.refresh_token = refresh(key_client, signed).json()["refresh_token"]

    assert refused(lambda: refresh(key_client, signed)) == INVALID_CLIENT


def test_jw_017_another_assertion_with_the_same_identifier_is_refused(key_client, refused):
    key_client.refresh_token = refresh(key_client, signed_for(key_client, jti="once")).json()["refresh_token"]
    another = sign(claims_of(key_client, jti="once", exp=int(time.time()) + 5 * MINUTE), RSA_KEY)

    assert refused(lambda: refresh(key_client, another)) == INVALID_CLIENT


@pytest.mark.parametrize("first", ["token", "revoke"])
def test_jw_017_assertion_used_at_one_endpoint_is_refused_at_the_other(key_client, refused, first):
    signed = signed_for(key_client)
    endpoints = {"token": refresh, "revoke": revoke}
    second = ({"token", "revoke"} - {first}).pop()

    assert endpoints[first](key_client, signed).status_code == HTTPStatus.OK
    assert refused(lambda: endpoints[second](key_client, signed)) == INVALID_CLIENT


def test_jw_017_assertion_is_refused_until_it_expires_and_then_for_that(key_client, refused, time_machine):
    time_machine.move_to(1_800_000_000, tick=False)
    key_client.start(user=key_client.grant.user)
    signed = signed_for(key_client, exp=int(time.time()) + HOUR)
    key_client.refresh_token = refresh(key_client, signed).json()["refresh_token"]

    for seconds in (HOUR, SKEW - 1, 1, 1):
        time_machine.shift(seconds)
        assert refused(lambda: refresh(key_client, signed)) == INVALID_CLIENT
    assert time.time() > UsedAssertion.objects.get().expires_at.timestamp()


def test_jw_017_two_clients_may_use_the_same_identifier(key_client):
    other = key_application(EC_KEY)
    form = {"grant_type": "client_credentials"}

    statuses = [
        post_form("token", {**form, **client_assertion(sign(client_claims(name, jti="1")))}).status_code
        for name in (key_client.application.client_id, other.client_id)
    ]

    assert statuses == [HTTPStatus.OK, HTTPStatus.OK]


@pytest.mark.parametrize("identifier", [LEFT_OUT, None, "", 1, ["once"]], ids=["missing", "null", "empty", "1", "list"])
def test_jw_018_assertion_without_an_identifier_is_refused(key_client, refused, identifier):
    assert refused(lambda: refresh(key_client, signed_for(key_client, jti=identifier))) == INVALID_CLIENT


@pytest.mark.parametrize("identifier", ["\x00", "\ud800", "é" * 2000], ids=["NUL", "half a character", "long"])
def test_jw_018_identifier_may_be_any_text(key_client, identifier):
    assert refresh(key_client, signed_for(key_client, jti=identifier)).status_code == HTTPStatus.OK


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 1, ["ES256"]], ids=repr)
@pytest.mark.parametrize("signature", [b"", b"signature"], ids=["no signature", "signature"])
def test_jw_019_unsigned_assertion_is_refused(key_client, refused, algorithm, signature):
    unsigned = assemble({"alg": algorithm}, claims_of(key_client), signature)

    assert refused(lambda: refresh(key_client, unsigned)) == INVALID_CLIENT


def test_jw_019_header_without_an_algorithm_is_refused(key_client, refused):
    assert refused(lambda: refresh(key_client, assemble({}, claims_of(key_client)))) == INVALID_CLIENT


def test_jw_019_signature_that_was_cut_off_is_refused(key_client, refused):
    cut = signed_for(key_client).rpartition(".")[0] + "."

    assert refused(lambda: refresh(key_client, cut)) == INVALID_CLIENT


PUBLIC_TEXTS = {
    "PEM": RSA_KEY.as_pem(private=False),
    "DER": RSA_KEY.as_der(private=False),
    "JWK": json.dumps(public(RSA_KEY)).encode(),
    "modulus": public(RSA_KEY)["n"].encode(),
}


def signed_with_secret(claims, secret, bits="256"):
    """Return a JWT whose MAC is made with ``secret``, as an attacker would who knows the public key."""
    signing_input = assemble({"alg": f"HS{bits}", "typ": "JWT"}, claims).rpartition(".")[0]
    return f"{signing_input}.{segment(hmac.digest(secret, signing_input.encode(), f'sha{bits}'))}"


@pytest.mark.parametrize("secret", PUBLIC_TEXTS.values(), ids=PUBLIC_TEXTS)
@pytest.mark.parametrize("bits", ["256", "384", "512"])
def test_jw_020_public_key_is_no_secret(key_client, refused, secret, bits):
    forged = signed_with_secret(claims_of(key_client), secret, bits)

    assert refused(lambda: refresh(key_client, forged)) == SYMMETRIC


@pytest.mark.parametrize(
    ("key", "algorithm"), [(EC_KEY, "RS256"), (RSA_KEY, "ES256"), (EC_KEY, "ES384"), (EC_KEY, "Ed25519")]
)
def test_jw_020_algorithm_of_another_kind_of_key_is_refused(key_client, refused, key, algorithm):
    genuine = sign(claims_of(key_client), key)
    relabelled = segment({"alg": algorithm, "typ": "JWT"}) + genuine[genuine.index(".") :]

    assert refused(lambda: refresh(key_client, relabelled)) == INVALID_CLIENT


def test_jw_021_secret_of_the_client_signs_nothing(client_app, refused):
    signed = signed_with_secret(claims_of(client_app), SECRET.encode())

    assert refused(lambda: refresh(client_app, signed)) == SYMMETRIC


def test_jw_021_client_with_keys_may_not_sign_with_a_secret(key_client, refused):
    signed = signed_with_secret(claims_of(key_client), SECRET.encode())

    assert refused(lambda: refresh(key_client, signed)) == SYMMETRIC


def flipped(signed):
    """Return the JWT with one bit of its signature changed."""
    start, dot, signature = signed.rpartition(".")
    return start + dot + ("B" if signature[0] == "A" else "A") + signature[1:]


def with_other_claims(key_client):
    header, _claims, signature = signed_for(key_client).split(".")
    return f"{header}.{segment(claims_of(key_client))}.{signature}"


SIGNATURES = {
    "another key": lambda key_client: sign(claims_of(key_client), OTHER_KEY),
    "unknown kid": lambda key_client: sign(claims_of(key_client), kid="unknown"),
    "right kid, wrong key": lambda key_client: sign(claims_of(key_client), OTHER_KEY, kid="ec"),
    "kid of another key": lambda key_client: sign(claims_of(key_client), EC_KEY, kid="rsa"),
    "one bit changed": lambda key_client: flipped(signed_for(key_client)),
    "claims exchanged": with_other_claims,
}


@pytest.mark.parametrize("forge", SIGNATURES.values(), ids=SIGNATURES)
def test_jw_022_signature_that_no_registered_key_verifies_is_refused(key_client, refused, forge):
    Application.objects.update(jwks={"keys": [public(EC_KEY, kid="ec"), public(RSA_KEY, kid="rsa")]})

    assert refused(lambda: refresh(key_client, forge(key_client))) == INVALID_CLIENT


@pytest.mark.parametrize("key_id", ["rsa", LEFT_OUT])
def test_jw_022_key_is_found_by_its_id_or_without(key_client, key_id):
    Application.objects.update(jwks={"keys": [public(EC_KEY, kid="ec"), public(RSA_KEY, kid="rsa")]})

    assert refresh(key_client, sign(claims_of(key_client), RSA_KEY, kid=key_id)).status_code == HTTPStatus.OK


@pytest.mark.parametrize("key_id", [1, [], {}, None, "\x00"], ids=repr)
def test_jw_022_strange_key_id_is_refused(key_client, refused, key_id):
    Application.objects.update(jwks={"keys": [public(EC_KEY, kid="ec")]})
    header = {"alg": "ES256", "kid": key_id}

    assert refused(lambda: refresh(key_client, assemble(header, claims_of(key_client), b"s" * 64))) == INVALID_CLIENT


ATTACKERS_KEY = {
    "jwk": public(OTHER_KEY),
    "jku": "https://attacker.example/keys",
    "x5u": "https://attacker.example/certificate",
    "x5c": ["MIIB"],
}


@pytest.mark.parametrize("member", ATTACKERS_KEY)
def test_jw_023_key_that_the_header_brings_along_is_not_used(key_client, refused, member):
    forged = sign(claims_of(key_client), OTHER_KEY, **{member: ATTACKERS_KEY[member]})

    assert refused(lambda: refresh(key_client, forged)) == INVALID_CLIENT


@pytest.mark.parametrize("member", ATTACKERS_KEY)
def test_jw_023_header_that_speaks_of_keys_is_ignored(key_client, member):
    genuine = sign(claims_of(key_client), EC_KEY, **{member: ATTACKERS_KEY[member]})

    assert refresh(key_client, genuine).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "extension",
    [{"crit": ["exp"], "exp": 1}, {"crit": ["unknown"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": True}],
    ids=repr,
)
def test_jw_024_critical_extension_is_refused(key_client, refused, extension):
    header = {"alg": "ES256", **extension}

    assert refused(lambda: refresh(key_client, assemble(header, claims_of(key_client)))) == INVALID_CLIENT


def json_serialization(key_client):
    header, claims, signature = signed_for(key_client).split(".")
    return json.dumps({"protected": header, "payload": claims, "signature": signature})


def twice_named_subject(key_client):
    claims = json.dumps(claims_of(key_client))
    return sign((claims[:-1] + ', "sub": "another-client"}').encode())


STRANGE_FORMS = {
    "encrypted": lambda key_client: ".".join([segment({"alg": "RSA-OAEP", "enc": "A256GCM"}), *["AAAA"] * 4]),
    "nested": lambda key_client: sign(signed_for(key_client).encode(), cty="JWT"),
    "JSON serialization": json_serialization,
    "member named twice": twice_named_subject,
    "100 kB": lambda key_client: signed_for(key_client, padding="x" * 100_000),
    "signature of zeros": lambda key_client: assemble({"alg": "ES256"}, claims_of(key_client), bytes(64)),
    "claims are a list": lambda key_client: sign(b"[]"),
    "claims are no JSON": lambda key_client: sign(b"sub"),
    "claims are not UTF-8": lambda key_client: sign(b'{"sub": "\xff"}'),
    "claims are nested deep": lambda key_client: sign(b"[" * 5000 + b"]" * 5000),
    "number of many digits": lambda key_client: sign(b'{"sub": ' + b"9" * 9000 + b"}"),
    "not base64url": lambda key_client: signed_for(key_client).replace(".", ".+", 1),
    "padded": lambda key_client: signed_for(key_client) + "==",
    "line break": lambda key_client: signed_for(key_client) + "\n",
    "space": lambda key_client: " " + signed_for(key_client),
    "two parts": lambda key_client: signed_for(key_client).rpartition(".")[0],
    "four parts": lambda key_client: signed_for(key_client) + ".AAAA",
    "only dots": lambda key_client: "..",
    "no text": lambda key_client: "\x00",
}


@pytest.mark.parametrize("make", STRANGE_FORMS.values(), ids=STRANGE_FORMS)
def test_jw_026_what_is_no_signed_jwt_is_refused(key_client, refused, make):
    assert refused(lambda: refresh(key_client, make(key_client))) == INVALID_CLIENT


def test_jw_026_header_nested_as_deep_as_can_be_read_is_refused(key_client, refused):
    claims = claims_of(key_client)
    for depth in range(850, 1000, 3):
        header = b'{"alg": "ES256", "kid": "none", "deep": ' + b"[" * depth + b"]" * depth + b"}"

        assert refused(lambda header=header: refresh(key_client, assemble(header, claims, b"s" * 64))) == INVALID_CLIENT


@pytest.mark.parametrize(
    "address",
    ["https://127.0.0.1:9/keys", "https://[::1]:9/keys", "https://localhost:9/keys", "https://10.0.0.1/keys"],
)
def test_jw_027_keys_at_an_address_inside_our_network_are_not_fetched(key_client, refused, address):
    Application.objects.update(jwks=None, jwks_uri=address)

    assert refused(lambda: refresh(key_client, signed_for(key_client))) == INVALID_CLIENT


@pytest.mark.parametrize("path", ["/redirect", "/not-found", "/no-json"])
def test_jw_027_keys_that_cannot_be_fetched_are_no_keys(key_client, refused, key_server, path):
    Application.objects.update(jwks=None, jwks_uri=key_server.origin + path)

    assert refused(lambda: refresh(key_client, signed_for(key_client))) == INVALID_CLIENT


def test_jw_027_keys_are_fetched_once_and_again_for_an_unknown_id(key_client, key_server):
    Application.objects.update(jwks=None, jwks_uri=key_server.origin + "/keys")
    key_server.serve(jwks(EC_KEY))

    key_client.rotate()
    key_client.rotate()

    assert key_server.paths == ["/keys"]


def test_jw_028_failed_assertion_is_an_invalid_client_with_a_challenge(key_client):
    response = refresh(key_client, flipped(signed_for(key_client)))

    assert (HTTPStatus(response.status_code), response.json()) == INVALID_CLIENT
    assert response.headers["WWW-Authenticate"] == 'Basic realm="oauth"'


def test_jw_028_failed_assertion_leaves_the_assertion_type_out_of_its_answer(key_client):
    response = refresh(key_client, client_assertion_type=JWT_BEARER_ASSERTION, client_assertion="nonsense")

    assert (HTTPStatus(response.status_code), response.json()) == INVALID_CLIENT
