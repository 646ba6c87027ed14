"""Proof key for code exchange: RFC 7636, RFC 9700 §2.1.1 and §4.8.2."""

import base64
import hashlib
import string
from http import HTTPStatus

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.test import Client

from oauth_refresh.models import AuthorizationCode
from tests.conformance.redirects import error_redirect, invalid_request
from tests.consent import CHALLENGE, VERIFIER, read_answer, start_flow
from tests.refusals import INVALID_GRANT, read_refusal
from tests.refusals import invalid_request as token_invalid_request

NO_CHALLENGE = {"code_challenge": None, "code_challenge_method": None}
CHALLENGE_MISSING = invalid_request("The parameter code_challenge is missing.")
NOT_S256 = invalid_request("The transform algorithm is not supported: send code_challenge_method=S256.")
NO_S256_CHALLENGE = invalid_request("The code_challenge is not that of S256: 43 base64url characters.")


def s256(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def old_flow(user):
    """A confidential application that need not use PKCE."""
    return start_flow(user, requires_pkce=False)


@pytest.mark.parametrize("fixture", ["flow", "public_flow", "old_flow"])
def test_pk_001_right_verifier_gets_a_pair(request, fixture):
    flow = request.getfixturevalue(fixture)

    response = flow.redeem(flow.code(code_challenge=CHALLENGE), code_verifier=VERIFIER)

    assert response.status_code == HTTPStatus.OK


@pytest.mark.parametrize("length", [43, 128])
def test_pk_001_verifier_of_any_allowed_length_and_character_gets_a_pair(flow, length):
    verifier = ((string.ascii_letters + string.digits + "-._~") * 2)[-length:]
    challenge = s256(verifier)

    assert flow.redeem(flow.code(code_challenge=challenge), code_verifier=verifier).status_code == HTTPStatus.OK


@pytest.mark.parametrize("verifier", ["x" * 43, VERIFIER[:-1] + "K", VERIFIER.swapcase()])
def test_pk_002_wrong_verifier_is_refused(public_flow, refused, verifier):
    code = public_flow.code()

    assert refused(lambda: public_flow.redeem(code, code_verifier=verifier)) == INVALID_GRANT


def test_pk_002_challenge_is_not_its_own_verifier(public_flow):
    code = public_flow.code()

    assert read_refusal(public_flow.redeem(code, code_verifier=CHALLENGE)) == INVALID_GRANT


@pytest.mark.parametrize("left_out", [None, ""], ids=["missing", "empty"])
@pytest.mark.parametrize("fixture", ["flow", "public_flow", "old_flow"])
def test_pk_003_verifier_of_a_challenge_is_required(request, refused, fixture, left_out):
    flow = request.getfixturevalue(fixture)
    code = flow.code()

    assert refused(lambda: flow.redeem(code, code_verifier=left_out)) == INVALID_GRANT


def test_pk_004_verifier_without_a_challenge_is_refused(old_flow, refused):
    code = old_flow.code(**NO_CHALLENGE)

    assert refused(lambda: old_flow.redeem(code)) == token_invalid_request(
        "A code_verifier came, but the authorization request had no code_challenge."
    )
    assert old_flow.redeem(code, code_verifier=None).status_code == HTTPStatus.OK


def test_pk_005_public_client_must_send_a_challenge(public_flow):
    assert error_redirect(public_flow, **NO_CHALLENGE) == CHALLENGE_MISSING


def test_pk_005_public_application_cannot_be_exempt_from_pkce(public_flow):
    application = public_flow.client.application
    application.requires_pkce = False

    with pytest.raises(ValidationError):
        application.full_clean()
    with pytest.raises(IntegrityError):
        application.save()


def test_pk_006_confidential_client_must_send_a_challenge(flow):
    assert error_redirect(flow, **NO_CHALLENGE) == CHALLENGE_MISSING


def test_pk_006_confidential_application_may_be_exempt_from_pkce(old_flow):
    code = old_flow.code(**NO_CHALLENGE)

    assert old_flow.redeem(code, code_verifier=None).status_code == HTTPStatus.OK


@pytest.mark.parametrize("method", [None, "", "plain", "s256", "S512", "S256 "])
@pytest.mark.parametrize("fixture", ["flow", "public_flow", "old_flow"])
def test_pk_007_other_transform_than_s256_is_refused(request, fixture, method):
    flow = request.getfixturevalue(fixture)

    assert error_redirect(flow, code_challenge_method=method) == NOT_S256


@pytest.mark.parametrize("fixture", ["flow", "old_flow"])
def test_pk_007_method_without_a_challenge_is_refused(request, fixture):
    flow = request.getfixturevalue(fixture)

    assert error_redirect(flow, code_challenge=None) == CHALLENGE_MISSING


BAD_VERIFIERS = {
    "42 characters": VERIFIER[:-1],
    "129 characters": "x" * 129,
    "space": VERIFIER[:-1] + " ",
    "plus": VERIFIER[:-1] + "+",
    "not ASCII": VERIFIER[:-1] + "é",
    "line feed behind": VERIFIER + "\n",
    "NUL behind": VERIFIER + "\x00",
}


@pytest.mark.parametrize("verifier", BAD_VERIFIERS.values(), ids=BAD_VERIFIERS)
def test_pk_008_malformed_verifier_is_refused(flow, refused, verifier):
    challenge = s256(verifier)
    code = flow.code(code_challenge=challenge)

    assert refused(lambda: flow.redeem(code, code_verifier=verifier)) == INVALID_GRANT


BAD_CHALLENGES = {
    "42 characters": CHALLENGE[:-1],
    "44 characters": CHALLENGE + "A",
    "padded": CHALLENGE + "=",
    "base64 of another alphabet": CHALLENGE[:-1] + "+",
    "line feed behind": CHALLENGE + "\n",
    "NUL": CHALLENGE[:-1] + "\x00",
    "not ASCII": CHALLENGE[:-1] + "é",
}


@pytest.mark.parametrize("challenge", BAD_CHALLENGES.values(), ids=BAD_CHALLENGES)
def test_pk_008_malformed_challenge_is_refused(flow, challenge):
    assert error_redirect(flow, code_challenge=challenge) == NO_S256_CHALLENGE


def test_pk_009_response_does_not_hold_the_challenge(flow):
    response = flow.decide("allow")

    assert set(read_answer(response)) == {"code", "state", "iss"}
    assert CHALLENGE not in response.headers["Location"]


def test_pk_009_code_is_not_made_of_the_challenge(flow):
    codes = {flow.code(), flow.code()}

    assert len(codes) == 2
    assert set(AuthorizationCode.objects.values_list("code_challenge", flat=True)) == {CHALLENGE}


def test_pk_010_metadata_names_s256_alone(db):
    metadata = Client().get("/.well-known/oauth-authorization-server").json()

    assert metadata["code_challenge_methods_supported"] == ["S256"]
