"""Parallel use of one refresh token at a server of several processes: no family is forked, no revocation is lost.

``RACE_ROUNDS`` in the environment says how often each is run, ``RACE_WINDOW`` how long the retry window is, in seconds.
"""

import os
from collections import Counter
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.db.models import Q

from oauth_refresh import crypto
from oauth_refresh.models import Grant, RefreshToken
from oauth_refresh.services import revoke_grants
from tests.races.invariants import (
    require_no_fork,
    require_no_server_error,
    require_no_valid_token,
    require_valid_pair,
    tokens_of,
)
from tests.races.server import start_grant
from tests.threads import run_together

PARALLEL, SIBLINGS = 8, 4
LIMIT = 20
"""What ``RETRY_LIMIT`` is by default."""
WINDOW = timedelta(seconds=int(os.environ.get("RACE_WINDOW", "1800")))  # by default longer than any slow round
CHAIN = 3
"""How often a client refreshes while something happens to its grant."""
STAGGERED = 3
"""How many generations back the oldest sibling is."""


def test_one_of_parallel_refreshes_succeeds_and_the_grant_is_revoked(server, rounds):
    for _round in rounds:
        application, first = start_grant()

        answers = run_together(
            *[lambda a=application, t=first: server.refresh(a.client_id, t.refresh_token)] * PARALLEL
        )

        rounds.count(answers)
        assert Counter(answer.status for answer in answers) == {HTTPStatus.OK: 1, HTTPStatus.BAD_REQUEST: PARALLEL - 1}
        require_no_fork(first.grant)
        access, refresh = tokens_of(answers)
        tokens = {"access": [first.access_token, *access], "refresh": [first.refresh_token, *refresh]}
        require_no_valid_token(server, first.grant, client_id=application.client_id, **tokens)


@pytest.mark.parametrize("parallel", [PARALLEL, LIMIT + 1, 200])
def test_parallel_refreshes_inside_the_retry_window_get_one_pair(server, rounds, parallel):
    """One refresh and as many retries as the limit allows succeed; the rest are told to wait, nothing is revoked."""
    for _round in rounds:
        application, first = start_grant(retry_window=WINDOW)

        answers = run_together(
            *[lambda a=application, t=first: server.refresh(a.client_id, t.refresh_token)] * parallel
        )

        rounds.count(answers)
        others = [answer.status for answer in answers if answer.status != HTTPStatus.OK]
        assert others == [HTTPStatus.TOO_MANY_REQUESTS] * max(0, parallel - LIMIT - 1)
        require_no_fork(first.grant)
        access, refresh = tokens_of(answers)
        assert len({*access}) == len({*refresh}) == 1, "The requests got different pairs."
        require_valid_pair(server, client_id=application.client_id, access_token=access[0], refresh_token=refresh[0])


def test_siblings_of_a_client_that_keeps_refreshing_all_follow_it(server, rounds):
    """They present tokens that are up to several generations old, while the next refresh is under way."""
    for _round in rounds:
        application, first = start_grant(retry_window=WINDOW)

        answers = run_together(
            *[lambda a=application, t=first: server.keep_refreshing(a.client_id, t.refresh_token, times=2)] * SIBLINGS
        )

        answers = [answer for of_one in answers for answer in of_one]
        rounds.count(answers)
        require_no_fork(first.grant)
        stored = Grant.objects.get(pk=first.grant.pk)
        assert {answer.status for answer in answers} == {HTTPStatus.OK}, "A sibling was refused."
        assert (stored.revoked_at, len({*tokens_of(answers)[1]})) == (None, stored.generation - 1)
        current = next(
            answer.json
            for answer in answers
            if RefreshToken.objects.get(digest=crypto.digest(answer.json["refresh_token"])).generation
            == stored.generation
        )
        require_valid_pair(
            server,
            client_id=application.client_id,
            access_token=current["access_token"],
            refresh_token=current["refresh_token"],
        )


