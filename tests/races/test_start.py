"""Races for what starts a session, against a server of several processes: a code and an assertion count once."""

from collections import Counter
from http import HTTPStatus

from oauth_refresh.models import NO_CLIENT_INFO, Grant, GrantType, UsedAssertion
from oauth_refresh.services.codes import Consent, issue_code
from tests.consent import CHALLENGE, REDIRECT_URI, VERIFIER
from tests.factories import ApplicationFactory, TrustedIssuerFactory, UserFactory
from tests.jwts import EC_KEY, client_assertion, client_claims, grant_claims, jwks, key_application, sign
from tests.oauth import basic
from tests.races.course import race
from tests.races.invariants import require_dead, require_one_lineage, tokens_of

RACERS = 8
SECRET = "a-client-secret-of-more-than-22-characters"


def test_parallel_redemptions_of_a_code_have_one_winner_and_leave_nothing_alive(course, tally):
    for _round in tally:
        application = ApplicationFactory(public=True, redirect_uris=REDIRECT_URI)
        code = issue_code(
            Consent(
                application=application,
                user=UserFactory(),
                scope=("notes:read",),
                redirect_uri=REDIRECT_URI,
                code_challenge=CHALLENGE,
                consented=True,
                client_info=NO_CLIENT_INFO,
            )
        )
        form = {"client_id": application.client_id, "code": code, "redirect_uri": REDIRECT_URI}
        form |= {"grant_type": "authorization_code", "code_verifier": VERIFIER}

        answers = race(*[lambda form=form: course.post("/oauth/token", **form)] * RACERS)

        tally.count(answers)
        assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: RACERS - 1}
        grant = Grant.objects.get(application=application)
        require_one_lineage(grant)
        access, refresh = tokens_of(answers)
        require_dead(course, grant, client_id=application.client_id, access=access, refresh=refresh)


def test_parallel_uses_of_an_issuers_assertion_start_one_session(course, tally):
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY), algorithms="ES256")
    for _round in tally:
        grant_types = f"refresh_token {GrantType.JWT_BEARER}"
        application = ApplicationFactory(raw_secret=SECRET, grant_types=grant_types)
        form = {"grant_type": GrantType.JWT_BEARER.value, "assertion": sign(grant_claims(issuer, UserFactory()))}
        headers = {"Authorization": basic(application.client_id, SECRET)}

        answers = race(*[lambda form=form, h=headers: course.post("/oauth/token", h, **form)] * RACERS)

        tally.count(answers)
        assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: RACERS - 1}
        require_one_lineage(Grant.objects.get(application=application))
        [access_token], _refresh = tokens_of(answers)
        assert course.accepts(access_token), "The API refuses the access token of the winner."


def test_parallel_uses_of_a_clients_assertion_let_one_in(course, tally):
    for _round in tally:
        application, used_before = key_application(EC_KEY), UsedAssertion.objects.count()
        form = {"grant_type": "client_credentials", **client_assertion(sign(client_claims(application.client_id)))}

        answers = race(*[lambda form=form: course.post("/oauth/token", **form)] * RACERS)

        tally.count(answers)
        assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.UNAUTHORIZED: RACERS - 1}
        assert UsedAssertion.objects.count() == used_before + 1
        [access_token], _refresh = tokens_of(answers)
        assert course.accepts(access_token), "The API refuses the access token of the winner."
