"""What was revoked, for APIs on other machines that keep the answers of introspection."""

from datetime import timedelta
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

RECENT = timedelta(seconds=10)
"""How long a notice is sent again. If its transaction is committed later, APIs elsewhere may miss it."""

_NO_GRANT = Q(grant_id=None)
_NO_USER = Q(sub="")
_NO_APPLICATION = Q(client_id="")
_NOT_EVERYTHING = Q(everything=False)


class DatabaseNow(Now):
    """The time of the database server, in UTC also on MariaDB, whose sessions may have another time zone.

    Web servers' clocks differ, so theirs do not say which of two notices of different servers is older.
    """

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **context)


class RevocationNoticeQuerySet(models.QuerySet["RevocationNotice"]):
    def settled(self) -> Self:
        """Keep those that are so old that a notice with a smaller number is committed by now, or never will be."""
        return self.filter(_is_settled())

    def with_settled(self) -> Self:
        """Annotate ``is_settled``: whether ``settled()`` would keep the row."""
        flag = Case(When(_is_settled(), then=True), default=Value(False), output_field=models.BooleanField())
        return self.annotate(is_settled=flag)


def _is_settled() -> Q:
    return Q(created_at__lte=DatabaseNow() - Value(RECENT))


class RevocationNotice(models.Model):
    """One grant, all grants of a user (``sub``), all of an application, or all there are were revoked.

    Written in the transaction of the revocation, and never changed. It names rows by what introspection says of them
    and not by foreign keys, so it stays when they are deleted. ``created_at`` is the time of the database.
    """

    created_at = models.DateTimeField(default=timezone.now)
    grant_id = models.UUIDField(null=True, blank=True)
    sub = models.TextField(blank=True)
    client_id = models.CharField(max_length=255, blank=True)
    everything = models.BooleanField(default=False)

    objects: ClassVar[RevocationNoticeQuerySet] = RevocationNoticeQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("revocation notice")
        verbose_name_plural = _("revocation notices")
        # No index but the primary key: the feed and prune walk along it.
        constraints = [
            models.CheckConstraint(
                condition=(
                    (~_NO_GRANT & _NO_USER & _NO_APPLICATION & _NOT_EVERYTHING)
                    | (_NO_GRANT & ~_NO_USER & _NO_APPLICATION & _NOT_EVERYTHING)
                    | (_NO_GRANT & _NO_USER & ~_NO_APPLICATION & _NOT_EVERYTHING)
                    | (_NO_GRANT & _NO_USER & _NO_APPLICATION & ~_NOT_EVERYTHING)
                ),
                name="oauth_notice_names_one_thing",
            ),
        ]

    def __str__(self) -> str:
        return str(self.entry)

    @property
    def entry(self) -> dict[str, object]:
        """Return what was revoked as the feed says it: one member."""
        if self.everything:
            return {"all": True}
        named = {"grant_id": self.grant_id and str(self.grant_id), "sub": self.sub, "client_id": self.client_id}
        return {name: value for name, value in named.items() if value}
