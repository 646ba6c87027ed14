"""The one statement by which a grant moves: it spends, it locks, and it loses to whoever was first."""

from collections.abc import Mapping
from copy import copy
from typing import Any

from oauth_refresh.models import Grant
from oauth_refresh.services.compiled import ConditionalUpdate

_MOVE = ConditionalUpdate(Grant.objects.unrevoked, unchanged=("id", "generation"))


class Overtaken(Exception):
    """Somebody else moved or revoked the grant first. Undoes the transaction; whoever raised it looks again."""


def move(grant: Grant, columns: Mapping[str, Any]) -> bool:
    """Set ``columns`` if the grant is unrevoked and still of the generation that was read. Return whether it was."""
    return _MOVE.run(grant, columns)


def moved(grant: Grant, columns: Mapping[str, Any]) -> Grant:
    """Return the grant as it is after the move. The one that was read stays as it was, for a second try."""
    successor = copy(grant)
    for column, value in columns.items():
        setattr(successor, column, value)
    return successor
