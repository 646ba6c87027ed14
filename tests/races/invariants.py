"""What must hold after every round, in whatever order the requests were carried out; a failure says what was found."""

from collections.abc import Iterable
from http import HTTPStatus

from oauth_refresh import crypto
from oauth_refresh.models import Grant, RefreshToken
from tests.races.server import RaceServer
from tests.server import Answer

REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED})


def require_no_server_error(answers: Iterable[Answer]) -> None:
    """Every request succeeds or is refused."""
    others = [answer for answer in answers if answer.status not in {HTTPStatus.OK, *REFUSED}]
    assert not others, f"Neither a success nor a refusal: {others}"


def require_no_fork(grant: Grant, *, pruned: bool = False) -> None:
    """Each generation has one refresh token, and at most the newest is valid.

    ``pruned``: the rows of spent ones may be gone.
    """
    tokens = list(RefreshToken.objects.filter(grant=grant).select_related("grant__user", "grant__application"))
    generations = sorted(token.generation for token in tokens)
    last = Grant.objects.get(pk=grant.pk).generation
    expected = sorted({*generations, last}) if pruned else list(range(1, last + 1))
    assert generations == expected, f"Grant of generation {last} has refresh tokens {generations}."
    valid = [token.generation for token in tokens if token.is_live]
    assert valid in ([], [last]), f"Grant of generation {last} has valid refresh tokens {valid}."


def require_no_valid_token(
    server: RaceServer, grant: Grant, *, client_id: str, access: Iterable[str], refresh: Iterable[str]
) -> None:
    """The grant has ended, and the API and the token endpoint refuse all of its tokens."""
    stored = Grant.objects.select_related("application", "user").get(pk=grant.pk)
    assert not stored.is_live, f"The grant is active at generation {stored.generation}."
    accepted = [crypto.digest(token)[:8] for token in access if server.accepts(token)]
    assert not accepted, f"The API accepts {len(accepted)} access tokens of a grant that has ended."
    traded = [answer for token in refresh if (answer := server.refresh(client_id, token)).status not in REFUSED]
    assert not traded, f"Refresh tokens of a grant that has ended are accepted: {[answer.status for answer in traded]}"


def require_valid_pair(server: RaceServer, *, client_id: str, access_token: str, refresh_token: str) -> None:
    """The API accepts the access token, and the refresh token can be used."""
    assert server.accepts(access_token), "The API refuses the access token that was issued."
    answer = server.refresh(client_id, refresh_token)
    assert answer.status == HTTPStatus.OK, f"The refresh token that was issued is refused: {answer}"


def tokens_of(answers: Iterable[Answer]) -> tuple[list[str], list[str]]:
    """Return the access and the refresh tokens in these answers."""
    issued = [answer.json for answer in answers if answer.status == HTTPStatus.OK]
    refresh_tokens = [members["refresh_token"] for members in issued if "refresh_token" in members]
    return [members["access_token"] for members in issued], refresh_tokens
