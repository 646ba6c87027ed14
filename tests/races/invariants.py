"""What must hold after every round, whoever won it; each failure tells what was found."""

from collections.abc import Iterable
from http import HTTPStatus

from oauth_refresh import crypto
from oauth_refresh.models import Grant, RefreshToken
from tests.races.course import Answer, Course

REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED})


def require_no_fault(answers: Iterable[Answer]) -> None:
    """Somebody is served, or refused: nobody meets a fault of ours."""
    strange = [answer for answer in answers if not answer.is_success and answer.status not in REFUSED]
    assert not strange, f"Neither served nor refused: {strange}"


def require_one_lineage(grant: Grant, *, pruned: bool = False) -> None:
    """No family is forked: each generation has one refresh token, and at most the newest is alive.

    ``pruned``: the rows of spent ones may be gone.
    """
    tokens = list(RefreshToken.objects.filter(grant=grant).select_related("grant__user", "grant__application"))
    generations = sorted(token.generation for token in tokens)
    last = Grant.objects.get(pk=grant.pk).generation
    expected = sorted({*generations, last}) if pruned else list(range(1, last + 1))
    assert generations == expected, f"Grant of generation {last} has refresh tokens {generations}."
    live = [token.generation for token in tokens if token.is_live]
    assert live in ([], [last]), f"Grant of generation {last} has live refresh tokens {live}."


def require_dead(
    course: Course, grant: Grant, *, client_id: str, access: Iterable[str], refresh: Iterable[str]
) -> None:
    """Nothing of the grant lives: the API and the token endpoint refuse whatever any racer got."""
    stored = Grant.objects.select_related("application", "user").get(pk=grant.pk)
    assert not stored.is_live, f"The grant lives on at generation {stored.generation}."
    accepted = [crypto.digest(token)[:8] for token in access if course.accepts(token)]
    assert not accepted, f"The API accepts {len(accepted)} access tokens of a dead grant."
    traded = [answer for token in refresh if (answer := course.refresh(client_id, token)).status not in REFUSED]
    assert not traded, f"Refresh tokens of a dead grant were traded: {[answer.status for answer in traded]}"


def require_alive(course: Course, *, client_id: str, access_token: str, refresh_token: str) -> None:
    """The pair is of use: the API lets it in, and it can be refreshed."""
    assert course.accepts(access_token), "The API refuses the access token of the winner."
    answer = course.refresh(client_id, refresh_token)
    assert answer.is_success, f"The refresh token of the winner is refused: {answer}"


def tokens_of(answers: Iterable[Answer]) -> tuple[list[str], list[str]]:
    """Return the access and the refresh tokens that racers got."""
    won = [answer.body for answer in answers if "access_token" in answer.body]
    return [body["access_token"] for body in won], [body["refresh_token"] for body in won if "refresh_token" in body]
