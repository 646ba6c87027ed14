"""How far alarms have been reported to the recipients of the setting ``ALARM_RECIPIENTS``."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class AlarmReport(models.Model):
    """One row, which is updated with each report. ``position``: the number of the last event that was looked at.

    ``told_at``: when the last report was sent; empty: none was.
    """

    ONLY = 1
    """The key of the row."""

    position = models.BigIntegerField(_("last event looked at"), default=0)
    told_at = models.DateTimeField(_("last report"), null=True, blank=True)

    class Meta:
        verbose_name = _("report of alarms")
        verbose_name_plural = _("reports of alarms")

    def __str__(self) -> str:
        return str(self.position)
