"""Give imported sessions back to the server that they came from, as long as no client has refreshed them here."""

from collections.abc import Collection

from django.db.models import F, QuerySet
from django.utils import timezone

from oauth_refresh.models import IMPORTED, Application, Grant
from oauth_refresh.services.db import db_alias


def imports() -> QuerySet[Grant]:
    """Return the imported grants that were not revoked."""
    return Grant.objects.using(db_alias()).filter(grant_type=IMPORTED, revoked_at=None)


def unused_imports() -> QuerySet[Grant]:
    """Return the imported grants that are as they were when they came: not refreshed, and not revoked."""
    return imports().filter(refreshed_at=None, generation=F("imported_generation"))


def lock_unused_imports(keys: Collection[int]) -> list[Grant]:
    """Lock and return those of these grants that are unused and active; a refresh waits, and then finds no grant.

    One that is not accepted here, because of a new password, say, would be accepted again by the server it came from.
    """
    rows = unused_imports().filter(pk__in=keys).order_by("pk").select_for_update()
    grants = list(rows.prefetch_related("application", "user", "refresh_tokens", "access_tokens"))
    return [grant for grant in grants if grant.inactive_reason(timezone.now()) is None]


def delete_imports(grants: Collection[Grant]) -> None:
    """Delete grants with their tokens, in the transaction that locked them and wrote them where they came from.

    Nothing is revoked by it, so there is no notice: where they are now, their access tokens are still accepted.
    """
    Grant.objects.using(db_alias()).filter(pk__in=[grant.pk for grant in grants]).delete()


def delete_unused_application(application: Application) -> bool:
    """Delete an application that has no grant, and return whether it had none. The caller has locked it."""
    if Grant.objects.using(db_alias()).filter(application=application).exists():
        return False
    application.delete(using=db_alias())
    return True
