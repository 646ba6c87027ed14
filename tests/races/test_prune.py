"""Refreshes beside a prune that retains nothing: clients notice nothing, and a pruned token is still detected."""

from datetime import timedelta
from http import HTTPStatus
from threading import Event

from oauth_refresh.models import Grant, RefreshToken
from oauth_refresh.services import prune
from tests.races.invariants import (
    require_no_fork,
    require_no_server_error,
    require_no_valid_token,
    require_valid_pair,
    tokens_of,
)
from tests.races.server import start_grant
from tests.threads import run_together

CHAIN = 6


def test_refreshes_beside_a_prune_succeed_and_reuse_of_a_pruned_token_is_detected(server, rounds):
    for _round in rounds:
        application, first = start_grant()
        pruned, over = Event(), Event()

        def keep_refreshing(client_id=application.client_id, raw=first.refresh_token, pruned=pruned, over=over):
            try:
                return server.keep_refreshing(client_id, raw, times=CHAIN, until=pruned)
            finally:
                over.set()

        def keep_pruning(pruned=pruned, over=over):
            while not over.is_set():
                if prune(retain=timedelta(0)).refresh_tokens:
                    pruned.set()

        answers, _nothing = run_together(keep_refreshing, keep_pruning)

        assert pruned.is_set(), "No prune deleted a spent token while its grant was refreshed."
        rounds.count(answers)
        require_no_server_error(answers)
        assert answers[-1].status == HTTPStatus.OK, f"The grant ended after {len(answers)} refreshes."
        require_no_fork(first.grant, pruned=True)
        access, refresh = tokens_of(answers)
        client_id = application.client_id
        require_valid_pair(server, client_id=client_id, access_token=access[-1], refresh_token=refresh[-1])
        prune(retain=timedelta(0))
        assert not RefreshToken.objects.filter(grant=first.grant, generation=1).exists()
        assert server.refresh(client_id, first.refresh_token).status == HTTPStatus.BAD_REQUEST
        assert Grant.objects.get(pk=first.grant.pk).revoked_reason == "reuse_detected"
        tokens = {"access": [first.access_token, *access], "refresh": [first.refresh_token, *refresh]}
        require_no_valid_token(server, first.grant, client_id=client_id, **tokens)
