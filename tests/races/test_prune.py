"""Refreshes beside a prune that keeps nothing it may delete: clients notice nothing, and no thief is forgotten."""

from datetime import timedelta
from http import HTTPStatus

from oauth_refresh.models import Grant, RefreshToken
from oauth_refresh.services import prune
from tests.races.course import race
from tests.races.invariants import require_alive, require_dead, require_no_fault, require_one_lineage, tokens_of
from tests.races.sessions import begin

CHAIN = 6


def test_refreshes_beside_a_prune_go_on_and_a_pruned_token_sounds_the_alarm(course, tally):
    gone = 0
    for _round in tally:
        application, first = begin()

        answers, pruned = race(
            lambda a=application, t=first: course.keep_refreshing(a.client_id, t.refresh_token, times=CHAIN),
            lambda: [prune(retain=timedelta(0)) for _number in range(CHAIN)],
        )

        tally.count(answers)
        require_no_fault(answers)
        assert len(answers) == CHAIN, f"The session ended after {len(answers)} refreshes."
        require_one_lineage(first.grant, pruned=True)
        access, refresh = tokens_of(answers)
        require_alive(course, client_id=application.client_id, access_token=access[-1], refresh_token=refresh[-1])
        prune(retain=timedelta(0))
        assert not RefreshToken.objects.filter(grant=first.grant, generation=1).exists()
        assert course.refresh(application.client_id, first.refresh_token).status == HTTPStatus.BAD_REQUEST
        assert Grant.objects.get(pk=first.grant.pk).revoked_reason == "reuse_detected"
        tokens = {"access": [first.access_token, *access], "refresh": [first.refresh_token, *refresh]}
        require_dead(course, first.grant, client_id=application.client_id, **tokens)
        gone += sum(one.refresh_tokens for one in pruned)
    assert gone > 0, "No prune met a spent token while its session was refreshed."
