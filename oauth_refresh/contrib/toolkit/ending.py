"""End sessions at django-oauth-toolkit that were not moved yet, by what ends the grants of this server.

Otherwise a thief could wait until all grants of a user are revoked, and have the session moved afterwards.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from oauth_refresh.conf import app_settings
from oauth_refresh.contrib.toolkit import old_rows
from oauth_refresh.models import password_fingerprints
from oauth_refresh.services.account_events import fingerprints_replaced_by_rehash
from oauth_refresh.services.db import db_alias
from oauth_refresh.services.issuing import lock_users
from oauth_refresh.services.unmoved_sessions import UnmovedSessions


def end_sessions(sessions: UnmovedSessions) -> None:
    """Mark their refresh tokens as revoked, and let their access tokens expire, by two statements.

    A session that is being moved is locked until it is a grant. The caller ends the grants after it.
    """
    if not old_rows.is_installed():  # everything was moved, and its tables may be gone
        return
    selector: dict[str, Any] = {}
    if sessions.user_ids is not None:
        selector["user__in"] = sessions.user_ids
    if sessions.client_ids is not None:
        selector["application__in"] = old_rows.applications().filter(client_id__in=sessions.client_ids).values("pk")
    if sessions.created_before is not None:
        selector["created__lt"] = sessions.created_before
    now = timezone.now()
    with transaction.atomic(using=db_alias(), savepoint=False):
        # In the order in which its endpoint locks them; and before its grace period, in which it accepts spent tokens.
        old_rows.refresh_tokens().filter(revoked=None, **selector).update(revoked=old_rows.end_of_grace(now))
        old_rows.without_live_refresh_token().filter(expires__gt=now, **selector).update(expires=now)


def end_when_password_changes(
    sender: type[Model], instance: Any, raw: bool, using: str, update_fields: frozenset[str] | None, **kwargs: object
) -> None:
    """Before a user is saved with another password: afterwards nothing says which sessions began with the old one."""
    writes_password = update_fields is None or "password" in update_fields
    is_ours = using == db_alias() and isinstance(instance, get_user_model())
    is_wanted = app_settings.foreign_tokens and app_settings.revoke_on_password_change
    if raw or not writes_password or not is_ours or not is_wanted or instance._state.adding:
        return
    user_id = getattr(instance, get_user_model()._meta.pk.attname)
    stored = get_user_model()._base_manager.using(using).filter(pk=user_id).first()
    fingerprints = set(password_fingerprints(instance))
    if stored is None or not fingerprints or not fingerprints.isdisjoint(password_fingerprints(stored)):
        return
    if update_fields != frozenset({"password"}) or not fingerprints_replaced_by_rehash(user_id, user=instance):
        with transaction.atomic(using=using, savepoint=False):
            lock_users([user_id])  # as the save will: who moves a session locks its user before the session, too
            end_sessions(UnmovedSessions(user_ids=[user_id]))
