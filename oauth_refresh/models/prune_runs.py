"""When the database was last pruned, for the overview in the admin."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class PruneRun(models.Model):
    """A run of ``prune``; each deletes the rows of those before. ``is_complete``: it visited every row in its time."""

    finished_at = models.DateTimeField(_("finished"), default=timezone.now)
    retain = models.DurationField(_("retained for"))
    rows = models.PositiveBigIntegerField(_("deleted rows"))
    is_complete = models.BooleanField(_("complete"))

    class Meta:
        verbose_name = _("prune run")
        verbose_name_plural = _("prune runs")

    def __str__(self) -> str:
        return str(self.finished_at)