@pytest.mark.parametrize("retry_window", [None, WINDOW], ids=["strict", "retry window"])
def test_siblings_of_different_generations_while_the_grant_is_refreshed(server, rounds, retry_window):
    """Inside the window each gets a pair that was current meanwhile; without one, a spent token ends the grant."""
    for _round in rounds:
        application, first = start_grant(retry_window=retry_window)
        client_id = application.client_id
        before = server.keep_refreshing(client_id, first.refresh_token, times=STAGGERED)
        _access, spent = tokens_of(before)
        current = spent.pop()

        chain, *siblings = run_together(
            lambda c=client_id, t=current: server.keep_refreshing(c, t, times=2),
            *[lambda c=client_id, t=t: [server.refresh(c, t)] for t in [first.refresh_token, *spent] * 2],
        )

        answers = [*chain, *(answer for [answer] in siblings)]
        rounds.count(answers)
        require_no_server_error(answers)
        require_no_fork(first.grant)
        access, refresh = tokens_of(answers)
        if retry_window is None:
            assert {answer.status for [answer] in siblings} == {HTTPStatus.BAD_REQUEST}
            assert Grant.objects.get(pk=first.grant.pk).revoked_reason == "reuse_detected"
            require_no_valid_token(server, first.grant, client_id=client_id, access=access, refresh=[current, *refresh])
            continue
        assert {answer.status for answer in answers} == {HTTPStatus.OK}, "A sibling was refused."
        assert {*refresh} <= {current, *tokens_of(chain)[1]}, "A sibling got a pair that was never current."
        newest = chain[-1].json
        require_valid_pair(
            server, client_id=client_id, access_token=newest["access_token"], refresh_token=newest["refresh_token"]
        )


def revoked_by_its_refresh_token(server, application, first):
    return server.revoke(application.client_id, first.refresh_token)


def revoked_by_its_access_token(server, application, first):
    return server.revoke(application.client_id, first.access_token)


def revoked_in_bulk(server, application, first):
    assert revoke_grants(Q(application=application), reason="incident").count == 1


def user_deactivated(server, application, first):
    first.grant.user.is_active = False
    first.grant.user.save()


def application_deactivated(server, application, first):
    application.is_active = False
    application.save()


def user_signed_out_by_a_new_password(server, application, first):
    first.grant.user.set_password("another password, as long")
    first.grant.user.save()


@pytest.mark.parametrize(
    "end",
    [
        revoked_by_its_refresh_token,
        revoked_by_its_access_token,
        revoked_in_bulk,
        user_deactivated,
        user_signed_out_by_a_new_password,
        application_deactivated,
    ],
)
@pytest.mark.parametrize("retry_window", [None, WINDOW], ids=["strict", "retry window"])
def test_no_token_is_valid_after_a_grant_ended_that_was_refreshed_meanwhile(server, rounds, end, retry_window):
    for _round in rounds:
        application, first = start_grant(retry_window=retry_window)

        answers, ended = run_together(
            lambda a=application, t=first: server.keep_refreshing(a.client_id, t.refresh_token, times=CHAIN),
            lambda a=application, t=first: end(server, a, t),
        )

        rounds.count(answers)
        require_no_server_error(answers)
        assert ended is None or ended.status == HTTPStatus.OK, f"The revocation was answered {ended}."
        require_no_fork(first.grant)
        assert Grant.objects.get(pk=first.grant.pk).revoked_at is not None, "The grant was not revoked."
        access, refresh = tokens_of(answers)
        tokens = {"access": [first.access_token, *access], "refresh": [first.refresh_token, *refresh]}
        require_no_valid_token(server, first.grant, client_id=application.client_id, **tokens)


@pytest.mark.parametrize("end", [revoked_by_its_refresh_token, revoked_in_bulk, user_signed_out_by_a_new_password])
def test_no_token_of_staggered_siblings_is_valid_after_their_grant_ended(server, rounds, end):
    for _round in rounds:
        application, first = start_grant(retry_window=WINDOW)
        client_id = application.client_id
        *spent, current = tokens_of(server.keep_refreshing(client_id, first.refresh_token, times=STAGGERED))[1]

        ended, *answered = run_together(
            lambda a=application, t=first: [end(server, a, t)],
            *[
                lambda c=client_id, t=t: server.keep_refreshing(c, t, times=2)
                for t in [first.refresh_token, *spent, current]
            ],
        )

        answers = [answer for of_one in answered for answer in of_one]
        rounds.count(answers)
        require_no_server_error(answers)
        assert ended[0] is None or ended[0].status == HTTPStatus.OK, f"The revocation was answered {ended[0]}."
        require_no_fork(first.grant)
        access, refresh = tokens_of(answers)
        tokens = {"access": [first.access_token, *access], "refresh": [first.refresh_token, *spent, current, *refresh]}
        require_no_valid_token(server, first.grant, client_id=client_id, **tokens)
