"""Further members of a response, from the callables that a project may set.

A hook that raises, or returns what cannot be used, is an error of the project: the request is answered with 503, and
nothing is issued, because hooks run before anything is committed.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any


def checked_fields(fields: Mapping[str, Any], *, reserved: Collection[str]) -> dict[str, Any]:
    """Return the fields as JSON will hold them. Raises ValueError for a reserved name, TypeError for no JSON."""
    if taken := set(reserved) & fields.keys():
        raise ValueError(f"A hook may not set {', '.join(sorted(taken))}.")
    checked: dict[str, Any] = json.loads(json.dumps(dict(fields), allow_nan=False))
    return checked
