"""Sessions that are still at another server, when the grants of their users or applications are revoked here.

A session that is moved later would outlive that otherwise: a thief could wait for it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models import Model, Q, QuerySet

from oauth_refresh.conf import app_settings
from oauth_refresh.models import Application
from oauth_refresh.services.db import db_alias


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmovedSessions:
    """Which sessions are meant, of those that were not moved here yet; None: any.

    ``user_ids`` are primary keys, ``client_ids`` those of applications. Both may be querysets, for a subquery.
    ``created_before`` is when the sessions began.
    """

    user_ids: Collection[Any] | None = None
    client_ids: Collection[str] | None = None
    created_before: datetime | None = None


def end_unmoved_sessions(selector: Q) -> None:
    """Let the installed apps that import sessions end those that ``selector`` means, which selects grants.

    An app takes part by a method ``end_sessions`` of its AppConfig, which is passed ``UnmovedSessions``. A selector
    that asks for anything but users, applications and a time means grants alone.
    """
    methods = [method for config in apps.get_app_configs() if (method := getattr(config, "end_sessions", None))]
    if methods and app_settings.foreign_tokens and (sessions := _meant_by(selector)) is not None:
        for end_sessions in methods:
            end_sessions(sessions)


def _meant_by(selector: Q) -> UnmovedSessions | None:
    conditions: dict[str, Any] = dict(child for child in selector.children if isinstance(child, tuple))
    is_flat = len(conditions) == len(selector.children) and selector.connector == Q.AND and not selector.negated
    users = _asked_for(get_user_model(), "user", conditions)
    applications = _asked_for(Application, "application", conditions)
    created_before = conditions.pop("created_at__lt", None)
    if not is_flat or conditions or (users is None and applications is None):
        return None
    return UnmovedSessions(
        user_ids=None if users is None else users.values_list("pk", flat=True),
        client_ids=None if applications is None else applications.values_list("client_id", flat=True),
        created_before=created_before,
    )


def _asked_for(model: type[Model], name: str, conditions: dict[str, Any]) -> QuerySet[Any] | None:
    """Take the conditions on this foreign key out, and return the rows that they ask for; None: any."""
    keys: list[Any] = [[conditions.pop(name)]] if name in conditions else []
    keys += [conditions.pop(f"{name}__in")] if f"{name}__in" in conditions else []
    rows = model._base_manager.using(db_alias()).all()
    for some in keys:
        rows = rows.filter(pk__in=some if isinstance(some, QuerySet) else [getattr(row, "pk", row) for row in some])
    return rows if keys else None
