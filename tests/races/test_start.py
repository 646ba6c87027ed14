"""Parallel use of what starts a grant, at a server of several processes: a code and an assertion work once."""

from collections import Counter
from http import HTTPStatus

import pytest

from oauth_refresh.models import Grant, GrantType, UsedAssertion
from oauth_refresh.services.codes import issue_code
from tests.consent import REDIRECT_URI, VERIFIER, consent_to
from tests.factories import SECRET, ApplicationFactory, TrustedIssuerFactory, UserFactory
from tests.jwts import EC_KEY, client_assertion, client_claims, grant_claims, jwks, key_application, sign
from tests.oauth import basic
from tests.races.invariants import (
    require_no_fork,
    require_no_server_error,
    require_no_valid_token,
    require_valid_pair,
    tokens_of,
)
from tests.threads import run_together

PARALLEL = 8


@pytest.fixture
def phone_app(server):
    return ApplicationFactory(public=True, redirect_uris=REDIRECT_URI)


def redemption(application):
    """Issue a code and return the form that redeems it."""
    code = issue_code(consent_to(application, UserFactory()))
    form = {"client_id": application.client_id, "code": code, "redirect_uri": REDIRECT_URI}
    return form | {"grant_type": "authorization_code", "code_verifier": VERIFIER}


def test_one_of_parallel_redemptions_of_a_code_succeeds_and_the_grant_is_revoked(server, rounds, phone_app):
    for _round in rounds:
        form = redemption(phone_app)

        answers = run_together(*[lambda form=form: server.post("/oauth/token", **form)] * PARALLEL)

        rounds.count(answers)
        assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: PARALLEL - 1}
        grant = Grant.objects.latest("pk")
        require_no_fork(grant)
        access, refresh = tokens_of(answers)
        require_no_valid_token(server, grant, client_id=phone_app.client_id, access=access, refresh=refresh)


def test_wrong_redemptions_beside_a_right_one_do_no_harm(server, rounds, phone_app):
    for _round in rounds:
        form = redemption(phone_app)
        wrong = {**form, "code_verifier": "x" * 43}

        right, *others = run_together(
            lambda form=form: server.post("/oauth/token", **form),
            *[lambda form=wrong: server.post("/oauth/token", **form)] * (PARALLEL - 1),
        )

        rounds.count([right, *others])
        assert {answer.status for answer in others} == {HTTPStatus.BAD_REQUEST}
        [access_token], [refresh_token] = tokens_of([right])
        require_valid_pair(
            server, client_id=phone_app.client_id, access_token=access_token, refresh_token=refresh_token
        )


def test_no_token_is_valid_after_a_code_was_redeemed_again_beside_a_refresh(server, rounds, phone_app):
    for _round in rounds:
        form = redemption(phone_app)
        first = server.post("/oauth/token", **form)

        answers = run_together(
            lambda form=form: server.post("/oauth/token", **form),
            lambda raw=first.json["refresh_token"]: server.refresh(phone_app.client_id, raw),
        )

        rounds.count(answers)
        require_no_server_error(answers)
        assert answers[0].status == HTTPStatus.BAD_REQUEST
        grant = Grant.objects.latest("pk")
        require_no_fork(grant)
        access, refresh = tokens_of([first, *answers])
        require_no_valid_token(server, grant, client_id=phone_app.client_id, access=access, refresh=refresh)


def test_parallel_uses_of_an_issuers_assertion_start_one_grant(server, rounds):
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY), algorithms="ES256")
    for _round in rounds:
        grant_types = f"refresh_token {GrantType.JWT_BEARER}"
        application = ApplicationFactory(raw_secret=SECRET, grant_types=grant_types)
        form = {"grant_type": GrantType.JWT_BEARER.value, "assertion": sign(grant_claims(issuer, UserFactory()))}
        headers = {"Authorization": basic(application.client_id, SECRET)}

        answers = run_together(*[lambda form=form, h=headers: server.post("/oauth/token", h, **form)] * PARALLEL)

        rounds.count(answers)
        assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: PARALLEL - 1}
        require_no_fork(Grant.objects.get(application=application))
        [access_token], _refresh = tokens_of(answers)
        assert server.accepts(access_token), "The API refuses the access token that was issued."


def test_one_of_parallel_uses_of_a_clients_assertion_succeeds(server, rounds):
    for _round in rounds:
        application, used_before = key_application(EC_KEY), UsedAssertion.objects.count()
        form = {"grant_type": "client_credentials", **client_assertion(sign(client_claims(application.client_id)))}

        answers = run_together(*[lambda form=form: server.post("/oauth/token", **form)] * PARALLEL)

        rounds.count(answers)
        assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.UNAUTHORIZED: PARALLEL - 1}
        assert UsedAssertion.objects.count() == used_before + 1
        [access_token], _refresh = tokens_of(answers)
        assert server.accepts(access_token), "The API refuses the access token that was issued."
