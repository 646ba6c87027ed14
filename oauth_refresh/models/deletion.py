"""What becomes of rows when the row they point to is deleted, where Django's own answers do not fit."""

from typing import Any

from django.db import models
from django.db.models.deletion import Collector


def cascade_first(
    collector: Collector, field: models.ForeignKey[Any, Any], sub_objs: models.QuerySet[Any], using: str
) -> None:
    """Delete the rows that point to a row before that row itself, also where their foreign key may be null.

    Django's CASCADE leaves that order open for a key that may be null, and where a database cannot defer the check of
    foreign keys (MariaDB) it sets the key to null first. A grant without its user is what a constraint forbids.
    """
    collector.collect(
        sub_objs,
        source=field.remote_field.model,
        source_attr=field.name,
        nullable=False,
        fail_on_restricted=False,
    )
