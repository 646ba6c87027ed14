"""A user's own sessions: which applications act in their name, and how they sign them out."""

from typing import Any
from uuid import UUID

from django.db.models import Q

from oauth_refresh.models import Grant, RevocationReason
from oauth_refresh.models.grant import GrantQuerySet
from oauth_refresh.services.revocation import revoke_grant, revoke_grants
from oauth_refresh.services.transactions import write_alias


def sessions_of(user: Any) -> GrantQuerySet:
    """Return the grants that act for ``user`` now, by application, the newest first; each with its application."""
    usable = Grant.objects.using(write_alias()).usable_for(user).select_related("application")
    return usable.order_by("application__name", "application_id", "-created_at", "-pk")


def find_session(user: Any, public_id: UUID | str) -> Grant | None:
    """Return the user's own grant, alive or over; None for another's, and for one that still waits for its code."""
    started = Grant.objects.using(write_alias()).for_user(user).filter(generation__gt=0)
    return started.select_related("application", "user").filter(public_id=public_id).first()


def sign_out(session: Grant) -> bool:
    """End a session because its user wants it gone. Return whether it was alive until now."""
    was_live = session.is_live
    return revoke_grant(session, reason=RevocationReason.USER_REQUEST, by=session.user) and was_live


def sign_out_of_all(user: Any) -> int:
    """End all sessions of ``user``, also those still waiting for their code, and return how many they were."""
    return revoke_grants(Q(user=user), reason=RevocationReason.USER_REQUEST, by=user).count
