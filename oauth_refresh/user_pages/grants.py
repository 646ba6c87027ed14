"""A user's own grants: those of the connected applications, and how the user disconnects them.

Every query is limited to the user, never only to an ID from the address: an ID that was guessed or leaked gives no
access to another user's grant, and looks the same as one that does not exist.
"""

from typing import Any
from uuid import UUID

from django.db.models import Max, Q, Window
from django.db.models.functions import Coalesce

from oauth_refresh.models import Application, Grant, RevocationReason
from oauth_refresh.models.grant import GrantQuerySet
from oauth_refresh.services import revoke_grant, revoke_grants
from oauth_refresh.services.db import db_alias


def connected_grants(user: Any) -> GrantQuerySet:
    """Return the user's active grants, each with its application: grouped by it, those used last first."""
    active = Grant.objects.using(db_alias()).usable_for(user).select_related("application")
    used_at = Coalesce("refreshed_at", "created_at")
    application_used_at = Window(Max(used_at), partition_by="application_id")
    return active.order_by(application_used_at.desc(), "application_id", used_at.desc(), "-pk")


def find_grant(user: Any, public_id: UUID | str) -> Grant | None:
    """Return the user's own grant, active or not; None if it is another user's, or its code is not redeemed yet."""
    started = Grant.objects.using(db_alias()).for_user(user).filter(generation__gt=0)
    return started.select_related("application", "user").filter(public_id=public_id).first()


def disconnect(grant: Grant) -> bool:
    """Revoke a grant at its user's request. Return whether it was active until now."""
    was_active = grant.is_live
    # Revoked even if it is not active: a deactivated application, say, may become active again.
    revoked = revoke_grant(grant, reason=RevocationReason.USER_REQUEST, by=grant.user)
    return revoked and was_active


def disconnect_application(user: Any, application: Application) -> int:
    """Revoke all grants of ``user`` for one application and return how many there were; see ``disconnect_all``."""
    selector = Q(user=user, application=application)
    return revoke_grants(selector, reason=RevocationReason.USER_REQUEST, by=user).count


def disconnect_all(user: Any) -> int:
    """Revoke all grants of ``user`` and return how many there were.

    That includes those the list does not show: an attacker may hold a code that is not redeemed yet.
    """
    return revoke_grants(Q(user=user), reason=RevocationReason.USER_REQUEST, by=user).count
